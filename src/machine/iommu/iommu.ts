/** A machine's IOMMU as its kernel has set it up. */
import type { IommuRoot, VendorName } from "../../../formats/iommu/device.js";
import { driverOf, type IommuSeries, seriesOf } from "../../../formats/proposed/iommu/series.js";
import { isDeleted } from "../../../formats/proposed/iommu/state.js";
import type { Finding } from "../../report/finding.js";
import { refusal } from "../errno.js";
import { type File, type KernelCore, putFile } from "../kernel.js";
import type { Luo } from "../luo/luo.js";
import type { Process } from "../process.js";
import { amd } from "./amd.js";
import { type IommuDomain, isIommufd, newIommuDomain } from "./domain.js";
import type { Driver, Vendor } from "./driver.js";
import type { IommuHardware } from "./hardware.js";
import type { Incoming } from "./incoming.js";
import { type IommuLiveUpdate, newIommuLiveUpdate } from "./liveupdate.js";
import { bug } from "./restore.js";
import { riscv } from "./riscv.js";
import { smmuv3 } from "./smmuv3.js";
import { replayStore, tableStore, unitOwner } from "./tables.js";
import { type IommuUnit, newUnit } from "./unit.js";
import { vtd } from "./vtd.js";

/** What a kernel makes of an IOMMU. */
export interface IommuKernelOptions {
  /** The proposed series of live update for IOMMUs that it has: `d`, the newest, unless given; `none` for none. */
  readonly series?: string;
  /** False to preserve domains whatever they map: memory that nobody preserves, too. True unless given. */
  readonly checkFiles?: boolean;
}

/** An IOMMU and its driver. */
export interface Iommu {
  readonly vendor: VendorName;
  /** What the registers say: with it the tables are found. */
  readonly registers: IommuRoot;
  /**
   * Opens an iommufd with one, empty, address space, and gives `owner`, the first process unless named, a descriptor of it.
   * @throws KhoError `refused` ENOMEM, EMFILE
   */
  domain(owner?: Process): IommuDomain;
  /** The domain of an open file, or of a descriptor of the first process. @throws KhoError `refused` EINVAL if it is no iommufd */
  domainOf(file: File | number): IommuDomain;
}

/** What the machine itself needs of it. */
export interface IommuState extends Iommu {
  /** True if what a device reaches is what this kernel has let it reach. */
  isOwn(device: number): boolean;
  /** Right before the jump: where domains are handed over, devices that are in none of these are blocked. */
  shutDown(): void;
}

const vendors: Readonly<Record<VendorName, Vendor>> = { vtd, amd, smmuv3, riscv };

/** The largest number that caches of any maker are tagged with. */
const maxDomainId = 2 ** 16 - 1;

/** What an IOMMU is set up with. */
export interface IommuSite {
  readonly core: KernelCore;
  readonly luo: Luo | undefined;
  readonly iommu: IommuHardware;
  readonly options: IommuKernelOptions;
  /** The first process, which is not started by this. */
  readonly init: () => Process;
  /** Where what is wrong with IOMMU state that was handed over is added. */
  readonly findings: Finding[];
}

/**
 * Sets the IOMMU up: with what the kernel before handed over, or anew, and then all devices are blocked.
 * @throws KhoError `unknown-series`; `refused` ENOMEM; with a consequence where the kernel panics
 */
export function newIommu({ core, luo, iommu, options, init, findings }: IommuSite): IommuState {
  const { series = "d", checkFiles = true } = options;
  const vendor = vendors[iommu.vendor];
  const known: IommuSeries | undefined = series === "none" ? undefined : seriesOf(series);
  const liveUpdate =
    known && luo?.enabled && core.kernel.flb
      ? newIommuLiveUpdate(core, luo, iommu, vendor, { series: known, checkFiles, findings })
      : undefined;
  const restored = known && liveUpdate?.incoming && restore(core, iommu, vendor, known, liveUpdate.incoming);
  const unit = restored ?? newUnit(core, iommu, vendor, mustOpen(core, iommu, vendor));
  iommu.registers = unit.driver.registers;
  liveUpdate?.start(unit);
  return stateOf(unit, liveUpdate, init);
}

function mustOpen(core: KernelCore, iommu: IommuHardware, vendor: Vendor): Driver {
  const driver = vendor.open(core, iommu, tableStore(core, unitOwner));
  if (!driver) throw refusal("ENOMEM", "no memory for the IOMMU's tables");
  return driver;
}

function stateOf(unit: IommuUnit, liveUpdate: IommuLiveUpdate | undefined, init: () => Process): IommuState {
  const { iommu } = unit;
  return {
    vendor: iommu.vendor,
    get registers() {
      return iommu.registers!;
    },
    domain(owner = init()) {
      const domain = newIommuDomain(unit);
      try {
        owner.install(domain.file);
      } catch (error) {
        putFile(domain.file);
        throw error;
      }
      return domain;
    },
    domainOf(open) {
      const file = typeof open === "number" ? init().file(open) : open;
      if (!isIommufd(file)) throw refusal("EINVAL", `a file of type ${file.inode.type} is no iommufd`);
      return file.inode.domain;
    },
    isOwn: (device) => unit.hwptOf(device)?.restored === false,
    shutDown() {
      const kept = liveUpdate?.outgoingDevices();
      if (!kept) return;
      for (const device of iommu.devices) if (unit.hwptOf(device) && !kept.has(device)) unit.block(device);
    },
  };
}

/** Goes on with the tables that the kernel before has left; undefined if none of its records is of this IOMMU. */
function restore(
  core: KernelCore,
  iommu: IommuHardware,
  vendor: Vendor,
  series: IommuSeries,
  incoming: Incoming,
): IommuUnit | undefined {
  const persistence = vendor.persistence!;
  const { name, registerBase } = persistence;
  const record = incoming.state.iommus.find(
    (other) => !isDeleted(other) && other.token === registerBase && driverOf(series, other.type) === name,
  );
  if (!record) {
    core.log("IOMMU: it is not among those that were handed over");
    return undefined;
  }
  const devices = iommu.devices.flatMap((id) => {
    const found = incoming.deviceRecord(id);
    return found ? [{ id, found, hwpt: incoming.hwptAt(found.domainPa) }] : [];
  });
  const there = persistence.restore(
    core,
    record,
    devices.map(({ found }) => found),
  );
  const store = replayStore(tableStore(core, unitOwner), there);
  const driver = vendor.open(core, iommu, store);
  if (!driver) throw bug("iommu-state-value", "the IOMMU has no tables", "iommu.iommus", record.pa);
  const unit = newUnit(core, iommu, vendor, driver);
  for (const { id, found, hwpt } of devices) {
    const domainId = Number(found.attachmentId);
    const errno = domainId > maxDomainId ? "EINVAL" : driver.attach(id, hwpt.domain, domainId);
    if (errno)
      throw bug("iommu-state-value", "a device is not as its record says", "iommu.devices", found.pa);
    unit.adopt(id, hwpt, domainId);
  }
  store.end();
  return unit;
}
