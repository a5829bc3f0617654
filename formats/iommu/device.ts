import type { Struct } from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import type { PageTable } from "./format.js";
import type { FrameSet } from "./frames.js";
import type { IommuContext } from "./walk.js";

/** Makers whose IOMMUs are read, by what the architecture is called. */
export type VendorName = "vtd" | "amd" | "smmuv3" | "riscv";

/** Where an IOMMU's tables are, and what has to be known to read them. */
export interface IommuRoot {
  /**
   * The register as the hardware holds it, mode and size bits included: RTADDR, the device table base, STRTAB_BASE, ddtp. Or
   * the aligned address of the table alone: what the bits would have said is then worked out.
   */
  readonly root: bigint;
  /** SMMUv3: STRTAB_BASE_CFG. RISC-V: the capabilities register. */
  readonly cfg?: bigint;
  /** AMD: the bit of an address that says that memory is encrypted, as a mask; 0 unless given. */
  readonly smeMask?: bigint;
}

/** What an IOMMU does with the requests of a device. */
export type TranslationKind =
  /** It lets nothing through. */
  | "blocked"
  /** It takes addresses as they are. */
  | "identity"
  /** It looks them up in `table`. */
  | "table"
  /** It looks them up in `table`, and what that says, and where that lies, in `parent`. */
  | "nested";

/** One structure on the way from the root to a page table. */
export interface DeviceWords {
  /** Its layout, with the kernel's name. */
  readonly layout: Struct;
  readonly pa: PhysAddr;
  readonly bytes: Uint8Array;
}

/** What an IOMMU's structures say of one device, or of one of its address spaces. */
export interface DeviceEntry {
  /** Requester id of a PCI device, `bus << 8 | device << 3 | function`; StreamID of SMMUv3, which often is the same. */
  readonly device: number;
  /** PASID or SubstreamID; absent for requests without one. */
  readonly pasid?: number;
  readonly kind: TranslationKind;
  /** What caches are tagged with, by the name of the field: DID, DomainID, ASID, VMID, PSCID. */
  readonly domain?: { readonly name: string; readonly id: number };
  /** With kind `table` or `nested`. With `nested` its root is an address that `parent` translates. */
  readonly table?: PageTable;
  readonly parent?: PageTable;
  /** The structures that say so, from the root on. */
  readonly words: readonly DeviceWords[];
  /** Where it is, for findings: `devices[0x28]`. */
  readonly path: string;
}

/** An IOMMU whose root is understood. */
export interface Unit {
  /** How it is set up, in words: `legacy mode`, `two-level stream table, 16 bits`. */
  readonly summary: string;
  /** Frames of the device structures that were read so far. */
  readonly tables: FrameSet;
  /**
   * Every address space of every device whose entry is not as the driver sets unused ones up, ascending. At most
   * `limits.maxRecords`.
   */
  devices(): Iterable<DeviceEntry>;
  /** What is said of one device; undefined where there is no entry at all. Reads no more than it has to. */
  device(device: number, pasid?: number): DeviceEntry | undefined;
}

/** Reads an IOMMU's root. @throws KhoError `iommu-root-malformed` if nothing can be read from there on */
export type OpenUnit = (ctx: IommuContext, root: IommuRoot) => Unit;

/** Path of a device in findings. */
export const devicePath = (device: number, pasid?: number): string =>
  `devices[0x${device.toString(16)}]${pasid === undefined ? "" : `.pasids[${pasid}]`}`;
