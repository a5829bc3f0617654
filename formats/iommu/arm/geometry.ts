/** How large page tables are: what the driver decides when it makes a domain. drivers/iommu/io-pgtable-arm.c and arm-smmu-v3.c */
import { KhoError } from "../../../src/report/error.js";
import type { DomainOptions } from "../domain.js";
import { entriesOf, itemLg2 } from "../format.js";
import { addressSizes } from "./layout.js";
import { armFormat, highestLeafLevel } from "./table.js";

/** What an SMMU can do, by its registers. */
export interface SmmuCapabilities {
  /** Base-2 logarithms of the granules that it has: some of 12, 14 and 16. IDR5.GRAN4K, GRAN16K, GRAN64K */
  readonly granules: readonly number[];
  /** Bits of physical addresses: 32, 36, 40, 42, 44, 48 or 52. IDR5.OAS */
  readonly outputBits: number;
  /** True if input addresses can have 52 bits, not just 48. IDR5.VAX */
  readonly vax?: boolean;
  /** True if it walks tables coherently with the CPU's caches. IDR0.COHACC */
  readonly coherent?: boolean;
  /** True if the release is 6.18 or older and the SMMU has tables of AArch32, too: then 40 bits count at least. IDR0.TTF */
  readonly countsAArch32?: boolean;
}

/** What of the kernel's configuration is decisive. */
export interface KernelPages {
  /** Base-2 logarithm of the page size: 12, 14 or 16. */
  readonly pageLg2: number;
  /** Bits of virtual addresses: CONFIG_ARM64_VA_BITS. */
  readonly vaBits: number;
}

/** Levels of a page table whose top is one table. */
export const levelsFor = (granuleLg2: number, vaBits: number): number =>
  Math.ceil((vaBits - granuleLg2) / Math.log2(entriesOf({ granuleLg2 })));

/** Most bits of addresses, on either side, with a granule. */
export const mostBits = (granuleLg2: number): number => (granuleLg2 === 16 ? 52 : 48);

/** The CPU's page size, or else the next smaller granule, or else the next larger one. */
function granuleFor(granules: readonly number[], pageLg2: number): number {
  const smaller = granules.filter((granule) => granule <= pageLg2);
  const granule = smaller.length > 0 ? Math.max(...smaller) : Math.min(...granules);
  if (granule === 12 || granule === 14 || granule === 16) return granule;
  throw new KhoError("usage", "an SMMU needs a granule", { expected: "12, 14 or 16", actual: `${granules}` });
}

function checkOutputBits({ outputBits }: SmmuCapabilities): void {
  if (addressSizes.includes(outputBits)) return;
  const expected = addressSizes.join(", ");
  throw new KhoError("usage", `no SMMU has addresses of ${outputBits} bits`, {
    expected,
    actual: `${outputBits}`,
  });
}

/** What 6.18 and older take for the output size of stage 1 and for the input size of stage 2. */
const countedBits = ({ outputBits, countsAArch32 = false }: SmmuCapabilities): number =>
  countsAArch32 ? Math.max(outputBits, 40) : outputBits;

function pgsizeBitmap(granuleLg2: number, paBits: number): bigint {
  let sizes = 0n;
  for (let level = 0; level <= highestLeafLevel(granuleLg2, paBits); level++)
    sizes |= 1n << BigInt(itemLg2({ granuleLg2 }, level));
  return sizes;
}

/**
 * A domain of stage 1, as the DMA API and VFIO get one.
 * @throws KhoError `usage` for an SMMU that cannot be
 */
export function stage1Domain(
  smmu: SmmuCapabilities,
  kernel: KernelPages,
  options: { readonly dirtyTracking?: boolean } = {},
): DomainOptions {
  checkOutputBits(smmu);
  const granuleLg2 = granuleFor(smmu.granules, kernel.pageLg2);
  const most = mostBits(granuleLg2);
  const vaBits = Math.min(smmu.vax ? 52 : 48, kernel.vaBits, most);
  const paBits = Math.min(countedBits(smmu), most);
  return {
    format: armFormat({ stage: 1, granuleLg2, paBits, coherent: smmu.coherent ?? true, ...options }),
    levels: levelsFor(granuleLg2, vaBits),
    vaBits,
    paBits,
    pgsizeBitmap: pgsizeBitmap(granuleLg2, paBits),
  };
}

/**
 * A domain of stage 2: a parent of nested ones, or all there is where the SMMU has no stage 1.
 * @throws KhoError `usage` for an SMMU that cannot be
 */
export function stage2Domain(
  smmu: SmmuCapabilities,
  kernel: Pick<KernelPages, "pageLg2">,
  options: { readonly s2fwb?: boolean } = {},
): DomainOptions {
  checkOutputBits(smmu);
  const granuleLg2 = granuleFor(smmu.granules, kernel.pageLg2);
  const most = mostBits(granuleLg2);
  const vaBits = Math.min(countedBits(smmu), most);
  const paBits = Math.min(smmu.outputBits, most);
  const levels = levelsFor(granuleLg2, vaBits);
  return {
    format: armFormat({ stage: 2, granuleLg2, paBits, coherent: smmu.coherent ?? true, ...options }),
    levels: concatenates(granuleLg2, levels, vaBits, paBits) ? levels - 1 : levels,
    vaBits,
    paBits,
    pgsizeBitmap: pgsizeBitmap(granuleLg2, paBits),
  };
}

/** True where the architecture demands that several tables in a row replace the top level. */
function concatenates(granuleLg2: number, levels: number, vaBits: number, paBits: number): boolean {
  if (granuleLg2 === 12) return levels === 4 && (paBits === 40 || paBits === 42);
  if (granuleLg2 !== 14) return false;
  return levels === 4 ? vaBits === 48 || paBits === 48 : levels === 3 && paBits === 40;
}
