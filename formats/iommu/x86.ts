/** Page tables as x86 CPUs have them: VT-d's first stage, AMD's v2, and the CPU's own where a device shares them (SVA). */
import { entry, frameReader, maskOf, or, packWord, reservedOf } from "./entry.js";
import { INVALID, LEAF, TABLE, type TableFormat } from "./format.js";
import { IOMMU_MMIO, IOMMU_READ, IOMMU_WRITE } from "./prot.js";

// Encodings are the same in all releases but for AMD's D; up to 6.18 in drivers/iommu/{intel/iommu.h,amd/io_pgtable_v2.c}.
const source = { header: "drivers/iommu/generic_pt/fmt/x86_64.h", since: "6.16" };

/** A leaf of 4 KiB. */
export const x86Page = entry(
  "x86_64_page",
  {
    P: 1,
    RW: 1,
    US: 1,
    PWT: 1,
    PCD: 1,
    A: 1,
    D: 1,
    PAT: 1,
    G: 1,
    ign9: 1,
    EA: 1,
    ign11: 1,
    ADDR: 40,
    ign52: 11,
    XD: 1,
  },
  source,
);
/** A leaf of 2 MiB or 1 GiB. */
export const x86Large = entry(
  "x86_64_large_page",
  {
    P: 1,
    RW: 1,
    US: 1,
    PWT: 1,
    PCD: 1,
    A: 1,
    D: 1,
    PS: 1,
    G: 1,
    ign9: 1,
    EA: 1,
    ign11: 1,
    PAT: 1,
    ADDR: 39,
    ign52: 11,
    XD: 1,
  },
  source,
);
/** An entry that leads to a table. FLUSHED is the kernel's own: a walker that is not cache coherent can see the entry. */
export const x86Table = entry(
  "x86_64_table",
  {
    P: 1,
    RW: 1,
    US: 1,
    PWT: 1,
    PCD: 1,
    A: 1,
    ign6: 1,
    PS: 1,
    ign8: 1,
    FLUSHED: 1,
    EA: 1,
    ign11: 1,
    ADDR: 40,
    ign52: 11,
    XD: 1,
  },
  source,
);

export interface X86Options {
  /** False if the unit walks tables past the caches: since 6.19 entries that lead to tables have FLUSHED then. */
  readonly coherent?: boolean;
  /** False for 6.16 to 6.18, which have no FLUSHED. */
  readonly marksFlushed?: boolean;
  /** The bit of an address that says that memory is encrypted, as a mask; 0 unless the host encrypts memory. AMD alone. */
  readonly smeMask?: bigint;
  /** True for AMD's v2 tables of 6.16 to 6.18, where leaves that cannot be written are dirty, too. */
  readonly alwaysDirty?: boolean;
}

export function x86Format(options: X86Options = {}): TableFormat {
  const { coherent = true, marksFlushed = true, smeMask = 0n, alwaysDirty = false } = options;
  const pageAddress = maskOf(x86Page, "ADDR") & ~smeMask;
  const largeAddress = maskOf(x86Large, "ADDR") & ~smeMask;
  const pageFrame = frameReader(pageAddress, 12);
  const largeFrame = frameReader(largeAddress, 12);
  const large = or(maskOf(x86Large, "PS")).lo;
  const write = or(maskOf(x86Page, "RW")).lo;
  const access = (lo: number): number => ((lo & write) !== 0 ? IOMMU_READ | IOMMU_WRITE : IOMMU_READ);
  const page = { same: or(maskOf(x86Page, "P", "RW"), pageAddress), reserved: or(reservedOf(x86Page)) };
  const largePage = {
    same: or(maskOf(x86Large, "P", "RW", "PS"), largeAddress),
    reserved: or(reservedOf(x86Large)),
  };
  const FLUSHED = coherent || !marksFlushed ? 0 : 1;
  return {
    name: "x86_64",
    granuleLg2: 12,
    leafLayout: (level) => (level === 0 ? x86Page : x86Large),
    tableLayout: x86Table,
    present: or(maskOf(x86Page, "P")).lo,
    kindOf: (lo, _, level) => {
      if (level === 0) return LEAF;
      if ((lo & large) === 0) return TABLE;
      return level <= 2 ? LEAF : INVALID;
    },
    childFrame: pageFrame,
    childLevel: (_lo, _hi, level) => level - 1,
    leafFrame: (lo, hi, level) => (level === 0 ? pageFrame(lo, hi) : largeFrame(lo, hi)),
    leafLg2: (_lo, _hi, level) => 12 + 9 * level,
    leafAccess: access,
    tableAccess: access,
    same: (level) => (level === 0 ? page.same : largePage.same),
    frameStep: 1 << 12,
    leafReserved: (level) => (level === 0 ? page.reserved : largePage.reserved),
    tableReserved: or(reservedOf(x86Table)),
    hardwareBits: or(maskOf(x86Page, "A", "D")),
    leafWord(frame, lg2, prot) {
      const writable = prot & IOMMU_WRITE ? 1 : 0;
      const rights = { P: 1, RW: writable, US: 1, A: 1, D: alwaysDirty ? 1 : writable };
      const leaf =
        lg2 === 12
          ? packWord(x86Page, { ...rights, ADDR: frame })
          : packWord(x86Large, { ...rights, PS: 1, ADDR: frame / 2 });
      return prot & IOMMU_MMIO ? leaf : leaf | smeMask;
    },
    tableWord: (child) => packWord(x86Table, { P: 1, RW: 1, US: 1, A: 1, FLUSHED, ADDR: child }) | smeMask,
  };
}
