/** RISC-V page tables, Sv39, Sv48 and Sv57: the CPU's own. */
import { entry, frameReader, maskOf, or, packWord, reservedOf } from "../entry.js";
import { INVALID, LEAF, TABLE, type TableFormat } from "../format.js";
import { IOMMU_NOEXEC, IOMMU_READ, IOMMU_WRITE } from "../prot.js";

// Up to 7.0 in drivers/iommu/riscv/iommu.c, without X and N.
const source = { header: "drivers/iommu/generic_pt/fmt/riscv.h", since: "6.16" };

/** A leaf, of every level. N at level 0 makes it one of sixteen that are 64 KiB together. */
export const riscvLeaf = entry(
  "riscv_leaf",
  { V: 1, R: 1, W: 1, X: 1, U: 1, G: 1, A: 1, D: 1, RSW: 2, PPN: 44, rsvd54: 7, PBMT: 2, N: 1 },
  source,
);
/** An entry that leads to a table. */
export const riscvTable = entry(
  "riscv_table",
  { V: 1, R: 1, W: 1, X: 1, rsvd4: 1, G: 1, rsvd6: 2, RSW: 2, PPN: 44, rsvd54: 10 },
  source,
);

/** Low bits of PPN that say how large a leaf with N is; only 64 KiB exists. */
const napotBits = 0xf;
const napot64K = 0x8;
const ppnShift = 10;

export interface RiscvOptions {
  /** False for 6.16 to 7.0, whose leaves never allow execution. */
  readonly executable?: boolean;
  /** False for 6.16 to 7.0 on units that keep accessed and dirty bits themselves: writable leaves start clean there. */
  readonly dirty?: boolean;
}

export function riscv64({ executable = true, dirty = true }: RiscvOptions = {}): TableFormat {
  const frame = frameReader(maskOf(riscvLeaf, "PPN"), ppnShift);
  const { lo: rights } = or(maskOf(riscvLeaf, "R", "W", "X"));
  const { lo: read } = or(maskOf(riscvLeaf, "R"));
  const { lo: write } = or(maskOf(riscvLeaf, "W"));
  const { hi: napot } = or(maskOf(riscvLeaf, "N"));
  const same = or(maskOf(riscvLeaf, "V", "R", "W", "X", "PPN", "N"), reservedOf(riscvLeaf));
  const reserved = or(reservedOf(riscvLeaf));
  const isNapot = (hi: number, level: number): boolean => level === 0 && (hi & napot) !== 0;
  const everything = IOMMU_READ | IOMMU_WRITE;
  return {
    name: "riscv64",
    granuleLg2: 12,
    leafLayout: () => riscvLeaf,
    tableLayout: riscvTable,
    present: or(maskOf(riscvLeaf, "V")).lo,
    kindOf(lo, hi, level) {
      if ((lo & rights) === 0) return level === 0 ? INVALID : TABLE;
      // What can be written can be read, or means something else one day.
      if ((lo & (read | write)) === write) return INVALID;
      if ((hi & napot) === 0) return LEAF;
      return level === 0 && frame(lo, hi) % (napotBits + 1) === napot64K ? LEAF : INVALID;
    },
    childFrame: frame,
    childLevel: (_lo, _hi, level) => level - 1,
    leafFrame: (lo, hi, level) => (isNapot(hi, level) ? frame(lo, hi) - napot64K : frame(lo, hi)),
    leafLg2: (_, hi, level) => (isNapot(hi, level) ? 16 : 12 + 9 * level),
    leafAccess: (lo) => ((lo & read) !== 0 ? IOMMU_READ : 0) | ((lo & write) !== 0 ? IOMMU_WRITE : 0),
    tableAccess: () => everything,
    same: () => same,
    frameStep: 1 << ppnShift,
    leafReserved: () => reserved,
    tableReserved: or(reservedOf(riscvTable)),
    hardwareBits: or(maskOf(riscvLeaf, "A", "D")),
    leafWord: (leaf, lg2, prot) =>
      packWord(riscvLeaf, {
        V: 1,
        R: 1,
        W: prot & IOMMU_WRITE ? 1 : 0,
        X: executable && !(prot & IOMMU_NOEXEC) ? 1 : 0,
        U: 1,
        A: 1,
        D: dirty && prot & IOMMU_WRITE ? 1 : 0,
        PPN: lg2 === 16 ? leaf + napot64K : leaf,
        N: lg2 === 16 ? 1 : 0,
      }),
    tableWord: (child) => packWord(riscvTable, { V: 1, PPN: child }),
  };
}
