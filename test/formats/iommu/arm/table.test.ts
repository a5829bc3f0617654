import { describe, expect, it } from "vitest";
import { type ArmOptions, armFormat } from "../../../../formats/iommu/arm/table.js";
import { frameOf, halvesOf } from "../../../../formats/iommu/entry.js";
import { EMPTY, INVALID, LEAF, TABLE } from "../../../../formats/iommu/format.js";

const R = 1;
const W = 2;
const CACHE = 4;
const NOEXEC = 8;
const MMIO = 16;
const PRIV = 32;

const stage1 = { stage: 1, granuleLg2: 12 } as const;
const stage2 = { stage: 2, granuleLg2: 12 } as const;

/** The low bits of a leaf, from the specification: sections 5.2, 5.3 and 7. */
const leaves: readonly [options: ArmOptions, pa: bigint, lg2: number, prot: number, word: bigint][] = [
  [stage1, 0n, 12, R | W | CACHE, 0xf47n],
  [stage1, 0n, 12, R | CACHE, 0xfc7n],
  [stage1, 0n, 12, R | W, 0xe43n],
  [stage1, 0n, 12, R, 0xec3n],
  [stage1, 0n, 12, W | MMIO | NOEXEC, 0x0060000000000e4bn],
  [stage1, 0n, 21, R | W | CACHE, 0xf45n],
  [stage1, 0n, 30, R, 0xec1n],
  // Attribute 2, but inner shareable.
  [stage1, 0n, 12, R | W | CACHE | MMIO, 0xf4bn],
  [stage1, 0xfee00000n, 12, W | NOEXEC | MMIO, 0x00600000fee00e4bn],
  [{ ...stage1, dirtyTracking: true }, 0x200000000n, 12, R | W | CACHE, 0x0008000200000f47n],
  [{ ...stage1, dirtyTracking: true }, 0x200001000n, 12, W, 0x0008000200001e43n],
  [{ ...stage1, dirtyTracking: true }, 0x200002000n, 12, R | W | CACHE | PRIV, 0x0008000200002f07n],
  [{ ...stage1, dirtyTracking: true }, 0n, 12, R | CACHE, 0xfc7n],
  [stage2, 0n, 12, R | W | CACHE, 0x7ffn],
  [{ ...stage2, s2fwb: true }, 0n, 12, R | W | CACHE, 0x7dbn],
  [stage2, 0n, 12, R | W, 0x6d7n],
  [{ ...stage2, s2fwb: true }, 0n, 12, R | W, 0x6d7n],
  [stage2, 0n, 12, R, 0x657n],
  [stage2, 0n, 12, W | MMIO | NOEXEC, 0x0060000000000687n],
  [stage2, 0x240000000n, 21, R, 0x0000000240000655n],
  [stage2, 0x280000000n, 30, R | W, 0x00000002800006d5n],
  // Privilege is nothing that stage 2 knows.
  [stage2, 0n, 12, R | W | CACHE | PRIV, 0x7ffn],
  [{ stage: 1, granuleLg2: 14 }, 0x240000000n, 25, R | CACHE, 0x0000000240000fc5n],
  [{ stage: 1, granuleLg2: 16 }, 0x5000200000000n, 16, R | W | CACHE, 0x0000000200005f47n],
  [{ stage: 1, granuleLg2: 16 }, 0xc000240000000n, 29, R | W | CACHE, 0x000000024000cf45n],
  [{ stage: 1, granuleLg2: 16 }, 0xf00000000000n, 42, R | W | CACHE, 0x0000f00000000f45n],
];

describe("leaves", () => {
  it.each(leaves)("%j, PA %d, 2^%d bytes, prot %d: %d", (options, pa, lg2, prot, word) => {
    const format = armFormat(options);
    const level = (lg2 - options.granuleLg2) / (options.granuleLg2 - 3);
    const { lo, hi } = halvesOf(word);
    expect(format.leafWord(frameOf(pa), lg2, prot)).toBe(word);
    expect(format.kindOf(lo, hi, level)).toBe(LEAF);
    expect(format.leafLg2(lo, hi, level)).toBe(lg2);
    expect(format.leafFrame(lo, hi, level)).toBe(frameOf(pa));
    // Stage 1 has no pages that can only be written.
    expect(format.leafAccess(lo, hi)).toBe(options.stage === 1 ? R | (prot & W) : prot & (R | W));
    const reserved = format.leafReserved(level);
    expect([lo & reserved.lo, hi & reserved.hi]).toEqual([0, 0]);
  });
});

