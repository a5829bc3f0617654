/** Structures of the RISC-V IOMMU in memory, and the two registers that it takes to read them. */
import { type Struct, struct, type ValueOf } from "../../../src/layout/index.js";
import { entry, isReserved, word } from "../entry.js";

const source = { header: "drivers/iommu/riscv/iommu-bits.h", since: "6.16" };

/** The register `capabilities`, offset 0. */
export const riscvCapabilities = entry(
  "capabilities",
  {
    version: 8,
    Sv32: 1,
    Sv39: 1,
    Sv48: 1,
    Sv57: 1,
    ign12: 3,
    Svpbmt: 1,
    Sv32x4: 1,
    Sv39x4: 1,
    Sv48x4: 1,
    Sv57x4: 1,
    ign20: 1,
    AMO_MRIF: 1,
    MSI_FLAT: 1,
    MSI_MRIF: 1,
    AMO_HWAD: 1,
    ATS: 1,
    T2GPA: 1,
    END: 1,
    IGS: 2,
    HPM: 1,
    DBG: 1,
    PAS: 6,
    PD8: 1,
    PD17: 1,
    PD20: 1,
    ign41: 23,
  },
  source,
);
export type Capabilities = ValueOf<typeof riscvCapabilities>;

/** The register `ddtp`, offset 0x10: where the device directory is. */
export const riscvDdtp = entry("ddtp", { iommu_mode: 4, busy: 1, rsvd5: 5, PPN: 44, rsvd54: 10 }, source);
/** `iommu_mode` where nothing is let through, and where everything is. */
export const DDTP_OFF = 0;
export const DDTP_BARE = 1;
/** `iommu_mode` of a directory of one level; with each further level it is one more, up to three. */
export const DDTP_1LVL = 2;
export const mostLevels = 3;

const pointer = { V: 1, rsvd1: 9, PPN: 44, rsvd54: 10 } as const;
/** An entry of the device directory that leads to the next page of it. */
export const riscvIommuDdte = entry("riscv_iommu_ddte", pointer, source);
/** An entry of a process directory that leads to the next page of it. */
export const riscvIommuPdte = entry("riscv_iommu_pdte", pointer, source);

const fsc = word({ fsc_PPN: 44, rsvd_fsc44: 16, fsc_MODE: 4 });

/** What all device contexts have: `tc`, `iohgatp`, `ta` and `fsc`. RCID and MCID are of units with QoS identifiers. */
const translation = {
  ...word({
    V: 1,
    EN_ATS: 1,
    EN_PRI: 1,
    T2GPA: 1,
    DTF: 1,
    PDTV: 1,
    PRPR: 1,
    GADE: 1,
    SADE: 1,
    DPE: 1,
    SBE: 1,
    SXL: 1,
    rsvd_tc12: 12,
    ign_tc24: 8,
    rsvd_tc32: 32,
  }),
  ...word({ iohgatp_PPN: 44, GSCID: 16, iohgatp_MODE: 4 }),
  ...word({ rsvd_ta0: 12, PSCID: 20, rsvd_ta32: 8, RCID: 12, MCID: 12 }),
  ...fsc,
};

/** A device context of units that do not translate MSIs: the first half of the kernel's struct. */
export const riscvIommuDcBase = struct("riscv_iommu_dc", translation, source);
/** A device context of units with MSI_FLAT: the further words are `msiptp` and which addresses are those of MSIs. */
export const riscvIommuDc = struct(
  "riscv_iommu_dc",
  {
    ...translation,
    ...word({ msiptp_PPN: 44, rsvd_msiptp44: 16, msiptp_MODE: 4 }),
    ...word({ msi_addr_mask: 52, rsvd_mask52: 12 }),
    ...word({ msi_addr_pattern: 52, rsvd_pattern52: 12 }),
    ...word({ rsvd_reserved: 64 }),
  },
  source,
);
/** A device context of either size: the words of MSIs are there in large ones alone. */
export type DeviceContext = ValueOf<typeof riscvIommuDcBase> &
  Partial<Omit<ValueOf<typeof riscvIommuDc>, keyof ValueOf<typeof riscvIommuDcBase>>>;

/** A process context: what a device's requests with one PASID go through. `ta`, then `fsc`. */
export const riscvIommuPc = struct(
  "riscv_iommu_pc",
  { ...word({ V: 1, ENS: 1, SUM: 1, rsvd_ta3: 9, PSCID: 20, rsvd_ta32: 32 }), ...fsc },
  source,
);

/** The members of a decoded structure that have to be zero and are not. */
export const reservedSet = <S extends Struct>(value: ValueOf<S>): string[] =>
  Object.entries(value as Record<string, number | bigint>)
    .filter(([name, bits]) => isReserved(name) && BigInt(bits) !== 0n)
    .map(([name]) => name);
