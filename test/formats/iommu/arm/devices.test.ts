/** What entries say. Words are the specification's, or made by hand from its tables. */
import { describe, expect, it } from "vitest";
import { openSmmuv3 } from "../../../../formats/iommu/arm/devices.js";
import type { DeviceEntry } from "../../../../formats/iommu/device.js";
import { type Memory, physAddr } from "../../../../src/memory/index.js";
import { contextOver } from "../context.js";
import { bytesOf, memoryOf, severitiesOf } from "./support.js";

const table = 0x4000000200000000n;
/** 64 entries: a page. */
const linear = 6n;
const twoLevels = 0x00010210n;

const open = (memory: Memory, cfg: bigint | undefined = linear, root = table) => {
  const { ctx, findings } = contextOver(memory);
  return { unit: openSmmuv3(ctx, { root, ...(cfg !== undefined && { cfg }) }), findings };
};

/** What is listed, without structures. */
const brief = ({ device, pasid, kind, domain, table: first, parent, path }: DeviceEntry) => ({
  device,
  ...(pasid !== undefined && { pasid }),
  kind,
  ...(domain && { [domain.name]: domain.id }),
  ...(first && {
    table: [first.root, first.levels, first.vaBits, first.format.name, first.format.granuleLg2],
  }),
  ...(parent && { parent: parent.root }),
  path,
});

/** A linear table whose stream 1 has an entry, and contexts at 0x300000000. */
const streamWith = (ste: readonly bigint[], contexts: readonly bigint[] = []) =>
  memoryOf({ "0x200000000": [1n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, ...ste], "0x300000000": contexts });

const cd = [0x0001e205c0003510n, 0x0000000100000000n, 0n, 0xfffffffff404ff44n, 0n, 0n, 0n, 0n];
const plainFirst = [0x000000030000000bn, 0xd6n];

describe("a stream", () => {
  const first = { table: [0x100000000n, 4, 48, "arm_s1", 12] };
  const cases: readonly (readonly [string, readonly bigint[], object])[] = [
    ["bypass", [9n, 0x0000100000000000n], { kind: "identity" }],
    ["stage 1", plainFirst, { kind: "table", ASID: 1, ...first }],
    ["stage 1 with ATS", [0x000000030000000bn, 0x100000d6n], { kind: "table", ASID: 1, ...first }],
    [
      "stage 2, 44 bits",
      [0xdn, 0x0000100000000000n, 0x044c359400000001n, 0x100000000n],
      { kind: "table", VMID: 1, table: [0x100000000n, 4, 44, "arm_s2", 12] },
    ],
    [
      "stage 2, 40 bits",
      [0xdn, 0n, 0x044a355800000007n, 0x100000000n],
      { kind: "table", VMID: 7, table: [0x100000000n, 3, 40, "arm_s2", 12] },
    ],
  ];
  it.each(cases)("%s", (_, ste, expected) => {
    const { unit, findings } = open(streamWith(ste, cd));
    const entry = { device: 1, path: "devices[0x1]", ...expected };
    expect([...unit.devices()].map(brief)).toEqual([entry]);
    expect(brief(unit.device(1)!)).toEqual(entry);
    expect(findings).toEqual([]);
  });

  it("says which structures lead to its table", () => {
    const { unit } = open(streamWith(plainFirst, cd));
    expect(unit.device(1)!.words.map(({ layout, pa, bytes }) => [layout.name, pa, bytes.length])).toEqual([
      ["arm_smmu_ste", 0x200000040n, 64],
      ["arm_smmu_cd", 0x300000000n, 64],
    ]);
    expect([...unit.tables.runs()]).toEqual([0x200000, 1, 0x300000, 1]);
  });

  it("that is not used is blocked, and not listed", () => {
    const { unit, findings } = open(streamWith([1n]));
    expect([...unit.devices()]).toEqual([]);
    expect(brief(unit.device(0)!)).toEqual({ device: 0, kind: "blocked", path: "devices[0x0]" });
    // The third entry is zero, and there is none for stream 64.
    expect([unit.device(2), unit.device(64), unit.device(-1)]).toEqual([undefined, undefined, undefined]);
    expect(findings).toEqual([]);
  });
});

