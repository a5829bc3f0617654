/** What the driver writes into stream table entries and context descriptors. drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c */
import type { ValueOf } from "../../../src/layout/index.js";
import type { PhysAddr } from "../../../src/memory/index.js";
import { type Domain, tableOf } from "../domain.js";
import {
  addressField,
  addressSizes,
  armSmmuCd,
  armSmmuSte,
  granules,
  STE_CFG_ABORT,
  STE_CFG_BYPASS,
  STE_CFG_NESTED,
  STE_CFG_S1_TRANS,
  STE_CFG_S2_TRANS,
  STE_S1FMT_64K_L2,
  STE_S1FMT_LINEAR,
} from "./layout.js";
import { sl0Of } from "./page-tables.js";

export type SteFields = Partial<ValueOf<typeof armSmmuSte>>;
export type CdFields = Partial<ValueOf<typeof armSmmuCd>>;

/** What of an SMMU shows in entries. */
export interface SmmuFeatures {
  /** False if it reads memory past the CPU's caches. IDR0.COHACC */
  readonly coherent?: boolean;
  /** Attributes of requests can be overridden. IDR1.ATTR_TYPES_OVR */
  readonly attributeOverride?: boolean;
  /** Faulting requests can be stalled. IDR0.STALL_MODEL */
  readonly stalls?: boolean;
  /** Streams are those of EL2, as the kernel's own address space. IDR0.HYP, and a kernel that runs there */
  readonly e2h?: boolean;
}

/** What of a device does. */
export interface DeviceFeatures {
  /** True while ATS is on. */
  readonly ats?: boolean;
  /** True if its faulting requests are stalled. */
  readonly stall?: boolean;
}

/** How a table of context descriptors is to be reached. */
export interface ContextRoot {
  readonly base: PhysAddr;
  readonly bits: number;
  readonly twoLevel: boolean;
}

const writeBack = 1;
const shareable = { outer: 2, inner: 3 };
/** How walks go to memory: through the caches, or past them. */
const walks = ({ coherent = true }: SmmuFeatures) =>
  coherent ? { region: writeBack, share: shareable.inner } : { region: 0, share: shareable.outer };

const EATS_TRANS = 1;
const STRW_EL2 = 2;
const SHCFG_INCOMING = 1;

const eats = ({ ats = false }: DeviceFeatures) => (ats ? EATS_TRANS : 0);
const incoming = ({ attributeOverride = false }: SmmuFeatures) => (attributeOverride ? SHCFG_INCOMING : 0);

export const abortSte: SteFields = { V: 1, Config: STE_CFG_ABORT };

export const bypassSte = (smmu: SmmuFeatures): SteFields => ({
  V: 1,
  Config: STE_CFG_BYPASS,
  SHCFG: incoming(smmu),
});

/** @param S1DSS what becomes of requests without SubstreamID; `overrides` where they are taken as they are */
export const contextsSte = (
  smmu: SmmuFeatures,
  device: DeviceFeatures,
  { base, bits, twoLevel }: ContextRoot,
  S1DSS: number,
  overrides: boolean,
): SteFields => ({
  V: 1,
  Config: STE_CFG_S1_TRANS,
  S1Fmt: twoLevel ? STE_S1FMT_64K_L2 : STE_S1FMT_LINEAR,
  S1ContextPtr: addressField(armSmmuSte, "S1ContextPtr", base),
  S1CDMax: bits,
  S1DSS,
  S1CIR: writeBack,
  S1COR: writeBack,
  S1CSH: shareable.inner,
  S1STALLD: smmu.stalls && !device.stall ? 1 : 0,
  EATS: eats(device),
  STRW: smmu.e2h ? STRW_EL2 : 0,
  SHCFG: overrides ? incoming(smmu) : 0,
});

export const secondStageSte = (
  smmu: SmmuFeatures,
  device: DeviceFeatures,
  domain: Domain,
  S2VMID: number,
  s2fwb: boolean,
): SteFields => {
  const { root, levels, vaBits } = tableOf(domain);
  const { region, share } = walks(smmu);
  return {
    V: 1,
    Config: STE_CFG_S2_TRANS,
    S2FWB: s2fwb ? 1 : 0,
    EATS: eats(device),
    SHCFG: incoming(smmu),
    S2VMID,
    S2T0SZ: 64 - vaBits,
    S2SL0: sl0Of(domain.format.granuleLg2, levels),
    S2IR0: region,
    S2OR0: region,
    S2SH0: share,
    S2TG: granules.indexOf(domain.format.granuleLg2),
    S2PS: addressSizes.indexOf(domain.paBits),
    S2AA64: 1,
    S2PTW: 1,
    S2S: device.stall ? 1 : 0,
    S2R: 1,
    S2TTB: addressField(armSmmuSte, "S2TTB", root),
  };
};

/** What a guest decides over in its own entry. */
export type GuestFields = Pick<
  SteFields,
  "S1Fmt" | "S1ContextPtr" | "S1CDMax" | "S1DSS" | "S1CIR" | "S1COR" | "S1CSH" | "S1STALLD" | "EATS"
>;

/** @param parent the entry of stage 2 alone */
export const nestedSte = (parent: SteFields, guest: GuestFields): SteFields => ({
  ...parent,
  ...guest,
  Config: STE_CFG_NESTED,
  EATS: (parent.EATS ?? 0) | (guest.EATS ?? 0),
  MEV: 1,
});

/**
 * Attributes that leaves name by index: non-cacheable, write-back, device, and inner non-cacheable with outer write-back. The
 * driver computes them as a signed 32-bit number, which leaves ones above.
 */
const MAIR = 0xffff_ffff_f404_ff44n;

/** A context descriptor of a stage 1 domain. */
export const domainCd = (
  smmu: SmmuFeatures,
  device: DeviceFeatures,
  domain: Domain,
  ASID: number,
  dirtyTracking: boolean,
): CdFields => {
  const { root, vaBits } = tableOf(domain);
  const { region, share } = walks(smmu);
  const tracking = dirtyTracking ? 1 : 0;
  return {
    T0SZ: 64 - vaBits,
    TG0: granules.indexOf(domain.format.granuleLg2),
    IR0: region,
    OR0: region,
    SH0: share,
    EPD1: 1,
    V: 1,
    IPS: addressSizes.indexOf(domain.paBits),
    AA64: 1,
    HD: tracking,
    HA: tracking,
    S: device.stall ? 1 : 0,
    R: 1,
    A: 1,
    ASET: 1,
    ASID,
    TTB0: addressField(armSmmuCd, "TTB0", root),
    MAIR,
  };
};
