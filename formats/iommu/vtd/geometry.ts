/** What the driver decides when it makes a domain on a VT-d unit. */
import { isAtLeast, type Kernel, newestKernel } from "../../kernels.js";
import type { DomainOptions } from "../domain.js";
import { itemLg2 } from "../format.js";
import { x86Format } from "../x86.js";
import { abilitiesOf, type VtdAbilities, type VtdCapabilities } from "./capabilities.js";
import { vtdss } from "./second-stage.js";

export interface VtdDomainOptions {
  /** The kernel that makes the domain; the newest unless given. */
  readonly kernel?: Kernel;
  /** False for `intel_iommu=sp_off`: pages of 4 KiB alone. */
  readonly superpages?: boolean;
  /** True if user space had the domain enforce cache coherency before it mapped anything. For the second stage alone. */
  readonly snoop?: boolean;
  /** True for the parent of nested domains, which has second-stage tables and refuses what cannot be written. */
  readonly nestParent?: boolean;
}

/** Physical addresses of both formats, whatever the CPU has. */
const paBits = 52;

/**
 * A domain as DMA of a device gets it: on first-stage tables where the unit has them in scalable mode, else on second-stage
 * ones. Undefined where the driver makes none for lack of a fitting address width.
 */
export function vtdDomain(
  capabilities: VtdCapabilities,
  options: VtdDomainOptions = {},
): DomainOptions | undefined {
  const { firstStage } = abilitiesOf(capabilities);
  return firstStage && !options.nestParent
    ? firstStageDomain(capabilities, options)
    : secondStageDomain(capabilities, options);
}

/** A domain on second-stage tables; undefined if no address width fits. */
export function secondStageDomain(
  capabilities: VtdCapabilities,
  options: VtdDomainOptions = {},
): DomainOptions | undefined {
  const { kernel = newestKernel, superpages = true, snoop = false, nestParent = false } = options;
  const unit = abilitiesOf(capabilities);
  const generic = isAtLeast(kernel, "6.19");
  const geometry = generic ? secondStageGeometry(unit) : unitGeometry(unit);
  if (!geometry) return undefined;
  return {
    ...geometry,
    format: vtdss({
      coherent: unit.coherent,
      snoop: snoop && unit.snoop,
      marksFlushed: generic,
      writeImpliesRead: !generic,
    }),
    paBits,
    signExtend: false,
    pgsizeBitmap: pageSizesOf(geometry, superpages ? unit.secondStageLarge : 0n),
    writableOnly: nestParent,
  };
}

/** A domain on first-stage tables; undefined if no address width fits. */
export function firstStageDomain(
  capabilities: VtdCapabilities,
  options: VtdDomainOptions = {},
): DomainOptions | undefined {
  const { kernel = newestKernel, superpages = true } = options;
  const unit = abilitiesOf(capabilities);
  const generic = isAtLeast(kernel, "6.19");
  const geometry = generic ? firstStageGeometry(unit) : unitGeometry(unit);
  if (!geometry) return undefined;
  return {
    ...geometry,
    format: x86Format({ coherent: unit.coherent, marksFlushed: generic }),
    paBits,
    signExtend: true,
    pgsizeBitmap: pageSizesOf(geometry, superpages ? unit.firstStageLarge : 0n),
  };
}

type Geometry = Pick<DomainOptions, "levels" | "vaBits">;

const width = (levels: number): number => itemLg2({ granuleLg2: 12 }, levels);

/** With `levels` levels, but not more bits than the unit takes. */
const geometryOf = ({ mgaw }: VtdAbilities, levels: number, bits = width(levels)): Geometry => ({
  levels,
  vaBits: Math.min(bits, mgaw),
});

/**
 * Since 6.19: as many levels as the unit's widest addresses need, or as many as the next taller tables have that the unit
 * takes, even where it takes the lower ones. Bit n of `sagaw` is for tables of n + 2 levels.
 */
function secondStageGeometry(unit: VtdAbilities): Geometry | undefined {
  const { mgaw, sagaw } = unit;
  for (const levels of [5, 4, 3]) {
    if (mgaw <= width(levels - 1) || sagaw < 2 ** (levels - 2)) continue;
    const taller = lowestBit(sagaw >> (levels - 1));
    return geometryOf(unit, levels + taller, width(levels));
  }
  return undefined;
}

/** Number of the lowest bit that is set, from 1; 0 if none is. */
const lowestBit = (bits: number): number => (bits === 0 ? 0 : 32 - Math.clz32(bits & -bits));

/** Since 6.19. */
const firstStageGeometry = (unit: VtdAbilities): Geometry =>
  geometryOf(unit, unit.fiveLevels && unit.mgaw > width(4) ? 5 : 4);

/** Up to 6.18, all domains of a unit have the same height. */
const unitGeometry = (unit: VtdAbilities): Geometry | undefined =>
  unit.agaw === undefined ? undefined : geometryOf(unit, unit.agaw + 2);

/** Pages that are smaller than half of the input addresses. */
function pageSizesOf({ vaBits }: Geometry, large: bigint): bigint {
  const limit = 1n << BigInt(vaBits - 1);
  return ((1n << 12n) | large) & (limit - 1n);
}
