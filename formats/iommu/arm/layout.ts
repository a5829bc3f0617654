/**
 * Structures of SMMUv3 in memory, and the two registers that say where they begin. Bits that no Linux sets and that some
 * version of the architecture, or an implementation, gives a meaning are named or `ign`; unnamed ones carry the number that they
 * have in the whole structure.
 */
import { bits, le, memberOf, type Struct, struct } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { entry, iommuAbi, word } from "../entry.js";

const source = { header: "drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.h", since: "6.16" };

/** The register at 0x80: where the stream table is. */
export const strtabBase = entry("STRTAB_BASE", { rsvd0: 6, ADDR: 46, rsvd52: 10, RA: 1, rsvd63: 1 }, source);

const u32Bits = <const W extends number>(width: W) => bits(le.u32, width);
/** The register at 0x88: how large the stream table is and which form it has. */
export const strtabBaseCfg = struct(
  "STRTAB_BASE_CFG",
  { LOG2SIZE: u32Bits(6), SPLIT: u32Bits(5), rsvd11: u32Bits(5), FMT: u32Bits(2), rsvd18: u32Bits(14) },
  source,
);
export const STRTAB_FMT_LINEAR = 0;
export const STRTAB_FMT_2LVL = 1;
/** Most bits of StreamIDs. */
export const mostStreamBits = 32;
/** `SPLIT` as Linux sets it: 256 entries behind each descriptor of the first level. */
export const STRTAB_SPLIT = 8;
/** Most descriptors that Linux gives a first level. */
export const STRTAB_MAX_L1_ENTRIES = 2 ** 17;

/** Leads to STEs, as many as `2 ** (Span - 1)`; with 0 to none. */
export const armSmmuStrtabL1 = entry(
  "arm_smmu_strtab_l1",
  { Span: 5, rsvd5: 1, L2Ptr: 46, rsvd52: 12 },
  source,
);

/** Stream table entry: what becomes of a device's requests. */
export const armSmmuSte = struct(
  "arm_smmu_ste",
  {
    ...word({ V: 1, Config: 3, S1Fmt: 2, S1ContextPtr: 46, rsvd52: 7, S1CDMax: 5 }),
    ...word({
      S1DSS: 2,
      S1CIR: 2,
      S1COR: 2,
      S1CSH: 2,
      S2HWU: 4,
      DRE: 1,
      CONT: 4,
      DCP: 1,
      PPAR: 1,
      MEV: 1,
      SW_RESERVED: 4,
      rsvd88: 1,
      S2FWB: 1,
      S1MPAM: 1,
      S1STALLD: 1,
      EATS: 2,
      STRW: 2,
      MemAttr: 4,
      MTCFG: 1,
      ALLOCCFG: 4,
      rsvd105: 3,
      SHCFG: 2,
      NSCFG: 2,
      PRIVCFG: 2,
      INSTCFG: 2,
      ign116: 12,
    }),
    ...word({
      S2VMID: 16,
      ign144: 16,
      S2T0SZ: 6,
      S2SL0: 2,
      S2IR0: 2,
      S2OR0: 2,
      S2SH0: 2,
      S2TG: 2,
      S2PS: 3,
      S2AA64: 1,
      S2ENDI: 1,
      S2AFFD: 1,
      S2PTW: 1,
      S2HD: 1,
      S2HA: 1,
      S2S: 1,
      S2R: 1,
      rsvd187: 5,
    }),
    ...word({ ign192: 4, S2TTB: 48, rsvd244: 12 }),
    ...word({ ign256: 64 }),
    ...word({ ign320: 64 }),
    ...word({ ign384: 64 }),
    ...word({ ign448: 64 }),
  },
  source,
);
/** `Config`: bit 2 lets requests through, bits 0 and 1 are the two stages. */
export const STE_CFG_ABORT = 0;
export const STE_CFG_BYPASS = 4;
export const STE_CFG_S1_TRANS = 5;
export const STE_CFG_S2_TRANS = 6;
export const STE_CFG_NESTED = 7;
/** `S1Fmt`: context descriptors one behind the other, or two levels with this many of them in each block. */
export const STE_S1FMT_LINEAR = 0;
export const STE_S1FMT_64K_L2 = 2;
/** Base-2 logarithms of the context descriptors in a block, by `S1Fmt`. The driver has no blocks of 4 KiB. */
export const cdBlockLg2 = [undefined, 6, 10, undefined] as const;
/** Most bits of SubstreamIDs, which are PASIDs. */
export const mostSubstreamBits = 20;
/** `S1DSS`: requests without SubstreamID are refused, taken as they are, or go through descriptor 0. */
export const STE_S1DSS_TERMINATE = 0;
export const STE_S1DSS_BYPASS = 1;
export const STE_S1DSS_SSID0 = 2;

/** Leads to a block of context descriptors. */
export const armSmmuCdtabL1 = entry("arm_smmu_cdtab_l1", { V: 1, rsvd1: 11, L2Ptr: 40, rsvd52: 12 }, source);

/** Context descriptor: the stage 1 of a device's requests, or of those with one SubstreamID. */
export const armSmmuCd = struct(
  "arm_smmu_cd",
  {
    ...word({
      T0SZ: 6,
      TG0: 2,
      IR0: 2,
      OR0: 2,
      SH0: 2,
      EPD0: 1,
      ENDI: 1,
      T1SZ: 6,
      TG1: 2,
      IR1: 2,
      OR1: 2,
      SH1: 2,
      EPD1: 1,
      V: 1,
      IPS: 3,
      AFFD: 1,
      WXN: 1,
      UWXN: 1,
      TBI0: 1,
      TBI1: 1,
      PAN: 1,
      AA64: 1,
      HD: 1,
      HA: 1,
      S: 1,
      R: 1,
      A: 1,
      ASET: 1,
      ASID: 16,
    }),
    ...word({ NSCFG0: 1, HAD0: 1, E0PD0: 1, HAFT: 1, TTB0: 48, ign116: 12 }),
    ...word({ NSCFG1: 1, HAD1: 1, E0PD1: 1, ign131: 1, TTB1: 48, ign180: 12 }),
    ...word({ MAIR: 64 }),
    ...word({ AMAIR: 64 }),
    ...word({ ign320: 64 }),
    ...word({ ign384: 64 }),
    ...word({ ign448: 64 }),
  },
  source,
);

/** Bits of addresses by the number that `IPS` and `S2PS` have for them. */
export const addressSizes: readonly number[] = [32, 36, 40, 42, 44, 48, 52];
/** Base-2 logarithms of granules by the number that `TG0` and `S2TG` have for them. */
export const granules: readonly number[] = [12, 16, 14];

/** Fields that hold addresses. */
type AddressField = "ADDR" | "L2Ptr" | "S1ContextPtr" | "S2TTB" | "TTB0" | "TTB1";

/** The address in a field: its bits are where they are in the address. */
export const addressFrom = (layout: Struct, name: AddressField, value: number): PhysAddr =>
  physAddr(BigInt(value) << shiftOf(layout, name));

/** What a field holds for an address. Bits below the field have to be zero. */
export const addressField = (layout: Struct, name: AddressField, pa: bigint): number =>
  Number(pa >> shiftOf(layout, name));

const shiftOf = (layout: Struct, name: AddressField): bigint =>
  BigInt(memberOf(layout, name, iommuAbi).shift!);
