/** ARM's VMSAv8-64 page tables, as SMMUv3 walks them: two stages, three granules. VMSA counts levels from the top down to 3. */
import { entry, frameLg2, frameReader, halvesOf, maskOf, or, packWord, reservedOf } from "../entry.js";
import { INVALID, itemLg2, LEAF, TABLE, type TableFormat } from "../format.js";
import {
  type Access,
  IOMMU_CACHE,
  IOMMU_MMIO,
  IOMMU_NOEXEC,
  IOMMU_PRIV,
  IOMMU_READ,
  IOMMU_WRITE,
} from "../prot.js";

const source = { header: "drivers/iommu/io-pgtable-arm.c", since: "6.16" };

/**
 * A leaf of stage 1. AP holds AP[2:1]: its high bit is read-only, its low one lets unprivileged accesses through. ADDR is that
 * of all granules: what of it is below a granule is zero, or PA[51:48]. GP is of the CPU alone, whose tables SVA shares.
 */
export const armStage1Leaf = entry(
  "arm_lpae_s1_leaf",
  {
    VALID: 1,
    TYPE: 1,
    AttrIndx: 3,
    NS: 1,
    AP: 2,
    SH: 2,
    AF: 1,
    nG: 1,
    ADDR: 36,
    rsvd48: 2,
    GP: 1,
    DBM: 1,
    Contiguous: 1,
    PXN: 1,
    UXN: 1,
    SW: 1,
    ign56: 8,
  },
  source,
);
/** A leaf of stage 2. S2AP holds read, then write. */
export const armStage2Leaf = entry(
  "arm_lpae_s2_leaf",
  {
    VALID: 1,
    TYPE: 1,
    MemAttr: 4,
    S2AP: 2,
    SH: 2,
    AF: 1,
    ign11: 1,
    ADDR: 36,
    rsvd48: 3,
    DBM: 1,
    Contiguous: 1,
    XN: 2,
    SW: 1,
    ign56: 8,
  },
  source,
);
/** An entry that leads to a table. SW_SYNC is the kernel's own: a walker that is not cache coherent can see the entry. */
export const armTable = entry(
  "arm_lpae_table",
  {
    VALID: 1,
    TYPE: 1,
    ign2: 10,
    ADDR: 36,
    rsvd48: 3,
    ign51: 4,
    SW_SYNC: 1,
    ign56: 3,
    PXNTable: 1,
    XNTable: 1,
    APTable: 2,
    NSTable: 1,
  },
  source,
);

export interface ArmOptions {
  readonly stage: 1 | 2;
  /** Base-2 logarithm of the granule: 12, 14 or 16. */
  readonly granuleLg2: number;
  /** False if the SMMU walks tables past the caches: entries that lead to tables have SW_SYNC then. */
  readonly coherent?: boolean;
  /** Bits of physical addresses, 52 unless given. With 48 and less, 64K tables have neither PA[51:48] nor leaves of 4 TiB. */
  readonly paBits?: number;
  /** Stage 1: writable leaves have DBM, and hardware makes them writable when they are written to. Else it ignores DBM. */
  readonly dirtyTracking?: boolean;
  /** Stage 2: memory attributes of parents of nested domains, where the SMMU can force write-back. */
  readonly s2fwb?: boolean;
}

/** Indices into MAIR as the driver fills it. */
const attribute = { nonCacheable: 0, cached: 1, device: 2 };
const memAttr = { device: 1, nonCacheable: 5, cached: 0xf, cachedForced: 6 };
const shareable = { outer: 2, inner: 3 };

/** Frames in 2^48 bytes. Tables of 64K keep PA[51:48] where PA[15:12] would be. */
const lowFrames = 2 ** 36;

/** True if tables hold addresses of more than 48 bits. */
const isWide = (granuleLg2: number, paBits: number): boolean => granuleLg2 === 16 && paBits > 48;

/** Highest level at which a leaf can be: 1 GiB, 32 MiB, and 512 MiB or 4 TiB. Counted from the smallest pages upward. */
export const highestLeafLevel = (granuleLg2: number, paBits: number): number =>
  granuleLg2 === 12 || isWide(granuleLg2, paBits) ? 2 : 1;

/** The higher one of a field's two bits. */
const highBit = (field: bigint): bigint => field & (field << 1n);

