import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeFolios, encodeMemfd, folioCount } from "../../../formats/memfd/encode.js";
import { newFolioRuns } from "../../../formats/memfd/folios.js";
import { physAddr } from "../../../src/memory/index.js";
import { dump } from "../../handover/synthetic/ram.js";
import { failure } from "../../layout/support.js";
import { targetOf } from "../target.js";

const header = { pos: 0x1000n, size: 0x400000n, seals: 0x0e, flags: 0, nrFolios: 2n };
const folios = { first: physAddr(0x105a40000), total_pages: 1, flags: 1, order: 0 };

describe("the structure of a memfd", () => {
  const seals = dump("0000  0e 00 00 00 00 00 00 00");
  const before = dump("0000  00 10 00 00 00 00 00 00  00 00 40 00 00 00 00 00");
  const behind = dump(`
0000  02 00 00 00 00 00 00 00  00 00 a4 05 01 00 00 00
0010  01 00 00 00 01 00 00 00`);
  it.each([
    ["memfd-v2", [...before, ...seals, ...behind]],
    ["memfd-v1", [...before, ...behind]],
  ] as const)("%s", (version, bytes) => {
    const target = targetOf();
    encodeMemfd(target, version, physAddr(0x105a3c000), header, folios);
    expect([...target.at(0x105a3c000, bytes.length)]).toEqual(bytes);
    expect(target.left).toEqual([`page-tail 0x105a3c0${bytes.length.toString(16)} ${4096 - bytes.length}`]);
  });
});

describe("the list of a memfd's folios", () => {
  it("two of order 9", () => {
    const runs = newFolioRuns();
    runs.push(0, 0x120000, 9, 3);
    runs.push(512, 0x133600, 9, 3);
    const target = targetOf();
    encodeFolios(target, { pfns: [0x105a41], order: 0 }, runs.finish());
    expect(target.at(0x105a41000, 32)).toEqual(
      dump(`
0000  00 00 12 00 00 00 30 00  00 00 00 00 00 00 00 00
0010  00 36 13 00 00 00 30 00  00 02 00 00 00 00 00 00`),
    );
    expect(target.left).toEqual(["array-tail 0x105a41020 4064"]);
  });

  it("entry by entry, whatever runs they are in and wherever pages end", () => {
    const folio = fc.record({
      index: fc.maxSafeInteger().map(Math.abs),
      pfn: fc.integer({ min: 1, max: 2 ** 52 - 2 ** 22 }),
      order: fc.nat(9),
      flags: fc.nat(4095),
      count: fc.constantFrom(1, 2, 100, 300),
    });
    fc.assert(
      fc.property(fc.array(folio, { minLength: 1, maxLength: 6 }), (list) => {
        const runs = newFolioRuns();
        const entries: bigint[] = [];
        for (const { index, pfn, order, flags, count } of list)
          for (let k = 0; k < count; k++) {
            const at = Math.min(index, 2 ** 53 - 2 ** 18) + k * 2 ** order;
            runs.push(at, pfn + k * 2 ** order, order, flags);
            entries.push(BigInt(pfn + k * 2 ** order) | (BigInt(flags) << 52n), BigInt(at));
          }
        const finished = runs.finish();
        expect(folioCount(finished)).toBe(entries.length / 2);
        const pages = Math.ceil((entries.length * 8) / 4096);
        const target = targetOf();
        // Backwards, so that no two pages of the list are neighbours.
        const pfns = Array.from({ length: pages }, (_, i) => 2 * (pages - i));
        encodeFolios(target, { pfns, order: 0 }, finished);
        const expected = new Uint8Array(BigUint64Array.from(entries).buffer);
        for (const [page, pfn] of pfns.entries()) {
          const part = expected.subarray(page * 4096, (page + 1) * 4096);
          expect(Buffer.compare(target.at(pfn * 4096, part.length), part)).toBe(0);
        }
      }),
      { numRuns: 200, seed: 4 },
    );
  });

  it("is refused with what an entry cannot hold, or without room", () => {
    const one = (index: number, pfn: number, flags: number) => {
      const runs = newFolioRuns();
      runs.push(index, pfn, 0, flags);
      return failure(() => encodeFolios(targetOf(), { pfns: [1], order: 0 }, runs.finish()));
    };
    expect(one(0, 2 ** 52, 3)).toMatchObject({ code: "value-range", path: "memfd_luo_folio_ser[0].pfn" });
    expect(one(2 ** 53, 1, 3)).toMatchObject({ code: "value-range", path: "memfd_luo_folio_ser[0].index" });
    expect(one(0, 1, 4096)).toMatchObject({ code: "value-range", path: "memfd_luo_folio_ser[0].flags" });
    const runs = newFolioRuns();
    for (let i = 0; i < 257; i++) runs.push(i, i + 1, 0, 3);
    expect(failure(() => encodeFolios(targetOf(), { pfns: [1], order: 0 }, runs.finish())).code).toBe(
      "value-range",
    );
  });
});
