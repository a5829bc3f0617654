/**
 * What AMD's IOMMUs read from memory beside page tables, and the registers that it takes to do so. Names of fields are the
 * hardware's; those of reserved bits count through the whole structure, as its specification does.
 */
import { struct } from "../../../src/layout/index.js";
import { entry, word } from "../entry.js";

// The same in 6.16 to 7.3.
const source = { header: "drivers/iommu/amd/amd_iommu_types.h", since: "6.16" };

/** The register at MMIO offset 0. The table has `Size + 1` pages of 4 KiB, DevTabBase is the frame of the first. */
export const mmioDevTable = entry(
  "mmio_dev_table",
  { Size: 9, rsvd9: 3, DevTabBase: 40, rsvd52: 12 },
  source,
);

/** The register at MMIO offset 0x30, as far as geometry follows from it: levels of v1 tables, and of v2 tables. */
export const mmioExtFeatures = entry("mmio_ext_features", { ign0: 10, HATS: 2, GATS: 2, ign14: 50 }, source);

/** Where a device table entry has the frame of its GCR3 table: widths of the three parts, the lowest bits first. */
export const gcr3Parts = { GCR3_14_12: 3, GCR3_30_15: 16, GCR3_51_31: 21 } as const;
const { GCR3_14_12, GCR3_30_15, GCR3_51_31 } = gcr3Parts;

/** A device. HostRoot is the frame of a v1 table, IntTableRoot counts in units of 64 bytes. */
export const devTableEntry = struct(
  "dev_table_entry",
  {
    ...word({
      V: 1,
      TV: 1,
      rsvd2: 5,
      HAD: 2,
      Mode: 3,
      HostRoot: 40,
      PPR: 1,
      GPRP: 1,
      GIOV: 1,
      GV: 1,
      GLX: 2,
      GCR3_14_12,
      IR: 1,
      IW: 1,
      rsvd63: 1,
    }),
    ...word({
      DomainID: 16,
      GCR3_30_15,
      I: 1,
      SE: 1,
      SA: 1,
      IoCtl: 2,
      Cache: 1,
      SD: 1,
      EX: 1,
      SysMgt: 2,
      rsvd106: 1,
      GCR3_51_31,
    }),
    ...word({
      IV: 1,
      IntTabLen: 4,
      IG: 1,
      IntTableRoot: 46,
      rsvd180: 2,
      GuestPagingMode: 2,
      INITPass: 1,
      EINTPass: 1,
      NMIPass: 1,
      rsvd187: 1,
      IntCtl: 2,
      Lint0Pass: 1,
      Lint1Pass: 1,
    }),
    ...word({ rsvd192: 64 }),
  },
  source,
);

/** `Mode`: levels of the v1 table, 0 for none. 7 is reserved. */
export const mostHostLevels = 6;
/** `GLX`: levels of the GCR3 table less one. 3 is reserved. */
export const mostGcr3Levels = 3;
/** `GuestPagingMode`: levels of v2 tables less this. 2 and 3 are reserved. */
export const fewestGuestLevels = 4;
export const mostGuestLevels = 5;
/** `HAD` where hardware keeps accessed and dirty bits. */
export const HAD_ACCESSED_DIRTY = 3;

/** An entry of a GCR3 table: of the next level, or of a PASID's v2 table. */
export const gcr3Entry = entry("gcr3_entry", { V: 1, rsvd1: 11, ADDR: 40, rsvd52: 12 }, source);
/** Base-2 logarithm of the entries of one page of a GCR3 table. */
export const gcr3EntriesLg2 = 9;
/** Bits of a PASID. */
export const pasidBits = 20;

/** The frame of a GCR3 table, put together from a device table entry. */
export const gcr3Frame = (dte: Readonly<Record<keyof typeof gcr3Parts, number>>): number =>
  dte.GCR3_14_12 + (dte.GCR3_30_15 + dte.GCR3_51_31 * 2 ** GCR3_30_15) * 2 ** GCR3_14_12;

/** The parts of the frame of a GCR3 table, below 2^40. */
export const gcr3Split = (frame: number): Record<keyof typeof gcr3Parts, number> => ({
  GCR3_14_12: frame % 2 ** GCR3_14_12,
  GCR3_30_15: Math.floor(frame / 2 ** GCR3_14_12) % 2 ** GCR3_30_15,
  GCR3_51_31: Math.floor(frame / 2 ** (GCR3_14_12 + GCR3_30_15)),
});