export function armFormat(options: ArmOptions): TableFormat {
  const { stage, granuleLg2, coherent = true, paBits = 52, dirtyTracking = false, s2fwb = false } = options;
  const leaf = stage === 1 ? armStage1Leaf : armStage2Leaf;
  const wide = isWide(granuleLg2, paBits);
  const address = maskOf(armTable, "ADDR");
  /** Bits of an address that are zero in every table and page. */
  const unused = wide ? 0n : address & ((1n << BigInt(granuleLg2)) - 1n);
  const plain = frameReader(address & ~unused, frameLg2);
  const frame = !wide
    ? plain
    : (lo: number, hi: number): number => {
        const encoded = plain(lo, hi);
        const low = encoded % 16;
        return encoded - low + low * lowFrames;
      };
  const encode = (pa: number): number => (pa % lowFrames) + Math.floor(pa / lowFrames);
  const { lo: type } = or(maskOf(armTable, "TYPE"));
  const highest = highestLeafLevel(granuleLg2, paBits);
  const reserved = or(reservedOf(leaf), unused);
  const common = maskOf(armTable, "VALID", "TYPE", "ADDR") | reservedOf(leaf);
  const rights = stage === 1 ? maskOf(armStage1Leaf, "AP", "DBM") : maskOf(armStage2Leaf, "S2AP");
  const same = or(common, rights);
  const leafAccess = stage === 1 ? stage1Access(dirtyTracking) : stage2Access();
  const { hi: readOnlyBelow } = halvesOf(highBit(maskOf(armTable, "APTable")));
  return {
    name: stage === 1 ? "arm_s1" : "arm_s2",
    granuleLg2,
    leafLayout: () => leaf,
    tableLayout: armTable,
    present: or(maskOf(armTable, "VALID")).lo,
    kindOf(lo, _, level) {
      if (level === 0) return (lo & type) !== 0 ? LEAF : INVALID;
      if ((lo & type) !== 0) return TABLE;
      return level <= highest ? LEAF : INVALID;
    },
    childFrame: frame,
    childLevel: (_lo, _hi, level) => level - 1,
    leafFrame: frame,
    leafLg2: (_lo, _hi, level) => itemLg2({ granuleLg2 }, level),
    leafAccess,
    tableAccess: (_, hi) =>
      stage === 1 && (hi & readOnlyBelow) !== 0 ? IOMMU_READ : IOMMU_READ | IOMMU_WRITE,
    same: () => same,
    frameStep: 1 << frameLg2,
    leafReserved: () => reserved,
    tableReserved: or(reservedOf(armTable), unused),
    hardwareBits: stage === 1 && dirtyTracking ? or(highBit(maskOf(armStage1Leaf, "AP"))) : or(),
    leafWord(pa, lg2, prot) {
      const cached = (prot & IOMMU_CACHE) !== 0;
      const device = (prot & IOMMU_MMIO) !== 0;
      const noExecute = (prot & IOMMU_NOEXEC) !== 0;
      const both = {
        VALID: 1,
        TYPE: lg2 === granuleLg2 ? 1 : 0,
        SH: cached ? shareable.inner : shareable.outer,
        AF: 1,
        ADDR: encode(pa),
      };
      if (stage === 2)
        return packWord(armStage2Leaf, {
          ...both,
          MemAttr: device
            ? memAttr.device
            : !cached
              ? memAttr.nonCacheable
              : s2fwb
                ? memAttr.cachedForced
                : memAttr.cached,
          S2AP: prot & (IOMMU_READ | IOMMU_WRITE),
          XN: noExecute ? 3 : 0,
        });
      const writable = (prot & IOMMU_WRITE) !== 0;
      return packWord(armStage1Leaf, {
        ...both,
        AttrIndx: device ? attribute.device : cached ? attribute.cached : attribute.nonCacheable,
        AP: (writable ? 0 : 2) | (prot & IOMMU_PRIV ? 0 : 1),
        nG: 1,
        DBM: dirtyTracking && writable ? 1 : 0,
        PXN: noExecute ? 1 : 0,
        UXN: noExecute ? 1 : 0,
      });
    },
    tableWord: (child) =>
      packWord(armTable, { VALID: 1, TYPE: 1, ADDR: encode(child), SW_SYNC: coherent ? 0 : 1 }),
  };
}

function stage1Access(dirtyTracking: boolean): (lo: number, hi: number) => Access {
  const { lo: readOnly } = halvesOf(highBit(maskOf(armStage1Leaf, "AP")));
  const { hi: dbm } = or(dirtyTracking ? maskOf(armStage1Leaf, "DBM") : 0n);
  // Read-only with DBM is writable: the first write clears the bit.
  return (lo, hi) => ((lo & readOnly) === 0 || (hi & dbm) !== 0 ? IOMMU_READ | IOMMU_WRITE : IOMMU_READ);
}

function stage2Access(): (lo: number) => Access {
  const { lo: field } = or(maskOf(armStage2Leaf, "S2AP"));
  const shift = 31 - Math.clz32(field & -field);
  return (lo) => (lo & field) >>> shift;
}
