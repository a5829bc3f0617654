import { bits, pa, padding, struct, u8, u32, u64 } from "../../../src/layout/index.js";
import { unionOf } from "./union.js";

/**
 * The records of the postings with the string `iommu-v1`. Bit fields of a packed structure take the bytes that they need
 * and no more, whatever type they are declared with: these are one byte.
 */
const source = { header: "include/linux/kho/abi/iommu.h", since: "proposed 2026-02-03" };
/** The development tree before, whose inner structures are not all packed. */
const draft = { ...source, since: "proposed 2025-12-02", until: "proposed 2025-12-02" };

/** Head of every record. `idx` counts the records of one kind, deleted ones too. */
export const iommuObjSer = struct(
  "iommu_obj_ser",
  { idx: u32, ref_count: u32, deleted: bits(u8, 1), incoming: bits(u8, 1), unused: bits(u8, 6) },
  source,
);

/** Head of a page of records; `nr_objs` of them follow, deleted ones too. */
export const iommuObjsSer = struct("iommu_objs_ser", { next_objs: pa, nr_objs: u64 }, source);

/** What the FLB leads to. Readers of these postings go by the three numbers, not by those of the pages. */
export const iommuLuFlbSer = struct(
  "iommu_lu_flb_ser",
  {
    iommus_phys: pa,
    nr_iommus: u64,
    iommu_domains_phys: pa,
    nr_domains: u64,
    devices_phys: pa,
    nr_devices: u64,
  },
  source,
);

/** `restored_domain` is a pointer that only the reading kernel writes, and 0 until then. */
export const iommuDomainSerDraft = struct(
  "iommu_domain_ser",
  { obj: iommuObjSer, top_table: pa, top_level: u64, attach_count: u64, restored_domain: u64 },
  draft,
);
export const iommuDomainSerV1 = struct(
  "iommu_domain_ser",
  { obj: iommuObjSer, top_table: pa, top_level: u64, restored_domain: u64 },
  source,
);

/** Which domain a device is in, and which IOMMU it is behind: addresses of records, which begin no page. */
export const deviceDomainIommuSerDraft = struct(
  "device_domain_iommu_ser",
  { did: u32, "(aligned)": padding(4), domain_phys: pa, iommu_phys: pa },
  draft,
);
export const deviceDomainIommuSer = struct(
  "device_domain_iommu_ser",
  { did: u32, domain_phys: pa, iommu_phys: pa },
  source,
);

/** `devid` is the bus in bits 8 to 15, the device and function below. */
export const deviceSerDraft = struct(
  "device_ser",
  {
    obj: iommuObjSer,
    token: u64,
    devid: u32,
    pci_domain: u32,
    domain_iommu_ser: deviceDomainIommuSerDraft,
    type: u32,
  },
  draft,
);
export const deviceSerV1 = struct(
  "device_ser",
  {
    obj: iommuObjSer,
    token: u64,
    devid: u32,
    pci_domain: u32,
    domain_iommu_ser: deviceDomainIommuSer,
    type: u32,
  },
  source,
);

/** PASID directory of a device in scalable mode, 0 in legacy mode. */
export const deviceIntelSer = struct("device_intel_ser", { pasid_table: pa, max_pasid: u64 }, source);
/** A device once the ninth patch of that posting is applied. */
export const deviceSerV1Intel = struct(
  "device_ser",
  {
    obj: iommuObjSer,
    token: u64,
    devid: u32,
    pci_domain: u32,
    domain_iommu_ser: deviceDomainIommuSer,
    type: u32,
    union: unionOf(deviceIntelSer),
  },
  source,
);

/** Register base and root table of a VT-d unit. */
export const iommuIntelSerV1 = struct("iommu_intel_ser", { phys_addr: pa, root_table: pa }, source);

export const iommuSerDraft = struct(
  "iommu_ser",
  {
    obj: iommuObjSer,
    "(aligned)": padding(7),
    token: u64,
    type: u32,
    union: unionOf(iommuIntelSerV1),
    "(tail)": padding(4),
  },
  draft,
);
export const iommuSerV1 = struct(
  "iommu_ser",
  { obj: iommuObjSer, token: u64, type: u32, union: unionOf(iommuIntelSerV1) },
  source,
);
