import type { VtdCapabilities } from "../../../../formats/iommu/vtd/capabilities.js";

/** What a test's unit can do; all that is not named it cannot. */
export interface UnitTraits {
  /** Bit 1: 39-bit tables, bit 2: 48-bit, bit 3: 57-bit. */
  readonly sagaw?: number;
  readonly mgaw?: number;
  readonly second2M?: boolean;
  readonly second1G?: boolean;
  readonly first1G?: boolean;
  readonly fiveLevels?: boolean;
  /** In legacy mode. */
  readonly coherent?: boolean;
  /** In scalable mode. */
  readonly walksCoherent?: boolean;
  readonly snoop?: boolean;
  readonly scalable?: boolean;
  readonly firstStage?: boolean;
  readonly secondStage?: boolean;
}

/** Registers of a unit, bit by bit, as the kernel's macros take them apart. */
export function capabilitiesOf(unit: UnitTraits): VtdCapabilities {
  const { sagaw = 0b0110, mgaw = 48 } = unit;
  const bit = (at: number, set = false): bigint => (set ? 1n << BigInt(at) : 0n);
  return {
    cap:
      (BigInt(sagaw) << 8n) |
      (BigInt(mgaw - 1) << 16n) |
      bit(34, unit.second2M) |
      bit(35, unit.second1G) |
      bit(56, unit.first1G) |
      bit(60, unit.fiveLevels),
    ecap:
      bit(0, unit.coherent) |
      bit(7, unit.snoop) |
      bit(43, unit.scalable) |
      bit(46, unit.secondStage) |
      bit(47, unit.firstStage) |
      bit(48, unit.walksCoherent),
    scalable: true,
  };
}

export const legacyUnit: UnitTraits = { coherent: true, second2M: true, second1G: true };
export const scalableUnit: UnitTraits = {
  ...legacyUnit,
  scalable: true,
  secondStage: true,
  firstStage: true,
  walksCoherent: true,
  first1G: true,
};
/** The unit of the capture, whose kernel was not told to use scalable mode. */
export const capturedUnit: VtdCapabilities = { cap: 0x00d2008c222f0686n, ecap: 0xf00f4an };
