/** Page tables by PASID, and what lies behind a host table. */
import { describe, expect, it } from "vitest";
import { v1Options } from "../../../../formats/iommu/amd/geometry.js";
import { newDomain } from "../../../../formats/iommu/domain.js";
import { mapTable } from "../../../../formats/iommu/map.js";
import { mappingsOf } from "../../../../formats/iommu/mappings.js";
import { throughParent } from "../../../../formats/iommu/nested.js";
import { decodeMappings } from "../../../../formats/iommu/walk.js";
import { newStore } from "../store.js";
import { gist, memoryOf, opened, put } from "./support.js";

const table = 0x100000000n;
const entry = table + 0x28n * 32n;
/** Where the second word 0x00001000468a____ and the parts in the first say that the GCR3 table is. */
const gcr3 = 0x123456000n;
const dte = (data0: bigint, data2 = 0n) => [entry, data0, 0x00001000468a0007n, data2] as const;
const v2 = 0x78c0000000000003n;
const withoutGiov = 0x7880000000000003n;
const glx = (levels: bigint) => (levels - 1n) << 56n;
const device = 0x28;
const bare = { device, domain: 7 };

describe("one level", () => {
  it("with GIOV requests without PASID have the table of PASID 0, which is listed once", () => {
    const memory = memoryOf([table, 3n], dte(v2), [gcr3, 0x130000001n, 0n, 0x140000001n]);
    const { unit, findings } = opened(memory, table | 1n);
    expect([...unit.devices()].map(gist)).toEqual([
      { ...bare, kind: "table", table: "x86_64 4 0x130000000" },
      { ...bare, pasid: 2, kind: "table", table: "x86_64 4 0x140000000" },
    ]);
    expect(gist(unit.device(device, 0)!)).toEqual({
      ...bare,
      pasid: 0,
      kind: "table",
      table: "x86_64 4 0x130000000",
    });
    expect(unit.device(device, 1)).toBeUndefined();
    expect(findings.map(({ code }) => code)).toEqual(["memory-absent"]);
  });

  it("without GIOV they pass as they are", () => {
    const memory = memoryOf([table, 3n], dte(withoutGiov), [gcr3, 0x130000001n]);
    const { unit } = opened(memory, table);
    expect([...unit.devices()].map(gist)).toEqual([
      { ...bare, kind: "identity" },
      { ...bare, pasid: 0, kind: "table", table: "x86_64 4 0x130000000" },
    ]);
  });

  it("with GIOV and nothing for PASID 0 they are blocked", () => {
    const memory = memoryOf([table, 3n], dte(v2), [gcr3, 0n, 0x130000001n]);
    const { unit, findings } = opened(memory, table);
    const listed = [...unit.devices()].map(gist);
    expect(listed).toEqual([
      { device, kind: "blocked" },
      { ...bare, pasid: 1, kind: "table", table: "x86_64 4 0x130000000" },
    ]);
    expect(gist(unit.device(device)!)).toEqual(listed[0]);
    expect(findings).toEqual([]);
  });

  it("tables of five levels decode 57 bits, of four 48", () => {
    const memory = memoryOf([table, 3n], dte(v2, 0x0040000000000000n), [gcr3, 0x130000001n]);
    expect(opened(memory, table).unit.device(device)!.table).toMatchObject({
      levels: 5,
      vaBits: 57,
      signExtend: false,
    });
    put(memory, ...dte(v2));
    expect(opened(memory, table).unit.device(device)!.table).toMatchObject({
      levels: 4,
      vaBits: 48,
      signExtend: false,
    });
  });

  it("shows every entry on the way, and counts the pages", () => {
    const memory = memoryOf([table, 3n], dte(v2), [gcr3, 0n, 0x130000001n]);
    const { unit } = opened(memory, table);
    const found = unit.device(device, 1)!;
    expect(found.words.map(({ layout, pa }) => [layout.name, pa])).toEqual([
      ["dev_table_entry", entry],
      ["gcr3_entry", gcr3 + 8n],
    ]);
    expect(found.path).toBe("devices[0x28].pasids[1]");
    expect([...unit.tables.runs()]).toEqual([Number(table >> 12n), 1, Number(gcr3 >> 12n), 1]);
  });

  it("an absent GCR3 table is reported once, and the device listed", () => {
    const { unit, findings } = opened(memoryOf([table, 3n], dte(v2)), table);
    expect([...unit.devices()].map(gist)).toEqual([{ device, kind: "blocked" }]);
    expect(findings).toMatchObject([{ code: "memory-absent", pa: gcr3 }]);
  });

  it("reserved bits are reported, and the entry is read", () => {
    const memory = memoryOf([table, 3n], dte(v2), [gcr3, 0x8000000130000803n]);
    const { unit, findings } = opened(memory, table);
    expect(unit.device(device)).toMatchObject({ table: { root: 0x130000000n } });
    expect(findings).toMatchObject([
      { code: "iommu-reserved-bits", pa: gcr3, length: 8, actual: "rsvd1=0x401 rsvd52=0x800" },
    ]);
  });

  it("an address far up is put together from its parts", () => {
    const memory = memoryOf([table, 3n], [entry, v2, 0x00801000468a0007n], [0x80123456000n, 0x130000001n]);
    expect(opened(memory, table).unit.device(device)).toMatchObject({ table: { root: 0x130000000n } });
  });
});

