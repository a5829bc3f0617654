import type { IommuRoot } from "../../../formats/iommu/device.js";
import type { Domain, DomainOptions, TableStore } from "../../../formats/iommu/domain.js";
import type { DriverName } from "../../../formats/proposed/iommu/series.js";
import type { Iommu, IommuDeviceFields } from "../../../formats/proposed/iommu/state.js";
import type { PhysAddr } from "../../memory/index.js";
import type { Errno } from "../errno.js";
import type { KernelCore } from "../kernel.js";
import type { IommuHardware } from "./hardware.js";
import type { Block } from "./tables.js";

/** A kernel's driver of one IOMMU, which has made the IOMMU's tables. All devices are blocked at first. */
export interface Driver {
  /** What it writes to the registers. */
  readonly registers: IommuRoot;
  /** Lets a device's requests go through a domain. `domainId` is what the caches are tagged with. */
  attach(device: number, domain: Domain, domainId: number): Errno | undefined;
  block(device: number): void;
  /** The domain has got another top table. */
  topChanged?(domain: Domain): void;
}

/** What there is to know about the IOMMUs of one maker. */
export interface Vendor {
  /** What the kernel decides about a domain, on the hardware that simulated machines have. */
  domainOptions(core: KernelCore): DomainOptions;
  /** Domain ids that a driver hands out begin here. */
  readonly firstDomainId: number;
  /** Sets an IOMMU up: its tables are made first of all. Undefined if there is no memory for them. */
  open(core: KernelCore, iommu: IommuHardware, store: TableStore): Driver | undefined;
  /** How it is handed over; absent where no series has a place for it. */
  readonly persistence?: Persistence;
}

/** What the driver adds to the record of its IOMMU, and to that of a device. */
export type UnitState = Pick<Iommu, "intel" | "smmuv3">;
export type DeviceState = Pick<IommuDeviceFields, "intel" | "smmuv3">;

/** A table of an IOMMU's own. Series keep some as DMA allocations, each with a block that says where it is. */
export interface UnitBlock extends Block {
  readonly dma?: true;
}

/** Address of the block that tells where a DMA allocation is. */
export type TokenOf = (pa: PhysAddr) => PhysAddr;

/** How an IOMMU's own tables get over a kexec. */
export interface Persistence {
  /** Whose union of the records it writes. */
  readonly name: DriverName;
  /** Where its registers are. */
  readonly registerBase: PhysAddr;
  /** Tables that a device's requests are looked up in, the root first. */
  blocksOf(core: KernelCore, iommu: IommuHardware, device: number): readonly UnitBlock[];
  unitState(iommu: IommuHardware, devices: readonly number[], tokenOf: TokenOf): UnitState;
  deviceState(core: KernelCore, iommu: IommuHardware, device: number, tokenOf: TokenOf): DeviceState;
  /**
   * Takes over the tables that were handed over, and makes sure that no other is used.
   * @param devices what the records of the devices say, in the order that they will be attached again
   * @returns where the tables are, in the order that the driver asks for them
   * @throws KhoError with a consequence where the kernel panics
   */
  restore(core: KernelCore, unit: UnitState, devices: readonly DeviceState[]): readonly PhysAddr[];
}
