/** VT-d second-stage page tables. */
import { entry, frameReader, maskOf, or, packWord, reservedOf } from "../entry.js";
import { INVALID, LEAF, TABLE, type TableFormat } from "../format.js";
import { IOMMU_READ, IOMMU_WRITE } from "../prot.js";

// Encodings are the same in all releases; up to 6.18 they are in drivers/iommu/intel/iommu.h.
const source = { header: "drivers/iommu/generic_pt/fmt/vtdss.h", since: "6.16" };

/** A leaf of 4 KiB. There is no present bit: an entry without R and W is none. */
export const vtdssPage = entry(
  "vtdss_page",
  {
    R: 1,
    W: 1,
    X: 1,
    EMT: 3,
    IPAT: 1,
    ign7: 1,
    A: 1,
    D: 1,
    ign10: 1,
    SNP: 1,
    ADDR: 40,
    ign52: 10,
    TM: 1,
    ign63: 1,
  },
  source,
);
/** A leaf of 2 MiB or 1 GiB. */
export const vtdssLarge = entry(
  "vtdss_large_page",
  {
    R: 1,
    W: 1,
    X: 1,
    EMT: 3,
    IPAT: 1,
    PS: 1,
    A: 1,
    D: 1,
    ign10: 1,
    SNP: 1,
    ADDR: 40,
    ign52: 10,
    TM: 1,
    ign63: 1,
  },
  source,
);
/** An entry that leads to a table. FLUSHED is the kernel's own: a walker that is not cache coherent can see the entry. */
export const vtdssTable = entry(
  "vtdss_table",
  { R: 1, W: 1, X: 1, ign3: 4, PS: 1, A: 1, ign9: 1, FLUSHED: 1, ign11: 1, ADDR: 40, ign52: 12 },
  source,
);

export interface SecondStageOptions {
  /** False if the unit walks tables past the caches: since 6.19 entries that lead to tables have FLUSHED then. */
  readonly coherent?: boolean;
  /** Leaves force snooping, as for VFIO and iommufd where the unit can. */
  readonly snoop?: boolean;
  /** False for 6.16 to 6.18, which have no FLUSHED. */
  readonly marksFlushed?: boolean;
  /** True for 6.16 to 6.18, where what can be written can be read, too. */
  readonly writeImpliesRead?: boolean;
}

export function vtdss(options: SecondStageOptions = {}): TableFormat {
  const { coherent = true, snoop = false, marksFlushed = true, writeImpliesRead = false } = options;
  const frame = frameReader(maskOf(vtdssPage, "ADDR"), 12);
  const present = or(maskOf(vtdssPage, "R", "W")).lo;
  const large = or(maskOf(vtdssLarge, "PS")).lo;
  const read = or(maskOf(vtdssPage, "R")).lo;
  const write = or(maskOf(vtdssPage, "W")).lo;
  const access = (lo: number): number =>
    ((lo & read) !== 0 ? IOMMU_READ : 0) | ((lo & write) !== 0 ? IOMMU_WRITE : 0);
  const page = { same: or(maskOf(vtdssPage, "R", "W", "ADDR")), reserved: or(reservedOf(vtdssPage)) };
  const largePage = {
    same: or(maskOf(vtdssLarge, "R", "W", "PS", "ADDR")),
    reserved: or(reservedOf(vtdssLarge)),
  };
  const FLUSHED = coherent || !marksFlushed ? 0 : 1;
  return {
    name: "vtdss",
    granuleLg2: 12,
    leafLayout: (level) => (level === 0 ? vtdssPage : vtdssLarge),
    tableLayout: vtdssTable,
    present,
    kindOf: (lo, _, level) => {
      if (level === 0) return LEAF;
      if ((lo & large) === 0) return TABLE;
      return level <= 2 ? LEAF : INVALID;
    },
    childFrame: frame,
    childLevel: (_lo, _hi, level) => level - 1,
    leafFrame: frame,
    leafLg2: (_lo, _hi, level) => 12 + 9 * level,
    leafAccess: access,
    tableAccess: access,
    same: (level) => (level === 0 ? page.same : largePage.same),
    frameStep: 1 << 12,
    leafReserved: (level) => (level === 0 ? page.reserved : largePage.reserved),
    tableReserved: or(reservedOf(vtdssTable)),
    hardwareBits: or(maskOf(vtdssPage, "A", "D")),
    leafWord(leaf, lg2, prot) {
      const rights = {
        R: prot & IOMMU_READ || (writeImpliesRead && prot & IOMMU_WRITE) ? 1 : 0,
        W: prot & IOMMU_WRITE ? 1 : 0,
        SNP: snoop ? 1 : 0,
        ADDR: leaf,
      };
      return lg2 === 12 ? packWord(vtdssPage, rights) : packWord(vtdssLarge, { ...rights, PS: 1 });
    },
    tableWord: (child) => packWord(vtdssTable, { R: 1, W: 1, FLUSHED, ADDR: child }),
  };
}
