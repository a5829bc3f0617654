import type { DomainOptions } from "../domain.js";
import { unpackWord } from "../entry.js";
import { itemLg2 } from "../format.js";
import { riscvCapabilities } from "./layout.js";
import { schemes } from "./modes.js";
import { riscv64 } from "./table.js";

/** Bits of physical addresses that entries of page tables hold. */
const paBits = 56;
/** Base-2 logarithm of a leaf that takes sixteen entries of the lowest level. */
const napotLg2 = 16;
/** Highest level that the driver of 6.16 to 7.0 has leaves at: 512 GiB. */
const highestBefore71 = 3;

export interface RiscvDomainOptions {
  /** The register `capabilities`. */
  readonly capabilities: bigint;
  /** True for 6.16 to 7.0, where the driver has tables of its own instead of generic_pt's. */
  readonly before71?: boolean;
}

/**
 * What riscv_iommu_alloc_paging_domain() decides: the most levels that the unit offers. Undefined where the unit offers none.
 * Up to 7.0 domains have the lower half of addresses alone, so that sign extension does not show.
 */
export function riscvDomain({
  capabilities,
  before71 = false,
}: RiscvDomainOptions): DomainOptions | undefined {
  const offered = unpackWord(riscvCapabilities, capabilities);
  const scheme = schemes.findLast(({ name }) => offered[name] === 1);
  if (!scheme) return undefined;
  const { levels, vaBits } = scheme;
  const format = riscv64(before71 ? { executable: false, dirty: !offered.AMO_HWAD } : {});
  const perLevel = Array.from({ length: levels }, (_, level) => itemLg2(format, level));
  const sizes = before71 ? perLevel.slice(0, highestBefore71 + 1) : [...perLevel, napotLg2];
  return {
    format,
    levels,
    vaBits: before71 ? vaBits - 1 : vaBits,
    paBits,
    signExtend: !before71,
    pgsizeBitmap: sizes.filter((lg2) => lg2 < vaBits - 1).reduce((all, lg2) => all | (1n << BigInt(lg2)), 0n),
  };
}