describe("two levels", () => {
  const memory = memoryOf({
    "0x200000000": [0n, 0n, 0x210000009n],
    // Streams 0x200 and 0x2ff.
    "0x210000000": [9n],
    "0x210003fc0": [9n],
  });
  memory.cover(physAddr(0x200000000n), 2 ** 10 * 8);
  memory.cover(physAddr(0x210000000n), 2 ** 10 * 64);

  it("of a stream table", () => {
    const { unit, findings } = open(memory, twoLevels);
    expect(unit.summary).toBe("two-level stream table, 16 bits");
    expect([...unit.devices()].map(({ device }) => device)).toEqual([0x200, 0x2ff]);
    expect(unit.device(0x2ff)!.words.map(({ layout, pa }) => [layout.name, pa])).toEqual([
      ["arm_smmu_strtab_l1", 0x200000010n],
      ["arm_smmu_ste", 0x210003fc0n],
    ]);
    expect([unit.device(0x100), unit.device(0x10000)]).toEqual([undefined, undefined]);
    expect(findings).toEqual([]);
  });

  it.each([
    // Span, SPLIT: streams that there are.
    [0x210000001n, 8n, [0x200]],
    [0x210000008n, 8n, [0x200]],
    [0x210000007n, 6n, [0x80]],
    [0x21000000bn, 10n, [0x800, 0x8ff]],
  ])("descriptor %d, split %d", (descriptor, split, streams) => {
    memory.write(physAddr(0x200000010n), bytesOf([descriptor]));
    const { unit, findings } = open(memory, 0x10000n | (split << 6n) | 16n);
    expect([...unit.devices()].map(({ device }) => device)).toEqual(streams);
    for (const sid of streams) expect(unit.device(sid)!.kind).toBe("identity");
    // Behind the array: what is there belongs to nobody.
    expect(unit.device((2 << Number(split)) + 0x100)).toBeUndefined();
    expect(findings).toEqual([]);
  });

  it.each([
    // More than the split, 256 streams, allows; a span that is none.
    [0x21000000an, ["error iommu-bad-context"]],
    [0x210000000n, []],
    [0x0010_0002_1000_0029n, ["error iommu-reserved-bits"]],
    [0x000f_0002_1000_0009n, ["error memory-absent"]],
  ])("of which a descriptor is %d", (descriptor, codes) => {
    memory.write(physAddr(0x200000010n), bytesOf([descriptor]));
    const { unit, findings } = open(memory, twoLevels);
    for (const _ of unit.devices());
    expect(severitiesOf(findings)).toEqual(codes);
  });
});

describe("requests without SubstreamID", () => {
  const second = [0x044c359400000001n, 0x100000000n];
  it.each([
    // d0, S1DSS: kind. S1CDMax is 4, but in the last two.
    [0x200000030000000bn, 0n, "blocked"],
    [0x200000030000000bn, 1n, "identity"],
    [0x200000030000000bn, 2n, "table"],
    [0x000000030000000bn, 0n, "table"],
    [0x000000030000000bn, 3n, "table"],
  ])("d0 %d, S1DSS %d: %s", (d0, dss, kind) => {
    const { unit, findings } = open(streamWith([d0, dss], cd));
    expect(unit.device(1)!.kind).toBe(kind);
    expect(findings).toEqual([]);
  });

  it("that a nested entry lets past stage 1 go through stage 2", () => {
    const { unit } = open(streamWith([0x200000030000000fn, 1n, ...second]));
    expect(brief(unit.device(1)!)).toMatchObject({ kind: "table", VMID: 1 });
    expect(unit.device(1)!.parent).toBeUndefined();
  });
});