describe("more levels", () => {
  it.each([
    [
      2,
      0x5_1ff,
      [
        [gcr3, 5, 0x200000001n],
        [0x200000000n, 0x1ff, 0x130000001n],
      ],
    ],
    [
      3,
      0xf_ffff,
      [
        [gcr3, 3, 0x200000001n],
        [0x200000000n, 0x1ff, 0x210000001n],
        [0x210000000n, 0x1ff, 0x130000001n],
      ],
    ],
  ] as const)("%i: PASID 0x%x", (levels, pasid, entries) => {
    const index = levels === 2 ? 5 * 512 + 511 : pasid;
    const memory = memoryOf([table, 3n], dte(withoutGiov | glx(BigInt(levels))));
    for (const [page, at, word] of entries) put(memory, page + BigInt(at * 8), word);
    const { unit, findings } = opened(memory, table);
    const found = unit.device(device, index)!;
    expect(found.table!.root).toBe(0x130000000n);
    expect(found.words.map(({ pa }) => pa)).toEqual([
      entry,
      ...entries.map(([page, at]) => page + BigInt(at * 8)),
    ]);
    expect([...unit.devices()].slice(1)).toEqual([found]);
    expect(findings).toEqual([]);
  });

  it.each([
    [1, 512],
    [2, 512 ** 2],
    [3, 2 ** 20],
    [3, -1],
    [3, 1.5],
  ])("of %i there is no PASID %s", (levels, pasid) => {
    const memory = memoryOf([table, 3n], dte(withoutGiov | glx(BigInt(levels))), [gcr3, gcr3 | 1n]);
    expect(opened(memory, table).unit.device(device, pasid)).toBeUndefined();
  });

  it("a table that leads to itself has as many PASIDs as there can be, and the list ends at the limit", () => {
    const memory = memoryOf([table, 3n], dte(v2 | glx(3n)));
    put(memory, gcr3, ...Array.from({ length: 512 }, () => gcr3 | 1n));
    const { unit, findings } = opened(memory, table, { maxRecords: 5000 });
    const pasids = [...unit.devices()].map(({ pasid }) => pasid);
    expect(pasids.length).toBeGreaterThan(4900);
    expect(pasids.length).toBeLessThan(5000);
    expect(pasids).toEqual(
      [undefined, ...pasids.keys()].filter((pasid) => pasid !== 0).slice(0, pasids.length),
    );
    expect(findings).toMatchObject([{ code: "limit-exceeded" }]);
  });

  it("empty pages count, too", () => {
    // Every device leads to the same directory, whose entries all lead to one empty page.
    const memory = memoryOf([table, 3n], [0x200000000n, 0n]);
    put(memory, gcr3, ...Array.from({ length: 512 }, () => 0x200000001n));
    for (let id = 0; id < 128; id++) put(memory, table + BigInt(id * 32), v2 | glx(2n), 0x00001000468a0007n);
    const { unit, findings } = opened(memory, table, { maxRecords: 2000 });
    expect([...unit.devices()].length).toBeLessThan(5);
    expect(findings).toMatchObject([{ code: "limit-exceeded" }]);
  });
});

