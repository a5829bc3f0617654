/** What a VT-d unit can do, and what the driver makes of that. */
import { entry, unpackWord } from "../entry.js";

const source = { header: "drivers/iommu/intel/iommu.h", since: "6.16" };

/** The capability register, as far as it decides about tables. SAGAW, SSLPS: a bit for each width, each size. */
export const capReg = entry(
  "DMAR_CAP_REG",
  {
    ign0: 8,
    SAGAW: 5,
    ign13: 3,
    MGAW: 6,
    ign22: 12,
    SSLPS: 4,
    ign38: 18,
    FS1GP: 1,
    ign57: 3,
    FS5LP: 1,
    ign61: 3,
  },
  source,
);
/** The extended capability register, as far as it decides about tables. */
export const ecapReg = entry(
  "DMAR_ECAP_REG",
  { C: 1, ign1: 6, SC: 1, ign8: 35, SMTS: 1, ign44: 2, SSTS: 1, FSTS: 1, SMPWC: 1, ign49: 15 },
  source,
);

/** A unit as the driver finds it. */
export interface VtdCapabilities {
  /** DMAR_CAP_REG. */
  readonly cap: bigint;
  /** DMAR_ECAP_REG. */
  readonly ecap: bigint;
  /** True if the kernel uses scalable mode where a unit has it: `intel_iommu=sm_on`. */
  readonly scalable?: boolean;
}

/** What the registers of a unit say. */
export interface VtdAbilities {
  /** True if the unit is in scalable mode. */
  readonly scalable: boolean;
  /** True if pages may have first-stage tables. */
  readonly firstStage: boolean;
  /** False if the unit reads tables past the caches. */
  readonly coherent: boolean;
  /** True if leaves can force snooping. */
  readonly snoop: boolean;
  /** Bits of input addresses that the unit takes. */
  readonly mgaw: number;
  /** Heights of second-stage tables: bit n for n + 2 levels. */
  readonly sagaw: number;
  /** True if a first stage can have five levels. */
  readonly fiveLevels: boolean;
  /** Large pages, as bits of a pgsizeBitmap. */
  readonly secondStageLarge: bigint;
  readonly firstStageLarge: bigint;
  /** AW of what has no second-stage table of its own; undefined for a unit that the driver does not take. */
  readonly agaw: number | undefined;
}

const size2M = 1n << 21n;
const size1G = 1n << 30n;
/** Tables of two to five levels; the bit above is reserved. */
const heights = 0b1111;

export function abilitiesOf({ cap, ecap, scalable: wanted = false }: VtdCapabilities): VtdAbilities {
  const { SAGAW, MGAW, SSLPS, FS1GP, FS5LP } = unpackWord(capReg, cap);
  const { C, SC, SMTS, SSTS, FSTS, SMPWC } = unpackWord(ecapReg, ecap);
  const scalable = wanted && SMTS === 1;
  const firstStage = scalable && FSTS === 1;
  const sagaw = SAGAW & heights;
  const ofFirst = (1 << 2) | (FS5LP << 3);
  const usable = !firstStage ? sagaw : SSTS === 1 ? sagaw & ofFirst : ofFirst;
  return {
    scalable,
    firstStage,
    coherent: (scalable ? SMPWC : C) === 1,
    snoop: SC === 1,
    mgaw: MGAW + 1,
    sagaw,
    fiveLevels: FS5LP === 1,
    secondStageLarge: (SSLPS & 1 ? size2M : 0n) | (SSLPS & 2 ? size1G : 0n),
    firstStageLarge: size2M | (FS1GP ? size1G : 0n),
    agaw: usable === 0 ? undefined : 31 - Math.clz32(usable),
  };
}