describe("access", () => {
  const plain = armFormat(stage1);
  const tracking = armFormat({ ...stage1, dirtyTracking: true });
  const second = armFormat(stage2);

  /** A page of stage 1: AP[2], DBM. */
  const page = (readOnly: number, dbm: number) =>
    halvesOf((BigInt(dbm) << 51n) | (BigInt(readOnly) << 7n) | 0xf47n);

  it.each([
    [0, 0, R | W, R | W],
    [0, 1, R | W, R | W],
    [1, 0, R, R],
    // Clean: the first write makes it writable, if the SMMU keeps track of that.
    [1, 1, R, R | W],
  ])("AP[2] %d and DBM %d: %d, with dirty tracking %d", (readOnly, dbm, without, withTracking) => {
    const { lo, hi } = page(readOnly, dbm);
    expect(plain.leafAccess(lo, hi)).toBe(without);
    expect(tracking.leafAccess(lo, hi)).toBe(withTracking);
  });

  it("without AP[1] privileged requests have the same rights", () => {
    const { lo, hi } = halvesOf(0xf07n);
    expect(plain.leafAccess(lo, hi)).toBe(R | W);
  });

  it.each([
    [0n, 0],
    [1n, R],
    [2n, W],
    [3n, R | W],
  ])("S2AP %d: %d", (s2ap, access) => {
    const { lo, hi } = halvesOf((s2ap << 6n) | 0x73fn);
    expect(second.leafAccess(lo, hi)).toBe(access);
  });

  // APTable[0] keeps unprivileged requests out, APTable[1] writes. XNTable, PXNTable and NSTable say nothing about either.
  it.each([
    [0n, R | W],
    [1n << 61n, R | W],
    [1n << 62n, R],
    [3n << 61n, R],
    [1n << 60n, R | W],
    [1n << 59n, R | W],
    [1n << 63n, R | W],
  ])("a table entry of stage 1 with %d leaves %d", (bits, access) => {
    const { lo, hi } = halvesOf(0x100001003n | bits);
    expect(plain.kindOf(lo, hi, 1)).toBe(TABLE);
    expect(plain.tableAccess(lo, hi)).toBe(access);
    expect(second.tableAccess(lo, hi)).toBe(R | W);
  });

  it("XN takes no rights away", () => {
    const { lo, hi } = halvesOf(0x0060000000000f47n);
    expect(plain.leafAccess(lo, hi)).toBe(R | W);
    const stage2Leaf = halvesOf(0x00600000000007ffn);
    expect(second.leafAccess(stage2Leaf.lo, stage2Leaf.hi)).toBe(R | W);
  });

  it("hardware changes AP[2], and only where it keeps track of writes", () => {
    expect(tracking.hardwareBits).toEqual({ lo: 0x80, hi: 0 });
    expect(plain.hardwareBits).toEqual({ lo: 0, hi: 0 });
    expect(second.hardwareBits).toEqual({ lo: 0, hi: 0 });
  });
});

describe("kinds of entries", () => {
  // By level from the smallest pages upward: what type 1 is. Type 3 is a page at level 0 and a table above.
  it.each([
    [12, 52, [INVALID, LEAF, LEAF, INVALID]],
    [14, 52, [INVALID, LEAF, INVALID, INVALID]],
    [16, 52, [INVALID, LEAF, LEAF]],
    [16, 48, [INVALID, LEAF, INVALID]],
  ] as const)("granule 2^%d, %d bits", (granuleLg2, paBits, blocks) => {
    const format = armFormat({ stage: 1, granuleLg2, paBits });
    for (const [level, kind] of blocks.entries()) {
      expect(format.kindOf(0xf45, 0, level), `type 1 at ${level}`).toBe(kind);
      expect(format.kindOf(0xf47, 0, level), `type 3 at ${level}`).toBe(level === 0 ? LEAF : TABLE);
    }
  });

  it("types 0 and 2 are none", () => {
    const { present } = armFormat(stage1);
    expect([0xf44 & present, 0xf46 & present, 0 & present]).toEqual([EMPTY, EMPTY, EMPTY]);
    expect(0xf45 & present).not.toBe(0);
  });
});

describe("bits that have to be zero", () => {
  const reserved = (options: ArmOptions, which: "leaf" | "table") => {
    const format = armFormat(options);
    const { lo, hi } = which === "leaf" ? format.leafReserved(0) : format.tableReserved;
    return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  };

  it.each([
    // Bit 50 of a leaf of stage 1 is the CPU's.
    [{ stage: 1, granuleLg2: 12 }, 0x0003_0000_0000_0000n, 0x0007_0000_0000_0000n],
    [{ stage: 2, granuleLg2: 12 }, 0x0007_0000_0000_0000n, 0x0007_0000_0000_0000n],
    [{ stage: 1, granuleLg2: 14 }, 0x0003_0000_0000_3000n, 0x0007_0000_0000_3000n],
    [{ stage: 1, granuleLg2: 16 }, 0x0003_0000_0000_0000n, 0x0007_0000_0000_0000n],
    [{ stage: 1, granuleLg2: 16, paBits: 48 }, 0x0003_0000_0000_f000n, 0x0007_0000_0000_f000n],
  ] as const)("%j", (options, leaf, table) => {
    expect(reserved(options, "leaf")).toBe(leaf);
    expect(reserved(options, "table")).toBe(table);
  });

  it("are no part of addresses", () => {
    const { childFrame, leafFrame } = armFormat({ stage: 1, granuleLg2: 14 });
    const { lo, hi } = halvesOf(0x0007_0001_0000_7003n);
    expect(childFrame(lo, hi)).toBe(0x100004);
    expect(leafFrame(lo, hi, 0)).toBe(0x100004);
  });
});

describe("table entries", () => {
  it.each([
    [stage1, 0x100001000n, 0x0000000100001003n],
    [{ ...stage1, coherent: false }, 0x100001000n, 0x0080000100001003n],
    [{ stage: 1, granuleLg2: 14 }, 0x10000c000n, 0x000000010000c003n],
    [{ stage: 1, granuleLg2: 16 }, 0x100010000n, 0x0000000100010003n],
    [{ stage: 2, granuleLg2: 16 }, 0xa000100010000n, 0x000000010001a003n],
  ] as const)("%j to %d", (options, pa, word) => {
    const format = armFormat(options);
    const { lo, hi } = halvesOf(word);
    expect(format.tableWord(frameOf(pa), 1)).toBe(word);
    expect(format.childFrame(lo, hi)).toBe(frameOf(pa));
  });
});
