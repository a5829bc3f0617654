/** The worked examples of what debugfs prints; that of a real machine is in capture.test.ts. */
import { describe, expect, it } from "vitest";
import type { Limits } from "../../../../formats/context.js";
import { newDomain } from "../../../../formats/iommu/domain.js";
import { iommuMap } from "../../../../formats/iommu/map.js";
import { IOMMU_READ, IOMMU_WRITE, readWrite } from "../../../../formats/iommu/prot.js";
import { newVtdUnit } from "../../../../formats/iommu/vtd/encode.js";
import { vtdDomain } from "../../../../formats/iommu/vtd/geometry.js";
import { dmarTranslationStruct, domainTranslationStruct } from "../../../../formats/iommu/vtd/text.js";
import { contextOver } from "../context.js";
import { newStore } from "../store.js";
import { codesIn, memoryOf } from "./support.js";
import { capabilitiesOf, legacyUnit } from "./units.js";

const zeros = (count: number): bigint[] => Array<bigint>(count).fill(0n);
const header = "B.D.F\tRoot_entry\t\t\t\tContext_entry\t\t\t\tPASID\tPASID_table_entry";
const noPasid = "-1    \t0x0000000000000000:0x0000000000000000:0x0000000000000000";

function unitText(
  pages: Parameters<typeof memoryOf>[0],
  root: bigint,
  name: string,
  limits?: Partial<Limits>,
) {
  const { ctx, findings } = contextOver(memoryOf(pages), limits);
  return { lines: [...dmarTranslationStruct(ctx, { root }, name)], findings };
}
function tableText(
  pages: Parameters<typeof memoryOf>[0],
  root: bigint,
  pasid?: number,
  limits?: Partial<Limits>,
) {
  const { ctx, findings } = contextOver(memoryOf(pages), limits);
  const of = { device: 0x10, ...(pasid !== undefined && { pasid }) };
  return { lines: [...domainTranslationStruct(ctx, { root }, of)], findings };
}

describe("dmar_translation_struct", () => {
  it("in legacy mode", () => {
    const { lines } = unitText(
      {
        "0x100a00000": [0x100a01001n],
        "0x100a01000": [...zeros(0x10 * 2), 0x123456001n, 0x2a02n, ...zeros(0xea * 2), 0x9n, 0x103n],
      },
      0x100a00000n,
      "dmar0",
    );
    expect(lines).toEqual([
      "IOMMU dmar0: Root Table Address: 0x100a00000",
      header,
      `00:02.0\t0x0000000000000000:0x0000000100a01001\t0x0000000000002a02:0x0000000123456001\t${noPasid}`,
      `00:1f.3\t0x0000000000000000:0x0000000100a01001\t0x0000000000000103:0x0000000000000009\t${noPasid}`,
      "",
    ]);
  });

  it("in scalable mode: half of a context entry, and a line for each PASID", () => {
    const { lines } = unitText(
      {
        "0x100b00000": [0x100b01001n],
        "0x100b01000": [...zeros(0x10 * 4), 0x100020401n],
        "0x100020000": [0x100030001n, 0n, 0x100031001n],
        "0x100030000": [0x123456089n, 0x80002an],
        "0x100031000": [...zeros(5 * 8), 0x49n, 0x80002an, 0x654321000n, ...zeros(5), 0x48n],
      },
      0x100b00400n,
      "dmar1",
    );
    const entries = "00:02.0\t0x0000000000000000:0x0000000100b01001\t0x0000000000000000:0x0000000100020401";
    expect(lines).toEqual([
      "IOMMU dmar1: Root Table Address: 0x100b00000",
      header,
      `${entries}\t0     \t0x0000000000000000:0x000000000080002a:0x0000000123456089`,
      `${entries}\t133   \t0x0000000654321000:0x000000000080002a:0x0000000000000049`,
      "",
    ]);
  });

  it("ends a bus where a context table is missing", () => {
    const pages = {
      // Upper table alone; lower table alone; both.
      "0x100b00000": [0n, 0x100b01001n, 0x100b01001n, 0n, 0x100b01001n, 0x100b01001n],
      "0x100b01000": [0x100020401n],
      "0x100020000": [0x100030001n],
      "0x100030000": [0x123456089n, 0x80002an],
    };
    const { lines } = unitText(pages, 0x100b00400n, "dmar0");
    expect(lines.slice(2, -1).map((line) => line.slice(0, 7))).toEqual(["01:00.0", "02:00.0", "02:10.0"]);
  });

  it("of a unit that aborts all DMA has no entries", () => {
    const { lines } = unitText({}, 0x100b00c00n, "dmar0");
    expect(lines).toEqual(["IOMMU dmar0: Root Table Address: 0x100b00000", header, ""]);
  });

  it("ends with the limit", () => {
    const full = { "0x1000": [0x2001n], "0x2000": Array.from({ length: 256 }, () => [0x9n, 0x103n]).flat() };
    const { lines, findings } = unitText(full, 0x1000n, "dmar0", { maxRecords: 100 });
    expect(lines.length).toBe(2 + 100 + 1);
    expect(codesIn(findings)).toEqual(["limit-exceeded"]);
  });
});

