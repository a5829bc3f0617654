/** AMD's own page tables, v1: leaves of every power of two, and tables that grow in height. */
import { entry, frameReader, maskOf, or, packWord, reservedOf } from "../entry.js";
import { INVALID, LEAF, TABLE, type TableFormat } from "../format.js";
import { IOMMU_MMIO, IOMMU_READ, IOMMU_WRITE } from "../prot.js";

// Encodings are the same in all releases; up to 6.18 they are in drivers/iommu/amd/amd_iommu_types.h.
const source = { header: "drivers/iommu/generic_pt/fmt/amdv1.h", since: "6.16" };

/** A leaf. With NEXT_LEVEL 7 the low bits of ADDR encode its size, with 0 it has that of its level. */
export const amdv1Leaf = entry(
  "amdv1_leaf",
  {
    PR: 1,
    ign1: 4,
    A: 1,
    D: 1,
    ign7: 2,
    NEXT_LEVEL: 3,
    ADDR: 40,
    rsvd52: 7,
    U: 1,
    FC: 1,
    IR: 1,
    IW: 1,
    ign63: 1,
  },
  source,
);
/** An entry that leads to a table, which has NEXT_LEVEL levels. */
export const amdv1Table = entry(
  "amdv1_table",
  { PR: 1, ign1: 4, A: 1, ign6: 3, NEXT_LEVEL: 3, ADDR: 40, rsvd52: 7, rsvd59: 2, IR: 1, IW: 1, ign63: 1 },
  source,
);

/** NEXT_LEVEL of a leaf whose address encodes its size. */
const encodedSize = 7;

/** Trailing ones of a frame, below 2^40. */
function trailingOnes(frame: number): number {
  let ones = 0;
  let rest = frame;
  while (rest % 2 === 1) {
    ones++;
    rest = (rest - 1) / 2;
  }
  return ones;
}

/** @param smeMask the bit of an address that says that memory is encrypted; 0 unless the host encrypts memory */
export function amdv1({ smeMask = 0n }: { readonly smeMask?: bigint } = {}): TableFormat {
  const address = maskOf(amdv1Leaf, "ADDR") & ~smeMask;
  const frame = frameReader(address, 12);
  const { lo: nextMask } = or(maskOf(amdv1Leaf, "NEXT_LEVEL"));
  const nextShift = 31 - Math.clz32(nextMask & -nextMask);
  const next = (lo: number): number => (lo & nextMask) >>> nextShift;
  const { hi: read } = or(maskOf(amdv1Leaf, "IR"));
  const { hi: write } = or(maskOf(amdv1Leaf, "IW"));
  const access = (_: number, hi: number): number =>
    ((hi & read) !== 0 ? IOMMU_READ : 0) | ((hi & write) !== 0 ? IOMMU_WRITE : 0);
  const leafLg2 = (lo: number, hi: number, level: number): number =>
    next(lo) === encodedSize ? 13 + trailingOnes(frame(lo, hi)) : 12 + 9 * level;
  const same = or(maskOf(amdv1Leaf, "PR", "NEXT_LEVEL", "IR", "IW"), reservedOf(amdv1Leaf), address);
  const reserved = or(reservedOf(amdv1Leaf));
  return {
    name: "amdv1",
    granuleLg2: 12,
    leafLayout: () => amdv1Leaf,
    tableLayout: amdv1Table,
    present: or(maskOf(amdv1Leaf, "PR")).lo,
    kindOf(lo, hi, level) {
      const nl = next(lo);
      if (nl === encodedSize) {
        const over = leafLg2(lo, hi, level) - 12 - 9 * level;
        return over >= 1 && over <= 8 ? LEAF : INVALID;
      }
      if (nl === 0) return level < 5 ? LEAF : INVALID;
      return nl <= level ? TABLE : INVALID;
    },
    childFrame: frame,
    childLevel: (lo) => next(lo) - 1,
    leafFrame(lo, hi) {
      const encoded = frame(lo, hi);
      return next(lo) === encodedSize ? encoded - (2 ** trailingOnes(encoded) - 1) : encoded;
    },
    leafLg2,
    leafAccess: access,
    tableAccess: access,
    same: () => same,
    frameStep: 1 << 12,
    leafReserved: () => reserved,
    tableReserved: or(reservedOf(amdv1Table)),
    hardwareBits: or(maskOf(amdv1Leaf, "A", "D")),
    leafWord(leaf, lg2, prot) {
      const isDefault = (lg2 - 12) % 9 === 0;
      const bits = packWord(amdv1Leaf, {
        PR: 1,
        NEXT_LEVEL: isDefault ? 0 : encodedSize,
        ADDR: isDefault ? leaf : leaf + 2 ** (lg2 - 13) - 1,
        FC: 1,
        IR: prot & IOMMU_READ ? 1 : 0,
        IW: prot & IOMMU_WRITE ? 1 : 0,
      });
      return prot & IOMMU_MMIO ? bits : bits | smeMask;
    },
    tableWord: (child, level) =>
      packWord(amdv1Table, { PR: 1, NEXT_LEVEL: level, ADDR: child, IR: 1, IW: 1 }) | smeMask,
  };
}
