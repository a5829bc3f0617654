/** What the driver decides about page tables and device structures before there are any. */
import { sizeOf, type ValueOf } from "../../../src/layout/index.js";
import type { DomainOptions } from "../domain.js";
import { frameLg2, iommuAbi, unpackWord } from "../entry.js";
import { x86Format } from "../x86.js";
import {
  devTableEntry,
  fewestGuestLevels,
  gcr3EntriesLg2,
  mmioExtFeatures,
  mostGuestLevels,
} from "./layout.js";
import { amdv1 } from "./v1.js";

export interface AmdCapabilities {
  /**
   * Extended features as the driver goes by them: those of the firmware's IVHD blocks. Blocks of type 10h have none: then it
   * is 0, whatever the register says.
   */
  readonly efr: bigint;
  /** VASize of the firmware's IVinfo, bits 21:15: bits of input addresses of v1 tables, 0 if it does not say. */
  readonly vaSize?: number;
  /** The CPU has page tables of five levels, and uses them. */
  readonly la57?: boolean;
  /** The bit of an address that says that memory is encrypted, as a mask; 0 unless the host encrypts memory. */
  readonly smeMask?: bigint;
}

const sizes = (from: number, to: number): bigint => (1n << BigInt(to + 1)) - (1n << BigInt(from));

/** Bits of physical addresses of both formats. */
const paBits = 52;
/** Leaves of 4 KiB, 2 MiB and 1 GiB. */
const cpuSizes = (1n << 12n) | (1n << 21n) | (1n << 30n);
/** Leaves of 512 GiB, which the driver never uses. */
const unusedSize = 1n << 39n;
/** Levels that a v1 table begins with, whatever the hardware has. */
const firstLevels = 3;

/** Command-line options that limit the leaves of v1 tables: `amd_iommu=nohugepages`, `amd_iommu=v2_pgsizes_only`. */
export type PageSizes = "all" | "nohugepages" | "v2_pgsizes_only";

const allowed: Readonly<Record<PageSizes, bigint>> = {
  all: ~0n,
  nohugepages: 1n << 12n,
  v2_pgsizes_only: cpuSizes,
};

export interface V1Options {
  readonly pageSizes?: PageSizes;
  /** True for 6.16 to 6.18, where leaves of up to 2 PiB do not depend on the width of input addresses. */
  readonly anyWidth?: boolean;
}

/** A domain with a v1 table; undefined for hardware that has none. */
export function v1Options(
  capabilities: AmdCapabilities,
  { pageSizes = "all", anyWidth = false }: V1Options = {},
): DomainOptions | undefined {
  const { efr, vaSize = 0, smeMask = 0n } = capabilities;
  const { HATS } = featuresOf(efr);
  if (HATS > 2) return undefined;
  const decoded = (HATS + 3) * 9 + 21;
  const vaBits = Math.min(vaSize === 0 ? 64 : vaSize, decoded, 64);
  const largest = anyWidth ? paBits - 1 : Math.min(paBits - 1, vaBits - 2);
  return {
    format: amdv1({ smeMask }),
    levels: firstLevels,
    vaBits,
    paBits,
    pgsizeBitmap: sizes(frameLg2, largest) & ~unusedSize & allowed[pageSizes],
    grows: true,
  };
}

/** Levels of v2 tables, of all devices alike. */
export const guestLevels = ({ efr, la57 = false }: AmdCapabilities): number =>
  la57 && featuresOf(efr).GATS > 0 ? mostGuestLevels : fewestGuestLevels;

/**
 * A domain with a v2 table. The highest bit of addresses is not used, so that they are the same with and without sign
 * extension.
 * @param alwaysDirty true for 6.16 to 6.18, whose leaves are dirty from the start
 */
export function v2Options(capabilities: AmdCapabilities, alwaysDirty = false): DomainOptions {
  const { smeMask = 0n } = capabilities;
  const levels = guestLevels(capabilities);
  return {
    format: x86Format({ smeMask, alwaysDirty }),
    levels,
    vaBits: frameLg2 + 9 * levels - 1,
    paBits,
    pgsizeBitmap: cpuSizes,
  };
}

const featuresOf = (efr: bigint): ValueOf<typeof mmioExtFeatures> => unpackWord(mmioExtFeatures, efr);

/** Bytes of a device table: a power of two, and at least a page. `lastBdf` is below 2^16. */
export const deviceTableBytes = (lastBdf: number): number =>
  Math.max(2 ** frameLg2, powerOfTwo((lastBdf + 1) * sizeOf(devTableEntry, iommuAbi)));

/** The smallest power of two that is not below a count from 1 to 2^31. */
const powerOfTwo = (count: number): number => 2 ** (32 - Math.clz32(count - 1));

/** Levels of a GCR3 table for a number of PASIDs, 1 to 2^20. `GLX` is one less. */
export function gcr3LevelsFor(pasids: number): number {
  let levels = 1;
  while (2 ** (gcr3EntriesLg2 * levels) < pasids) levels++;
  return levels;
}