const columns = (...entries: readonly bigint[]): string =>
  entries.map((entry) => `\t0x${entry.toString(16).padStart(16, "0")}`).join("");
const title =
  "IOVA_PFN         \tPML5E             \tPML4E             \tPDPE              \tPDE               \tPTE";

describe("domain_translation_struct", () => {
  const mapped = () => {
    const store = newStore();
    const unit = capabilitiesOf(legacyUnit);
    const domain = newDomain(vtdDomain(unit)!, store)!;
    const ranges = [
      [0x0n, 0x200000000n, 0x1000n, readWrite],
      [0x200000n, 0x240000000n, 0x200000n, IOMMU_READ],
      [0x40000000n, 0x280000000n, 0x40000000n, readWrite],
      [0x100dff000n, 0x300dff000n, 0x402000n, readWrite],
      [0x90000000n, 0xfee00000n, 0x1000n, IOMMU_WRITE],
    ] as const;
    for (const [iova, pa, size, prot] of ranges)
      expect(iommuMap(domain, iova, pa, size, prot)).toBeUndefined();
    return { store, unit, domain };
  };

  it("has a line for each leaf, with the entries that lead to it", () => {
    const { store, unit, domain } = mapped();
    const made = newVtdUnit(unit, store)!;
    made.attach(0x10, { kind: "table", domain, domainId: 2 });
    const { ctx } = contextOver(store.memory);
    const lines = [...domainTranslationStruct(ctx, { root: made.root }, { device: 0x10 })];
    expect(`${lines.join("\n")}\n`).toBe(
      `Device 0000:00:02.0 @0x100000000
IOVA_PFN         	PML5E             	PML4E             	PDPE              	PDE               	PTE
0x0000000000000 |	0x0000000000000000	0x0000000100001003	0x0000000100002003	0x0000000100003003	0x0000000200000003
0x0000000000200 |	0x0000000000000000	0x0000000100001003	0x0000000100002003	0x0000000240000081
0x0000000040000 |	0x0000000000000000	0x0000000100001003	0x0000000280000083
0x0000000090000 |	0x0000000000000000	0x0000000100001003	0x0000000100007003	0x0000000100008003	0x00000000fee00002
0x0000000100dff |	0x0000000000000000	0x0000000100001003	0x0000000100004003	0x0000000100005003	0x0000000300dff003
0x0000000100e00 |	0x0000000000000000	0x0000000100001003	0x0000000100004003	0x0000000300e00083
0x0000000101000 |	0x0000000000000000	0x0000000100001003	0x0000000100004003	0x0000000301000083
0x0000000101200 |	0x0000000000000000	0x0000000100001003	0x0000000100004003	0x0000000100006003	0x0000000301200003
`,
    );
  });

  it("names segment and PASID", () => {
    const pages = {
      "0x1000": [0n, 0n, 0x2001n],
      "0x2000": [...zeros(0x7d * 4), 0x3401n],
      "0x3000": [0x4001n],
      "0x4000": [...zeros(0x1f * 8), 0x5089n, 2n],
      "0x5000": zeros(512),
    };
    const own = contextOver(memoryOf(pages));
    const of = { segment: 0x10, device: 0x17d, pasid: 0x1f };
    expect([...domainTranslationStruct(own.ctx, { root: 0x1400n }, of)]).toEqual([
      "Device 0010:01:0f.5 with pasid 1f @0x5000",
      title,
    ]);
  });

  const legacy = (lo: bigint, hi: bigint) => ({ "0x1000": [0x2001n], "0x2000": [...zeros(0x20), lo, hi] });
  const scalable = (...entry: readonly bigint[]) => ({
    "0x1000": [0x2001n],
    "0x2000": [...zeros(0x40), 0x3401n],
    "0x3000": [0x4001n],
    "0x4000": [...entry],
  });

  it.each([
    ["no entry", legacy(0n, 0n), 0x1000n],
    ["an entry that is not present", legacy(0x5000n, 0x202n), 0x1000n],
    ["pass-through", legacy(0x9n, 0x103n), 0x1000n],
    ["a reserved type", legacy(0x500dn, 0x103n), 0x1000n],
    ["pass-through in scalable mode", scalable(0x109n, 1n), 0x1400n],
    ["a PASID that is not present", scalable(0x5088n, 1n), 0x1400n],
    ["a unit that aborts all DMA", {}, 0x1c00n],
  ])("is empty for %s", (_, pages, root) => {
    expect(tableText(pages, root)).toEqual({ lines: [], findings: [] });
  });

  it.each([
    ["first stage", scalable(0x49n, 2n, 0x5004n)],
    ["second stage", scalable(0x5089n, 2n)],
    ["nested: that of the second stage", scalable(0x50c9n, 2n, 0x6000n)],
  ])("%s", (_, pages) => {
    const { lines } = tableText({ ...pages, "0x5000": [0x87n] }, 0x1400n);
    expect(lines).toEqual([
      "Device 0000:00:02.0 with pasid 0 @0x5000",
      title,
      // A leaf where no format has one, and nothing below it.
      `0x0000000000000 |${columns(0n, 0x87n, 0n)}`,
    ]);
  });

  it("takes the height from the address width, also of a first stage that has another", () => {
    // Four levels by FSPM, five by AW: what maps 4 KiB is taken for a table, and the page for a table of leaves.
    const pages = {
      ...scalable(0x4dn, 2n, 0x5000n),
      "0x5000": [0x6027n],
      "0x6000": [0x7027n],
      "0x7000": [0x8027n],
      "0x8000": [0x9067n],
      "0x9000": [0n, 0xabcdefn],
    };
    expect(tableText(pages, 0x1400n).lines.slice(2)).toEqual([
      `0x0000000000001 |${columns(0x6027n, 0x7027n, 0x8027n, 0x9067n, 0xabcdefn)}`,
    ]);
  });

  it.each([
    [
      "two levels",
      0x200n,
      { "0x5000": [0x6003n], "0x6000": [0x2n, 0x400n, 0x1n] },
      [
        `0x0000000000000 |${columns(0n, 0n, 0n, 0x6003n, 2n)}`,
        `0x0000000000002 |${columns(0n, 0n, 0n, 0x6003n, 1n)}`,
      ],
    ],
    [
      "five levels, the top entry a leaf",
      0x203n,
      { "0x5000": [0n, 0x81n] },
      [`0x0001000000000 |${columns(0x81n, 0n, 0n)}`],
    ],
    ["more levels than there are", 0x204n, { "0x5000": [0x6003n] }, []],
  ] as const)("%s", (_, hi, pages, lines) => {
    expect(tableText({ ...legacy(0x5001n, hi), ...pages }, 0x1000n).lines.slice(2)).toEqual(lines);
  });

  it("follows addresses that no memory has, and says that it is not there", () => {
    const { lines, findings } = tableText(
      { ...legacy(0x5001n, 0x201n), "0x5000": [0xfff0000000006003n] },
      0x1000n,
    );
    expect(lines.length).toBe(2);
    expect(findings).toMatchObject([{ code: "memory-absent", pa: 0xfff0000000006000n }]);
  });

  it("ends where a table leads to itself, or there are more tables than the limit", () => {
    const itself = { ...legacy(0x5001n, 0x202n), "0x5000": Array.from({ length: 512 }, () => 0x5003n) };
    const cyclic = tableText(itself, 0x1000n, undefined, { maxSharedTables: 10 });
    expect(cyclic.lines.length).toBe(2 + 8 * 512);
    expect(codesIn(cyclic.findings)).toEqual(["limit-exceeded"]);

    const { store, unit, domain } = mapped();
    const made = newVtdUnit(unit, store)!;
    made.attach(0x10, { kind: "table", domain, domainId: 2 });
    const { ctx, findings } = contextOver(store.memory, { maxTables: 4 });
    const lines = [...domainTranslationStruct(ctx, { root: made.root }, { device: 0x10 })];
    // The four tables of the first line, and what the first two of them have before they lead to another.
    expect(lines.length).toBe(2 + 3);
    expect(codesIn(findings)).toEqual(["limit-exceeded"]);
  });
});
