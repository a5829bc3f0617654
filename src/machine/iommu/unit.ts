/** An IOMMU as the kernel that runs keeps it: its driver, and which device is in which domain. */
import type { Domain, DomainOptions } from "../../../formats/iommu/domain.js";
import { refusal } from "../errno.js";
import type { KernelCore } from "../kernel.js";
import type { Driver, Vendor } from "./driver.js";
import type { IommuHardware } from "./hardware.js";

/** A page table that devices can be attached to: iommufd's `struct iommufd_hw_pagetable`. */
export interface Hwpt {
  readonly domain: Domain;
  /** What caches are tagged with; given out with the first device, and back with the last. */
  domainId?: number;
  /** It was made by the kernel before. */
  readonly restored: boolean;
  /** It is to be handed over: nothing of it may change. */
  preserved: boolean;
  /** Its tables have been given back. */
  gone: boolean;
}

/** An IOMMU in use. */
export interface IommuUnit {
  readonly core: KernelCore;
  readonly iommu: IommuHardware;
  readonly vendor: Vendor;
  readonly driver: Driver;
  /** What domains of this kernel are like. */
  readonly domains: DomainOptions;
  /** What a device is attached to; undefined for one that is blocked. */
  hwptOf(device: number): Hwpt | undefined;
  /** Devices that are attached to it, ascending. */
  devicesOf(hwpt: Hwpt): number[];
  /**
   * Attaches a device, and detaches it from what it was attached to.
   * @throws KhoError `refused`: EBUSY for a device that is to be handed over, and what the driver says
   */
  attach(device: number, hwpt: Hwpt): void;
  /** Notes that a device is attached, and has been since before this kernel. */
  adopt(device: number, hwpt: Hwpt, domainId: number): void;
  block(device: number): void;
}

export function newUnit(core: KernelCore, iommu: IommuHardware, vendor: Vendor, driver: Driver): IommuUnit {
  const hwpts = new Map<number, Hwpt>();
  const ids = new Set<number>();
  const devicesOf = (hwpt: Hwpt): number[] => iommu.devices.filter((device) => hwpts.get(device) === hwpt);
  const freeId = (): number => {
    let id = vendor.firstDomainId;
    while (ids.has(id)) id++;
    return id;
  };
  const leave = (device: number): void => {
    const hwpt = hwpts.get(device);
    hwpts.delete(device);
    if (hwpt?.domainId === undefined || devicesOf(hwpt).length > 0) return;
    ids.delete(hwpt.domainId);
    delete hwpt.domainId;
  };
  const mustBeFree = (device: number): void => {
    if (hwpts.get(device)?.preserved) throw refusal("EBUSY", "the device is to be handed over");
  };
  return {
    core,
    iommu,
    vendor,
    driver,
    domains: vendor.domainOptions(core),
    hwptOf: (device) => hwpts.get(device),
    devicesOf,
    attach(device, hwpt) {
      mustBeFree(device);
      if (hwpts.get(device) === hwpt) return;
      const domainId = hwpt.domainId ?? freeId();
      const errno = driver.attach(device, hwpt.domain, domainId);
      if (errno) throw refusal(errno, "the driver does not attach the device");
      leave(device);
      ids.add(domainId);
      hwpt.domainId = domainId;
      hwpts.set(device, hwpt);
    },
    adopt(device, hwpt, domainId) {
      ids.add(domainId);
      hwpt.domainId = domainId;
      hwpts.set(device, hwpt);
    },
    block(device) {
      mustBeFree(device);
      driver.block(device);
      leave(device);
    },
  };
}