describe("nested", () => {
  /** A host table that maps the guest's first 2 MiB to 0x280000000, and nothing else. */
  const host = () => {
    const store = newStore(0x140000000n);
    const domain = newDomain(v1Options({ efr: 0n })!, store)!;
    mapTable(domain, 0n, 0x280000000n, 0x200000n, 3);
    return { store, memory: store.memory, root: domain.root };
  };
  /** GV, GIOV and Mode 3; the GCR3 table is at the guest's 0x5000: bits 14:12 are 5. */
  const nested = 0x60c0000000000603n | (5n << 58n);

  it("GCR3 table and page tables lie behind the host table", () => {
    const { store, memory, root } = host();
    put(store, table, 3n);
    put(store, entry, nested | root, 9n);
    put(store, 0x280005000n, 0x6001n);
    // The guest's own table: IOVA 0 leads to 0x7000, which the host puts at 0x280007000.
    put(store, 0x280006000n, 0x8027n);
    put(store, 0x280008000n, 0x9027n);
    put(store, 0x280009000n, 0xa027n);
    put(store, 0x28000a000n, 0x7067n);
    const { unit, ctx, findings } = opened(memory, table);
    const [found, ...rest] = unit.devices();
    expect(rest).toEqual([]);
    expect(gist(found!)).toEqual({
      device,
      kind: "nested",
      domain: 9,
      table: "x86_64 4 0x6000",
      parent: `amdv1 3 0x${root.toString(16)}`,
    });
    expect(found!.words.map(({ pa }) => pa)).toEqual([entry, 0x280005000n]);
    expect(unit.tables.has(0x280005)).toBe(true);
    const guest = { ...ctx, memory: throughParent(memory, found!.parent!) };
    expect([...mappingsOf(decodeMappings(guest, found!.table!, "table"))]).toMatchObject([
      { iova: 0n, pa: 0x7000n, size: 0x1000n, read: true, write: true },
    ]);
    expect(gist(unit.device(device)!)).toEqual(gist(found!));
    expect(findings).toEqual([]);
  });

  it("without GIOV requests without PASID have the host table alone", () => {
    const { store, memory, root } = host();
    put(store, table, 3n);
    put(store, entry, (nested & ~(1n << 54n)) | root, 9n);
    put(store, 0x280005000n, 0x6001n);
    const { unit } = opened(memory, table);
    expect([...unit.devices()].map(gist)).toEqual([
      { device, kind: "table", domain: 9, table: `amdv1 3 0x${root.toString(16)}` },
      {
        device,
        pasid: 0,
        kind: "nested",
        domain: 9,
        table: "x86_64 4 0x6000",
        parent: `amdv1 3 0x${root.toString(16)}`,
      },
    ]);
  });

  it("a GCR3 table where the host table leads nowhere is reported", () => {
    const { store, memory, root } = host();
    put(store, table, 3n);
    // 0x80005000: bit 31 is the lowest of the third part.
    put(store, entry, nested | root, 9n | (1n << 43n));
    const { unit, findings } = opened(memory, table);
    expect([...unit.devices()].map(gist)).toEqual([{ device, kind: "blocked" }]);
    expect(findings).toMatchObject([{ code: "memory-absent", pa: 0x80005000n }]);
  });
});
