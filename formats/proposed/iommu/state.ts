import type { PhysAddr } from "../../../src/memory/index.js";
import { IOMMU_SER_FLAG_DELETED, IOMMU_SER_FLAG_INCOMING } from "./layout.js";
import type { IommuKind } from "./series.js";

/** What every record begins with. */
export interface IommuRecord {
  /** References to the record, u32: 1 at first; of an IOMMU, the devices behind it. */
  readonly refCount: number;
  /** `IOMMU_SER_FLAG_*`, u32; 8 bits where the kernel has bit fields. Other bits are kept. */
  readonly flags: number;
  /** Number of the record among those of its kind, u32; with `iommu-v1` only. */
  readonly index?: number;
}

/** What drivers add to a record: at most one of these, by the type of the IOMMU. */
export interface DriverState<Intel, Smmuv3> {
  readonly intel?: Intel;
  readonly smmuv3?: Smmuv3;
  /** The bytes of the union where nothing tells what they are; absent if they are zeros. */
  readonly union?: Uint8Array;
}

/** A VT-d unit. */
export interface IntelIommu {
  readonly registerBase: PhysAddr;
  readonly rootTable: PhysAddr;
  /** A bit for each preserved context table, 8 words; see `contextTables`. From `c` on; before, tables are found by walking. */
  readonly contextTables?: BigUint64Array;
  /** Written by the reading kernel, u8. From `c` on. */
  readonly restored?: number;
}

/** An SMMUv3. The tokens belong to the DMA layer. */
export interface Smmuv3Iommu {
  readonly registerBase: PhysAddr;
  /** Value of the register of that name, u64. */
  readonly strtabBaseCfg: bigint;
  /** Token of the linear or level-1 stream table, u64. */
  readonly l1StrtabState: bigint;
  /** Address of a u64 token for each level-1 entry, 0 for one that is not preserved; 0 for a linear stream table. */
  readonly l2StrtabStates: PhysAddr;
}

export interface Iommu extends IommuRecord, DriverState<IntelIommu, Smmuv3Iommu> {
  /** What drivers find the record by, together with the type: the address of the registers. */
  readonly token: bigint;
  /** `IOMMU_*`, u64; u32 with `iommu-v1`. */
  readonly type: bigint;
}

export interface IommuDomain extends IommuRecord {
  /** The page table that the IOMMU begins at. Which format it has is not recorded. */
  readonly topTablePa: PhysAddr;
  /** Level of that table in the kernel's generic page tables, u64: 0 is the level of leaves of the base page size. */
  readonly topLevel: bigint;
  /** Bits of an I/O virtual address, u32. From `b` on. */
  readonly vaBits?: number;
  /** Whether addresses are sign-extended. From `b` on. */
  readonly signExtend?: boolean;
  /** Devices in the domain, u64; `a0` only. */
  readonly attachCount?: bigint;
}

/** What the Intel driver adds to a device: the PASID directory, 0 in legacy mode. */
export interface IntelDevice {
  readonly pasidTable: PhysAddr;
  /** u64 */
  readonly maxPasid: bigint;
  /** Written by the reading kernel, u8. `d` only. */
  readonly restored?: number;
}

/** What the SMMUv3 driver adds to a device: context descriptors, all 0 for stage 2. */
export interface Smmuv3Device {
  readonly l1CdtabState: bigint;
  /** u32 */
  readonly numL2Cdtabs: number;
  readonly l2CdtabStates: PhysAddr;
}

/** Where a device leads. */
export interface DeviceLinks {
  /** Position of the record among the state's domains, or its IOMMUs; undefined if the address is that of no record. */
  readonly domain?: number;
  readonly iommu?: number;
  /** The addresses themselves. */
  readonly domainPa: PhysAddr;
  readonly iommuPa: PhysAddr;
}

export interface IommuDeviceFields extends IommuRecord, DriverState<IntelDevice, Smmuv3Device> {
  /** PCI requester: bus in bits 8 to 15, device and function below. u32 */
  readonly devid: number;
  /** PCI segment, u32. */
  readonly pciDomain: number;
  /** Of VT-d, the domain id in context entries. u64; u32 with `iommu-v1`. */
  readonly attachmentId: bigint;
  /** Given by whoever preserved the device, u64; with `iommu-v1` only. */
  readonly token?: bigint;
  /** u64; `d` only. */
  readonly dmaOwnerToken?: bigint;
  /** `IOMMU_*`, u32; with `iommu-v1` only, whose kernels leave it 0. */
  readonly type?: number;
}
export interface IommuDevice extends IommuDeviceFields, DeviceLinks {}

/** Where the pages of a state are. */
export interface IommuPlaces extends Readonly<Record<IommuKind, readonly PhysAddr[]>> {
  readonly root: PhysAddr;
}

/** A record of a state that was read, with its own address. */
export type Placed<R> = R & { readonly pa: PhysAddr };

/** What the FLB of a series hands over; deleted records are among the others, where they are in memory. */
export interface IommuState {
  readonly places: IommuPlaces;
  /** Numbers of records that the root gives, each u64; with `iommu-v1` only. */
  readonly counts?: Readonly<Record<IommuKind, bigint>>;
  readonly iommus: readonly Placed<Iommu>[];
  readonly domains: readonly Placed<IommuDomain>[];
  readonly devices: readonly Placed<IommuDevice>[];
}

/** True for a record whose slot is dead: readers skip it. */
export const isDeleted = ({ flags }: IommuRecord): boolean => (flags & IOMMU_SER_FLAG_DELETED) !== 0;
/** True for a record that a reading kernel has taken over. */
export const isIncoming = ({ flags }: IommuRecord): boolean => (flags & IOMMU_SER_FLAG_INCOMING) !== 0;

export const iommuStatePath = "iommu";
export const iommuRootPath = `${iommuStatePath}.root`;
/** All records of a kind, and one of them. */
export const recordsPath = (kind: IommuKind): string => `${iommuStatePath}.${kind}`;
export const recordPath = (kind: IommuKind, index: number): string => `${recordsPath(kind)}[${index}]`;
/** One of the pages that hold records of a kind. */
export const recordPagePath = (kind: IommuKind, index: number): string =>
  `${recordsPath(kind)}.pages[${index}]`;
