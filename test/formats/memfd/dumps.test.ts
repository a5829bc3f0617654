import { describe, expect, it } from "vitest";
import { memfdLuoFolioSer } from "../../../formats/memfd/layout.js";
import { decodeMemfd } from "../../../formats/memfd/memfd.js";
import { columns, decode } from "../../../src/layout/index.js";
import { physAddr } from "../../../src/memory/index.js";
import { dump, Ram } from "../../handover/synthetic/ram.js";
import { abiOf, contextOf } from "../kho/support.js";

const header = {
  "memfd-v2": dump(`
0000  00 10 00 00 00 00 00 00  00 00 40 00 00 00 00 00
0010  0e 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00
0020  00 00 a4 05 01 00 00 00  01 00 00 00 01 00 00 00`),
  // The same without seals and flags.
  "memfd-v1": dump(`
0000  00 10 00 00 00 00 00 00  00 00 40 00 00 00 00 00
0010  02 00 00 00 00 00 00 00  00 00 a4 05 01 00 00 00
0020  01 00 00 00 01 00 00 00`),
} as const;

describe.each([
  ["memfd-v1", "7.0", 0x01],
  ["memfd-v2", "7.3", 0x0e],
] as const)("%s", (version, release, seals) => {
  it("a file of 4 MiB in two folios of order 9", () => {
    const ram = new Ram();
    const pa = 0x105a3c000n;
    for (const page of [pa, 0x105a40000n, 0x105a41000n]) ram.have(page, 4096);
    ram.write(pa, header[version]);
    ram.write(0x105a40000n, dump("0000  00 00 00 00 00 00 00 00  00 10 a4 05 01 00 00 00"));
    ram.write(
      0x105a41000n,
      dump(`
0000  00 00 12 00 00 00 30 00  00 00 00 00 00 00 00 00
0010  00 36 13 00 00 00 30 00  00 02 00 00 00 00 00 00`),
    );
    const { ctx, findings } = contextOf(ram, release);
    const orders = new Map([
      [0x120000, 9],
      [0x133600, 9],
    ]);
    const memfd = decodeMemfd(ctx, version, physAddr(pa), (pfn) => orders.get(pfn) ?? -1, "memfd")!;
    expect(findings).toEqual([]);
    expect(memfd).toMatchObject({ pos: 0x1000n, size: 0x400000n, seals, flags: 0, nrFolios: 2n });
    const { folios } = memfd;
    expect([...folios.index]).toEqual([0, 512]);
    expect([...folios.pfn]).toEqual([0x120000, 0x133600]);
    expect([...folios.order]).toEqual([9, 9]);
    expect([...folios.count]).toEqual([1, 1]);
    expect([...folios.flags]).toEqual([3, 3]);
  });
});

describe("a folio entry", () => {
  const abi = abiOf(4096);
  it("as a kernel writes it", () => {
    const bytes = dump("0000  56 34 12 00 00 00 30 00  10 00 00 00 00 00 00 00");
    expect(decode(memfdLuoFolioSer, bytes, 0, abi)).toEqual({ pfn: 0x123456, flags: 3, index: 16n });
  });
  it.each([
    [0, 0],
    [1, 0x10],
    [2, 0x20],
    [0xfff, 0xfff0],
  ])("flags %i are the upper 12 bits", (flags, upper) => {
    const bytes = new Uint8Array(16).fill(0);
    bytes.fill(0xff, 0, 6);
    bytes[6] = 0x0f | (upper & 0xff);
    bytes[7] = upper >> 8;
    const { pfn, flags: found } = columns(memfdLuoFolioSer, bytes, 0, 1, ["pfn", "flags"], abi);
    expect([pfn[0], found[0]]).toEqual([2 ** 52 - 1, flags]);
  });
});