describe("substreams", () => {
  const other = (asid: bigint) => [(asid << 48n) | (cd[0]! & 0xffffffffffffn), ...cd.slice(1)];
  const none = [0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n];

  it("of one array", () => {
    const { unit, findings } = open(
      streamWith([0x100000030000000bn, 0xd6n], [...cd, ...none, ...other(5n), ...other(6n), ...other(7n)]),
    );
    // Two bits: what is behind the fourth is none of its.
    expect([...unit.devices()].map(({ pasid, domain, path }) => [pasid, domain!.id, path])).toEqual([
      [undefined, 1, "devices[0x1]"],
      [2, 5, "devices[0x1].pasids[2]"],
      [3, 6, "devices[0x1].pasids[3]"],
    ]);
    expect(unit.device(1, 3)!.domain).toEqual({ name: "ASID", id: 6 });
    expect([unit.device(1, 1), unit.device(1, 4), unit.device(1, 0)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(findings).toEqual([]);
  });

  it("0 is one of them where requests without go elsewhere", () => {
    const { unit } = open(streamWith([0x100000030000000bn, 0xd5n], cd));
    expect([...unit.devices()].map(({ pasid, kind }) => [pasid, kind])).toEqual([
      [undefined, "identity"],
      [0, "table"],
    ]);
  });

  it.each([
    // S1Fmt 2 has blocks of 1024, S1Fmt 1 of 64.
    [0x2bn, 1024],
    [0x1bn, 64],
  ])("of blocks, d0 %d: %d in each", (low, perBlock) => {
    const memory = memoryOf({
      "0x200000000": [0x8000000300000000n | low, 0xd6n],
      "0x300000000": [0x310000001n, 0n, 0x320000001n],
      "0x310000000": cd,
      "0x320000040": other(9n),
    });
    memory.cover(physAddr(0x310000000n), perBlock * 64);
    memory.cover(physAddr(0x320000000n), perBlock * 64);
    memory.cover(physAddr(0x300000000n), (65536 / perBlock) * 8);
    const { unit, findings } = open(memory);
    expect([...unit.devices()].map(({ pasid, domain }) => [pasid, domain!.id])).toEqual([
      [undefined, 1],
      [2 * perBlock + 1, 9],
    ]);
    expect(unit.device(0, 2 * perBlock + 1)!.words.map(({ layout, pa }) => [layout.name, pa])).toEqual([
      ["arm_smmu_ste", 0x200000000n],
      ["arm_smmu_cdtab_l1", 0x300000010n],
      ["arm_smmu_cd", 0x320000040n],
    ]);
    expect([unit.device(0, perBlock), unit.device(0, 2 * perBlock)]).toEqual([undefined, undefined]);
    expect(findings).toEqual([]);
  });

  it("of a stream that is blocked are, too; those of others without contexts are nowhere", () => {
    const { unit } = open(streamWith([9n]));
    expect(unit.device(0, 5)).toMatchObject({ pasid: 5, kind: "blocked" });
    expect(unit.device(1, 5)).toBeUndefined();
  });
});

/** Context descriptors with these T0SZ, TG0 and IPS, else as the specification's. */
const cdOf = (T0SZ: bigint, TG0: bigint, IPS: bigint, c1 = 0x100000000n) => [
  (cd[0]! & ~0x7_0000_00ffn) | T0SZ | (TG0 << 6n) | (IPS << 32n),
  c1,
];

describe("the table of a context", () => {
  it.each([
    // Start levels of the specification are 4 less these.
    [16n, 0n, 5n, 12, 4, 48],
    [25n, 0n, 5n, 12, 3, 39],
    [16n, 2n, 5n, 14, 4, 48],
    [17n, 2n, 5n, 14, 3, 47],
    [16n, 1n, 5n, 16, 3, 48],
    [12n, 1n, 6n, 16, 3, 52],
    [22n, 1n, 6n, 16, 2, 42],
    [48n, 0n, 5n, 12, 1, 16],
  ])(
    "T0SZ %d, TG0 %d, IPS %d: granule 2^%d, %d levels, %d bits",
    (T0SZ, TG0, IPS, granuleLg2, levels, vaBits) => {
      const { unit, findings } = open(streamWith(plainFirst, cdOf(T0SZ, TG0, IPS)));
      expect(brief(unit.device(1)!).table).toEqual([0x100000000n, levels, vaBits, "arm_s1", granuleLg2]);
      expect(findings).toEqual([]);
    },
  );

  it("takes AP[2] for clean where hardware keeps track of writes", () => {
    for (const [c0, access] of [
      [0x0001e205c0003510n, 1],
      [0x0001ee05c0003510n, 3],
    ] as const) {
      const { unit } = open(streamWith(plainFirst, [c0, 0x100000000n]));
      expect(unit.device(1)!.table!.format.leafAccess(0x00000fc7, 0x00080000)).toBe(access);
    }
  });

  const refused: readonly (readonly [string, readonly bigint[]])[] = [
    ["invalid", [cd[0]! & ~(1n << 31n), cd[1]!]],
    ["zero", [0n]],
    ["AArch32", [cd[0]! & ~(1n << 41n), cd[1]!]],
    ["big-endian", [cd[0]! | (1n << 15n), cd[1]!]],
    ["of no granule", cdOf(16n, 3n, 5n)],
    ["of no address size", cdOf(16n, 0n, 7n)],
    ["of too many bits", cdOf(12n, 0n, 5n)],
    ["of far too many bits", cdOf(0n, 1n, 6n)],
    ["of too few bits", cdOf(49n, 0n, 5n)],
    ["of less than a page", cdOf(48n, 1n, 5n)],
    ["not aligned to a page", cdOf(16n, 0n, 5n, 0x100000040n)],
    ["not aligned to its size", cdOf(12n, 1n, 6n, 0x100001000n)],
  ];
  it.each(refused)("%s: blocked", (_, words) => {
    const { unit, findings } = open(streamWith(plainFirst, words));
    expect([...unit.devices()].map(({ device, kind }) => [device, kind])).toEqual([[1, "blocked"]]);
    expect(severitiesOf(findings)).toEqual(["error iommu-bad-context"]);
    expect(findings[0]).toMatchObject({ path: "devices[0x1]", pa: 0x300000000n, length: 64 });
  });

  it("with EPD0 translates nothing", () => {
    const { unit, findings } = open(streamWith(plainFirst, [cd[0]! | (1n << 14n), 0n]));
    expect(unit.device(1)!.kind).toBe("blocked");
    expect(findings).toEqual([]);
  });

  it("without EPD1 has another, which is not read", () => {
    const { unit, findings } = open(streamWith(plainFirst, [cd[0]! & ~(1n << 30n), ...cd.slice(1)]));
    expect(unit.device(1)!.kind).toBe("table");
    expect(severitiesOf(findings)).toEqual(["info iommu-bad-context"]);
  });

  it("that is not captured", () => {
    const { unit, findings } = open(memoryOf({ "0x200000000": plainFirst }));
    expect([...unit.devices()].map(({ kind }) => kind)).toEqual(["blocked"]);
    expect(severitiesOf(findings)).toEqual(["error memory-absent"]);
  });
});

describe("stage 2", () => {
  const ste = (S2T0SZ: bigint, S2TG: bigint, S2SL0: bigint, S2PS = 5n, more = 0n, S2TTB = 0x100000000n) => [
    0xdn,
    0n,
    (0x0448350000000001n ^ more) | ((S2T0SZ | (S2SL0 << 6n) | (S2TG << 14n) | (S2PS << 16n)) << 32n),
    S2TTB,
  ];

  it.each([
    // The table of section 4: bits, granule, levels, S2TG, SL0.
    [32, 12, 3, 0n, 1n],
    [36, 12, 3, 0n, 1n],
    [40, 12, 3, 0n, 1n],
    [42, 12, 3, 0n, 1n],
    [44, 12, 4, 0n, 2n],
    [48, 12, 4, 0n, 2n],
    [32, 14, 2, 2n, 1n],
    [40, 14, 2, 2n, 1n],
    [42, 14, 3, 2n, 2n],
    [48, 14, 3, 2n, 2n],
    [32, 16, 2, 1n, 1n],
    [42, 16, 2, 1n, 1n],
    [44, 16, 3, 1n, 2n],
    [52, 16, 3, 1n, 2n],
    // What Linux does not use: four levels less, and walks that begin with pages.
    [30, 12, 2, 0n, 0n],
    [21, 12, 1, 0n, 3n],
    [25, 14, 1, 2n, 0n],
  ])("%d bits, granule 2^%d: %d levels", (vaBits, granuleLg2, levels, S2TG, S2SL0) => {
    const { unit, findings } = open(
      streamWith(ste(64n - BigInt(vaBits), S2TG, S2SL0, vaBits === 52 ? 6n : 5n)),
    );
    expect(brief(unit.device(1)!).table).toEqual([0x100000000n, levels, vaBits, "arm_s2", granuleLg2]);
    expect(findings).toEqual([]);
  });

  it.each([
    ["of no granule", ste(20n, 3n, 2n)],
    ["of no address size", ste(20n, 0n, 2n, 7n)],
    ["of no level", ste(20n, 1n, 3n)],
    // More than 16 tables in a row, and a level for which there are no bits.
    ["of too many tables", ste(20n, 0n, 1n)],
    ["of a level too high", ste(26n, 0n, 2n)],
    ["of too many bits", ste(12n, 0n, 2n)],
    ["AArch32", ste(20n, 0n, 2n, 4n, 1n << 51n)],
    ["big-endian", ste(20n, 0n, 2n, 4n, 1n << 52n)],
    ["not aligned to its tables", ste(24n, 0n, 1n, 2n, 0n, 0x100001000n)],
  ])("%s: blocked", (_, words) => {
    const { unit, findings } = open(streamWith(words));
    expect([...unit.devices()].map(({ device, kind }) => [device, kind])).toEqual([[1, "blocked"]]);
    expect(severitiesOf(findings)).toEqual(["error iommu-bad-context"]);
    expect(findings[0]).toMatchObject({ path: "devices[0x1]", pa: 0x200000040n, length: 64 });
  });
});

describe("entries that hardware refuses", () => {
  it.each([
    ["not valid, but not empty", [0n, 1n], ["error iommu-bad-context"]],
    ["Config 1", [3n], ["error iommu-bad-context"]],
    ["Config 3", [7n], ["error iommu-bad-context"]],
    ["S1Fmt 3", [0x100000030000003bn, 2n], ["error iommu-bad-context"]],
    ["S1DSS 3", [0x100000030000000bn, 3n], ["error iommu-bad-context"]],
    ["S1CDMax 21", [0xa80000030000000bn, 2n], ["error iommu-bad-context"]],
  ] as const)("%s", (_, ste, codes) => {
    const { unit, findings } = open(streamWith(ste, cd));
    expect([...unit.devices()].map(({ kind }) => kind)).toEqual(["blocked"]);
    expect(severitiesOf(findings)).toEqual(codes);
  });

  it("do not keep the others from being listed", () => {
    const { unit, findings } = open(
      memoryOf({ "0x200000000": [3n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 9n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0xdn] }),
    );
    expect([...unit.devices()].map(({ device, kind }) => [device, kind])).toEqual([
      [0, "blocked"],
      [1, "identity"],
      [2, "blocked"],
    ]);
    expect(severitiesOf(findings)).toEqual(["error iommu-bad-context", "error iommu-bad-context"]);
  });

  it("bits that have to be zero are named, and the entry is read all the same", () => {
    const { unit, findings } = open(streamWith([0x0010_0000_0000_0009n, 1n << 24n]));
    expect(unit.device(1)!.kind).toBe("identity");
    expect(findings).toMatchObject([
      { code: "iommu-reserved-bits", severity: "error", pa: 0x200000040n, actual: "rsvd52=0x1 rsvd88=0x1" },
    ]);
  });
});
