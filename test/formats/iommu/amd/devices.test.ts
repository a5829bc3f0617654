import { describe, expect, it } from "vitest";
import { mappingsOf } from "../../../../formats/iommu/mappings.js";
import { decodeMappings } from "../../../../formats/iommu/walk.js";
import { isKhoError } from "../../../../src/report/error.js";
import { gist, memoryOf, opened, put } from "./support.js";

const table = 0x100000000n;
/** Device table base registers of tables of one page, of two, and for all requester ids. */
const onePage = table;
const twoPages = table | 1n;
const device = 0x28;
const entry = table + 0x28n * 32n;

/** One device with an entry of these words, in a table of two pages. */
const withEntry = (...words: bigint[]) => {
  const memory = memoryOf([table, 3n], [table + 0x1000n, 3n], [entry, ...words]);
  return { memory, ...opened(memory, twoPages) };
};

describe("what an entry says", () => {
  it.each<[string, readonly bigint[], object]>([
    ["the boot default", [0x3n, 0n, 1n], { kind: "blocked" }],
    ["detached", [0x1n], { kind: "blocked" }],
    ["nothing valid", [0n], { kind: "identity" }],
    ["TV without V", [2n], { kind: "identity" }],
    [
      "v1 of three levels",
      [0x6000000100000603n, 5n, 0x2000000100800013n],
      { kind: "table", domain: 5, table: "amdv1 3 0x100000000" },
    ],
    [
      "the same with ATS",
      [0x6000000100000603n, 0x100000005n],
      { kind: "table", domain: 5, table: "amdv1 3 0x100000000" },
    ],
    ["dirty tracking", [0x6000000100000783n, 5n], { kind: "table", domain: 5, table: "amdv1 3 0x100000000" }],
    [
      "grown to four levels",
      [0x6000000100003803n, 5n],
      { kind: "table", domain: 5, table: "amdv1 4 0x100003000" },
    ],
    ["pass-through", [0x6000000000000003n, 6n], { kind: "identity", domain: 6 }],
    ["a table that nothing may go through", [0x0000000100000603n, 5n], { kind: "blocked" }],
  ])("%s", (_, words, expected) => {
    const { unit, findings } = withEntry(...words);
    expect(gist(unit.device(device)!)).toEqual({ device, ...expected });
    expect(findings).toEqual([]);
  });

  it.each([
    [1, 21],
    [3, 39],
    [4, 48],
    [5, 57],
    [6, 64],
  ])("a table of %i levels decodes %i bits", (levels, vaBits) => {
    const { unit } = withEntry(0x6000000100000003n | (BigInt(levels) << 9n));
    expect(unit.device(device)!.table).toMatchObject({ levels, vaBits, signExtend: false });
  });

  it("what the entry forbids, its table does not allow", () => {
    // A leaf of 1 GiB that can be read and written.
    const { memory, ctx, unit, findings } = withEntry(0x2000000140000603n);
    put(memory, 0x140000000n, 0x7000000280000001n);
    const runs = decodeMappings(ctx, unit.device(device)!.table!, "table");
    expect([...mappingsOf(runs)]).toMatchObject([{ iova: 0n, pa: 0x280000000n, read: true, write: false }]);
    expect(findings).toEqual([]);
  });

  it("shows the entry itself", () => {
    const { unit } = withEntry(0x6000000100000603n, 5n);
    const { words, path } = unit.device(device)!;
    expect(words).toMatchObject([{ layout: { name: "dev_table_entry" }, pa: entry }]);
    expect([...words[0]!.bytes.subarray(0, 8)]).toEqual([3, 6, 0, 0, 1, 0, 0, 0x60]);
    expect(path).toBe("devices[0x28]");
  });
});

describe("entries that hardware refuses", () => {
  it.each<[string, readonly bigint[], string]>([
    ["Mode 7", [0x6000000100000e03n], "Mode=7"],
    ["GLX 3", [0x7bc0000000000003n, 0x00001000468a0007n], "GLX=3"],
    [
      "guest tables of six levels",
      [0x78c0000000000003n, 0x00001000468a0007n, 0x0080000000000000n],
      "GuestPagingMode=2",
    ],
  ])("%s: blocked, and reported", (_, words, actual) => {
    const { unit, findings } = withEntry(...words);
    expect([...unit.devices()].map(gist)).toEqual([{ device, kind: "blocked" }]);
    expect(findings).toMatchObject([
      { severity: "error", code: "iommu-bad-context", path: "devices[0x28]", pa: entry, length: 32, actual },
    ]);
  });

  it("fields of guest tables do not matter without GV", () => {
    const { unit, findings } = withEntry(0x6340000100000603n, 5n, 0x00c0000000000000n);
    expect(unit.device(device)).toMatchObject({ kind: "table" });
    expect(findings).toEqual([]);
  });

  it.each([
    ["first", 0, 1n << 2n, "rsvd2=0x1"],
    ["first", 0, 1n << 63n, "rsvd63=0x1"],
    ["second", 1, 1n << 42n, "rsvd106=0x1"],
    ["third", 2, 3n << 52n, "rsvd180=0x3"],
    ["fourth", 3, 1n << 63n, "rsvd192=0x8000000000000000"],
  ])("reserved bits of the %s word: reported, and the table is still there", (_, word, bits, actual) => {
    const words = [0x6000000100000603n, 5n, 0n, 0n];
    words[word]! |= bits;
    const { unit, findings } = withEntry(...words);
    expect(unit.device(device)).toMatchObject({ kind: "table" });
    expect(findings).toMatchObject([
      { code: "iommu-reserved-bits", path: "devices[0x28]", pa: entry, actual },
    ]);
  });
});

