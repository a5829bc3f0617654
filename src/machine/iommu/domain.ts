import { freeTables, newDomain, tableOf, topNode } from "../../../formats/iommu/domain.js";
import type { PageTable } from "../../../formats/iommu/format.js";
import type { MappingRuns } from "../../../formats/iommu/mappings.js";
import { decodeMappings } from "../../../formats/iommu/walk.js";
import { deviceName } from "../../iommu/names.js";
import type { PhysAddr } from "../../memory/index.js";
import { refusal } from "../errno.js";
import { type File, type Inode, openFile } from "../kernel.js";
import type { MemfdFile } from "../memfd/inode.js";
import { readingContext } from "../reading.js";
import { type AddressSpace, type FileRange, newAddressSpace } from "./address-space.js";
import { deviceIn } from "./hardware.js";
import { eachTable, tableOwner, tableStore } from "./tables.js";
import type { Hwpt, IommuUnit } from "./unit.js";

/** An iommufd with one address space: what devices that are attached can reach, by the addresses that they use. */
export interface IommuDomain {
  /** The open file. The domain is gone with its last reference: its devices are blocked, all is unmapped. */
  readonly file: File<IommufdInode>;
  /** Its page table, as it is to be read. */
  readonly table: PageTable;
  /** Devices attached to it, ascending. */
  readonly devices: readonly string[];
  /**
   * Maps a file, or a part of it. Its pages are pinned, and mapped by one call for each stretch of memory.
   * @param iova first address for devices, 0 to 2^64 - 1; a multiple of the page size
   * @param prot IOMMU_READ, IOMMU_WRITE or both
   * @throws KhoError `refused`: EINVAL, EOVERFLOW, EEXIST, ENOMEM, ERANGE beyond what the tables can have; EBUSY for a domain
   * that is preserved, EPERM for one that was restored, EBADF for one that is gone
   */
  map(iova: bigint, file: MemfdFile, prot: number, range?: FileRange): void;
  /** Takes mappings back that are in the range as a whole. @throws KhoError `refused`: ENOENT; as {@link map} */
  unmap(iova: bigint, size: bigint): void;
  /** Moves a device into this domain, out of any other. @throws KhoError `refused`: EBUSY, EPERM, EBADF */
  attach(device: string): void;
  /** Blocks a device of this domain. @throws KhoError `refused`: ENOENT if it is not in it; EBUSY */
  detach(device: string): void;
  /** The pages of its tables, each before those that it leads to; copies. */
  tables(): { readonly pa: PhysAddr; readonly bytes: Uint8Array }[];
  /** What its tables map, merged. */
  mappings(): MappingRuns;
}

/** An iommufd. */
export interface IommufdInode extends Inode {
  readonly type: "iommufd";
  readonly hwpt: Hwpt;
  readonly domain: IommuDomain;
  /** Absent for a domain that the previous kernel has filled. */
  readonly space?: AddressSpace;
}

export const isIommufd = (file: File): file is File<IommufdInode> => file.inode.type === "iommufd";

/** Makes an empty domain. @throws KhoError `refused` ENOMEM */
export function newIommuDomain(unit: IommuUnit): IommuDomain {
  const { core, driver, domains } = unit;
  const domain = newDomain(domains, tableStore(core, tableOwner));
  if (!domain) throw refusal("ENOMEM", "no memory for a page table");
  const hwpt: Hwpt = { domain, restored: false, preserved: false, gone: false };
  return openDomain(
    unit,
    hwpt,
    newAddressSpace(core, domain, () => driver.topChanged?.(domain)),
  );
}

/** Opens a domain that the previous kernel has made. */
export const openRestored = (unit: IommuUnit, hwpt: Hwpt): IommuDomain => openDomain(unit, hwpt, undefined);

/** Gives back the tables of a domain that no device is in. */
export function dropTables(hwpt: Hwpt): void {
  freeTables(hwpt.domain, topNode(hwpt.domain));
  hwpt.gone = true;
}

function openDomain(unit: IommuUnit, hwpt: Hwpt, space: AddressSpace | undefined): IommuDomain {
  const { core, iommu } = unit;
  const mustBe = (): void => {
    if (hwpt.gone) throw refusal("EBADF", "the domain is gone");
  };
  const mustBeOwn = (): AddressSpace => {
    mustBe();
    if (!space) throw refusal("EPERM", "the domain stays as the kernel before has left it");
    if (hwpt.preserved) throw refusal("EBUSY", "the domain is to be handed over");
    return space;
  };
  const inode: IommufdInode = {
    type: "iommufd",
    opens: 0,
    hwpt,
    ...(space && { space }),
    get domain() {
      return domain;
    },
    release() {
      if (hwpt.gone) return;
      for (const device of unit.devicesOf(hwpt)) unit.block(device);
      space?.unmapAll();
      dropTables(hwpt);
    },
  };
  const domain: IommuDomain = {
    file: openFile(inode),
    get table() {
      return tableOf(hwpt.domain);
    },
    get devices() {
      return unit.devicesOf(hwpt).map(deviceName);
    },
    map: (iova, file, prot, range) => mustBeOwn().map(iova, file, prot, range),
    unmap: (iova, size) => mustBeOwn().unmap(iova, size),
    attach(device) {
      mustBeOwn();
      unit.attach(deviceIn(iommu, device), hwpt);
    },
    detach(device) {
      mustBe();
      const id = deviceIn(iommu, device);
      if (unit.hwptOf(id) !== hwpt) throw refusal("ENOENT", `${device} is not in this domain`);
      unit.block(id);
    },
    tables() {
      mustBe();
      const found: { pa: PhysAddr; bytes: Uint8Array }[] = [];
      eachTable(core, tableOf(hwpt.domain), "domain", ({ pa, order }) => {
        const bytes = core.ram.read(pa, core.abi.pageSize * 2 ** order).slice();
        return found.push({ pa, bytes }) > 0;
      });
      return found;
    },
    mappings() {
      mustBe();
      return decodeMappings(readingContext(core, []), tableOf(hwpt.domain), "domain");
    },
  };
  return domain;
}
