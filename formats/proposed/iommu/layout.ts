import { array, bits, pa, padding, struct, u8, u32, u64 } from "../../../src/layout/index.js";
import { unionOf } from "./union.js";

const header = "include/linux/kho/abi/iommu.h";
/** The records of the second posting, of the ones after it, and of the tree that adds SMMUv3, each as what changed. */
const v2 = { header, since: "proposed 2026-04-27" };
const v3 = { header, since: "proposed 2026-06" };
const v4 = { header, since: "proposed 2026-08" };
const v5 = { header, since: "proposed 2026-09" };

/** `type` of an IOMMU: whose driver wrote the union. 0 is nobody's. */
export const IOMMU_INTEL = 1;
export const IOMMU_ARM_SMMUV3 = 2;

/** `flags` of a record: its slot is not used again; the reading kernel has taken it over. */
export const IOMMU_SER_FLAG_DELETED = 1;
export const IOMMU_SER_FLAG_INCOMING = 2;

/** Head of every record of the second posting: 5 bytes, since packed bit fields take no more bytes than they need. */
export const iommuHdrSerV2 = struct(
  "iommu_hdr_ser",
  { ref_count: u32, deleted: bits(u8, 1), incoming: bits(u8, 1), unused: bits(u8, 6) },
  { ...v2, until: v2.since },
);
export const iommuHdrSer = struct("iommu_hdr_ser", { ref_count: u32, flags: u32 }, v3);

/** Head of a page of records; `nr_objects` of them follow, deleted ones too. */
export const iommuArrayHdrSer = struct("iommu_array_hdr_ser", { next_array_phys: pa, nr_objects: u64 }, v2);

/** What the FLB leads to: the first page of records of each kind. */
export const iommuFlbSerV2 = struct(
  "iommu_flb_ser",
  { iommu_array_phys: pa, iommu_domain_array_phys: pa, device_array_phys: pa },
  { ...v2, until: v3.since },
);
export const iommuFlbSer = struct(
  "iommu_flb_ser",
  { version: u64, iommu_array_phys: pa, iommu_domain_array_phys: pa, device_array_phys: pa },
  v4,
);
/** `version` of {@link iommuFlbSer}. */
export const IOMMU_LUO_FLB_VERSION = 1n;

/**
 * `vasz` is the number of bits of an I/O virtual address, `restored_domain` a pointer that only the reading kernel
 * writes, and 0 until then.
 */
export const iommuDomainSerV2 = struct(
  "iommu_domain_ser",
  {
    hdr: iommuHdrSerV2,
    top_table_phys: pa,
    top_level: u64,
    vasz: u32,
    sign_extend: bits(u8, 1),
    unused: bits(u8, 7),
    restored_domain: u64,
  },
  { ...v2, until: v2.since },
);
export const iommuDomainSerV3 = struct(
  "iommu_domain_ser",
  {
    hdr: iommuHdrSer,
    top_table_phys: pa,
    top_level: u64,
    vasz: u32,
    sign_extend: bits(u8, 1),
    unused: bits(u8, 7),
    restored_domain: u64,
  },
  { ...v3, until: v4.since },
);
export const iommuDomainSer = struct(
  "iommu_domain_ser",
  {
    hdr: iommuHdrSer,
    top_table_phys: pa,
    top_level: u64,
    vasz: u32,
    sign_extend: u8,
    padding: padding(3),
    restored_domain: u64,
  },
  v5,
);

/** Which domain a device is in, and which IOMMU it is behind: addresses of records, which begin no page. */
export const iommuDevMapSer = struct(
  "iommu_dev_map_ser",
  { attachment_id: u64, domain_phys: pa, iommu_phys: pa },
  v2,
);

/** PASID directory of a device in scalable mode, 0 in legacy mode. */
export const iommuDeviceIntelSerV3 = struct(
  "iommu_device_intel_ser",
  { pasid_table: pa, max_pasid: u64 },
  { ...v3, until: v4.since },
);
export const iommuDeviceIntelSer = struct(
  "iommu_device_intel_ser",
  { restored: u8, padding: padding(7), pasid_table: pa, max_pasid: u64 },
  v5,
);
/** Context descriptors of a device; all zeros for stage 2. */
export const iommuMasterSmmuv3Ser = struct(
  "iommu_master_smmuv3_ser",
  { l1_cdtab_lu_state: u64, num_l2_cdtables: u32, padding: padding(4), l2_cdtab_lu_states_phys: pa },
  v5,
);

/** `devid` is the bus in bits 8 to 15, the device and function below. */
export const iommuDeviceSerV2 = struct(
  "iommu_device_ser",
  { hdr: iommuHdrSerV2, devid: u32, pci_domain_nr: u32, domain_iommu_ser: iommuDevMapSer },
  { ...v2, until: v2.since },
);
export const iommuDeviceSerV3 = struct(
  "iommu_device_ser",
  {
    hdr: iommuHdrSer,
    devid: u32,
    pci_domain_nr: u32,
    domain_iommu_ser: iommuDevMapSer,
    union: unionOf(iommuDeviceIntelSerV3),
  },
  { ...v3, until: v4.since },
);
export const iommuDeviceSer = struct(
  "iommu_device_ser",
  {
    hdr: iommuHdrSer,
    devid: u32,
    pci_domain_nr: u32,
    dma_owner_token: u64,
    domain_iommu_ser: iommuDevMapSer,
    union: unionOf(iommuDeviceIntelSer, iommuMasterSmmuv3Ser),
  },
  v5,
);

/** Context tables that a VT-d unit can have: two for each of the 256 buses. */
export const CONTEXT_TABLES = 512;
/** Register base and root table of a VT-d unit, and a bit for each of its context tables that is preserved. */
export const iommuIntelSer = struct(
  "iommu_intel_ser",
  {
    restored: u8,
    padding: padding(7),
    phys_addr: pa,
    root_table: pa,
    context_tables_bitmap: array(u64, CONTEXT_TABLES / 64),
  },
  v3,
);
/** `l2_strtab_lu_states_phys` is the address of a u64 for each level-1 entry, 0 for a linear stream table. */
export const iommuSmmuv3HwSer = struct(
  "iommu_smmuv3_hw_ser",
  { phys_addr: pa, strtab_base_cfg: u64, l1_strtab_lu_state: u64, l2_strtab_lu_states_phys: pa },
  v5,
);

/** An IOMMU; `token` is the address of its registers. */
export const iommuHwSerV2 = struct(
  "iommu_hw_ser",
  { hdr: iommuHdrSerV2, token: u64, type: u64 },
  { ...v2, until: v2.since },
);
export const iommuHwSerV3 = struct(
  "iommu_hw_ser",
  { hdr: iommuHdrSer, token: u64, type: u64, union: unionOf(iommuIntelSer) },
  { ...v3, until: v4.since },
);
export const iommuHwSer = struct(
  "iommu_hw_ser",
  { hdr: iommuHdrSer, token: u64, type: u64, union: unionOf(iommuIntelSer, iommuSmmuv3HwSer) },
  v5,
);