describe("the list of devices", () => {
  const identity = [0x6000000000000003n, 6n] as const;
  const at = (id: number) => table + BigInt(id * 32);

  it("leaves out what the driver sets up for devices that nobody uses", () => {
    const memory = memoryOf(
      [table, 3n],
      [at(0x08), 0x3n, 0n, 1n],
      [at(0x10), 0x1n],
      // What the firmware wants, and what a detached device leaves in the second word.
      [at(0x11), 0x4000000000000001n, 0x0000010000000000n, 0x4700000000000001n],
      [at(0x12), 0x3n, 0x0000000100000007n],
      // Interrupts are remapped, translation is not set up.
      [at(0x18), 0x3n, 0n, 0x2000000100800013n],
      [at(0x20), ...identity],
      [at(0xff), ...identity],
    );
    const { unit, findings } = opened(memory, twoPages);
    expect([...unit.devices()].map((found) => found.device)).toEqual([0x20, 0xff]);
    expect(findings).toEqual([]);
    expect(unit.summary).toBe("device table of 256 entries");
    expect([...unit.tables.runs()]).toEqual([Number(table >> 12n), 2]);
  });

  it("a device can write everywhere if the firmware wants that", () => {
    const memory = memoryOf([table, 3n], [at(0x28), 0x4000000000000003n, 0x0000010000000000n]);
    expect([...opened(memory, onePage).unit.devices()].map(gist)).toEqual([
      { device: 0x28, kind: "identity", domain: 0 },
    ]);
  });

  it("damage in an entry of no device shows", () => {
    const memory = memoryOf([table, 3n], [at(0x28), 0x83n | (1n << 4n)]);
    const { unit, findings } = opened(memory, onePage);
    expect([...unit.devices()].map(gist)).toEqual([{ device: 0x28, kind: "blocked" }]);
    expect(findings).toMatchObject([{ code: "iommu-reserved-bits" }]);
  });

  it("pages that are absent are reported in one piece, and the rest is read", () => {
    const memory = memoryOf([table, ...identity], [table + 0x5000n, ...identity]);
    const { unit, findings } = opened(memory, table | 7n);
    expect([...unit.devices()].map((found) => found.device)).toEqual([0, 5 * 128]);
    expect(findings).toMatchObject([
      { code: "memory-absent", path: "devices[0x80]", length: 4 * 4096 },
      { code: "memory-absent", path: "devices[0x300]", length: 2 * 4096 },
    ]);
  });

  it("ends at the limit", () => {
    const memory = memoryOf([table, 3n]);
    for (let id = 0; id < 100; id++) put(memory, at(id), ...identity);
    const { unit, findings } = opened(memory, onePage, { maxRecords: 10 });
    expect([...unit.devices()]).toHaveLength(10);
    expect(findings).toMatchObject([{ code: "limit-exceeded" }]);
  });

  it.each([-1, 256, 65536, 1.5, Number.NaN])("there is no device %s", (id) => {
    const { unit, findings } = opened(memoryOf([table, 3n], [table + 0x1000n, 3n]), twoPages);
    expect(unit.device(id)).toBeUndefined();
    expect(findings).toEqual([]);
  });

  it("one device takes no more than its entry", () => {
    const { unit } = withEntry(...identity);
    expect(unit.tables.size).toBe(0);
    unit.device(device);
    expect([...unit.tables.runs()]).toEqual([Number(table >> 12n), 1]);
  });
});

describe("the root", () => {
  it.each([0n, -1n, 1n << 64n])("%s is none", (root) => {
    expect(() => opened(memoryOf([table, 3n]), root)).toThrow(
      expect.objectContaining({ name: "KhoError", code: "iommu-root-malformed" }),
    );
  });

  it("without memory there is nothing to read", () => {
    try {
      opened(memoryOf([table - 0x1000n, 3n], [table + 0x2000n, 3n]), twoPages);
      expect.unreachable();
    } catch (error) {
      expect(isKhoError(error, "iommu-root-malformed") && error.pa).toBe(table);
    }
  });

  it("reserved bits are reported, and the table is read", () => {
    const { unit, findings } = opened(memoryOf([table, 3n], [entry, 0x6000000000000003n]), table | 0xe01n);
    expect(unit.device(device)).toMatchObject({ kind: "identity" });
    expect(findings).toMatchObject([
      { code: "iommu-reserved-bits", path: "root", expected: "0x100000001", actual: "0x100000e01" },
    ]);
  });
});
