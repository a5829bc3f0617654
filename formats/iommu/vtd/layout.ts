/**
 * What VT-d units read from memory beside page tables. Names of fields are the hardware's; those of reserved bits count
 * through the whole structure, as its specification does. Pointers are in frames of 4 KiB.
 */
import { capacity, type Struct, sizeOf, struct } from "../../../src/layout/index.js";
import { entry, iommuAbi, word } from "../entry.js";

// The same in 6.16 to 7.3.
const iommu = { header: "drivers/iommu/intel/iommu.h", since: "6.16" };
const pasid = { header: "drivers/iommu/intel/pasid.h", since: "6.16" };

/** The register that says where the root table is. */
export const rtaddrReg = entry("DMAR_RTADDR_REG", { rsvd0: 10, TTM: 2, RTA: 52 }, iommu);
/** `TTM`: how the root table is to be read. 2 is reserved. */
export const TTM_LEGACY = 0;
export const TTM_SCALABLE = 1;
export const TTM_ABORT = 3;

/** A bus in legacy mode. CTP: a table of 256 context entries. */
export const rootEntry = struct(
  "root_entry",
  { ...word({ P: 1, rsvd1: 11, CTP: 52 }), ...word({ rsvd64: 64 }) },
  iommu,
);
/** A bus in scalable mode: a table of 128 context entries for devices below 0x10, and one for the others. */
export const rootEntryScalable = struct(
  "root_entry",
  { ...word({ LP: 1, rsvd1: 11, LCTP: 52 }), ...word({ UP: 1, rsvd65: 11, UCTP: 52 }) },
  iommu,
);

/** A device in legacy mode. */
export const contextEntry = struct(
  "context_entry",
  {
    ...word({ P: 1, FPD: 1, TT: 2, rsvd4: 8, SSPTPTR: 52 }),
    ...word({ AW: 3, ign67: 4, rsvd71: 1, DID: 16, rsvd88: 40 }),
  },
  iommu,
);
/** `TT`: a second-stage table; one, and the device may cache what it says; addresses as they are. 3 is reserved. */
export const CONTEXT_TT_MULTI_LEVEL = 0;
export const CONTEXT_TT_DEV_IOTLB = 1;
export const CONTEXT_TT_PASS_THROUGH = 2;

/** A device in scalable mode. The kernel writes the first half only. The directory has `2 ** (PDTS + 7)` entries. */
export const contextEntryScalable = struct(
  "context_entry",
  {
    ...word({ P: 1, FPD: 1, DTE: 1, PASIDE: 1, PRE: 1, rsvd5: 4, PDTS: 3, PASIDDIRPTR: 52 }),
    ...word({ RID_PASID: 20, RID_PRIV: 1, rsvd85: 43 }),
    ...word({ rsvd128: 64 }),
    ...word({ rsvd192: 64 }),
  },
  iommu,
);

/** A table of 64 PASIDs. */
export const pasidDirEntry = struct(
  "pasid_dir_entry",
  word({ P: 1, FPD: 1, rsvd2: 10, SMPTBLPTR: 52 }),
  pasid,
);
/** An address space of a device. AW is of the second stage, whatever the height of a first-stage table. */
export const pasidEntry = struct(
  "pasid_entry",
  {
    ...word({ P: 1, FPD: 1, AW: 3, SSEE: 1, PGTT: 3, SSADE: 1, rsvd10: 2, SSPTPTR: 52 }),
    ...word({ DID: 16, rsvd80: 7, PWSNP: 1, PGSNP: 1, rsvd89: 39 }),
    ...word({ SRE: 1, ERE: 1, FSPM: 2, WPE: 1, NXE: 1, SMEP: 1, EAFE: 1, rsvd136: 4, FSPTPTR: 52 }),
    ...word({ rsvd192: 64 }),
    ...word({ rsvd256: 64 }),
    ...word({ rsvd320: 64 }),
    ...word({ rsvd384: 64 }),
    ...word({ rsvd448: 64 }),
  },
  pasid,
);
/** `PGTT`: which tables translate. */
export const PASID_ENTRY_PGTT_FL_ONLY = 1;
export const PASID_ENTRY_PGTT_SL_ONLY = 2;
export const PASID_ENTRY_PGTT_NESTED = 3;
export const PASID_ENTRY_PGTT_PT = 4;

/** The domain id of pass-through and of CPU page tables. Page tables of the driver's own have those from 2 on. */
export const FLPT_DEFAULT_DID = 1;

/** Bytes of every table but PASID directories. */
export const tableBytes = iommuAbi.pageSize;
/** Entries of a table: 256 buses, 256 devices or in scalable mode half of them, 64 PASIDs. */
export const entriesOfTable = (layout: Struct): number => capacity(layout, tableBytes, iommuAbi);
/** Bytes of a PASID directory. */
export const directoryBytes = (PDTS: number): number => 2 ** (PDTS + 7) * sizeOf(pasidDirEntry, iommuAbi);
