/** IOMMU state of the proposed series as the old kernel keeps it, record by record, in preserved pages. */
import { type Domain, tableOf } from "../../../formats/iommu/domain.js";
import { decodeIommuState } from "../../../formats/proposed/iommu/decode.js";
import {
  encodeIommuState,
  type IommuDeviceSource,
  pagesFor,
} from "../../../formats/proposed/iommu/encode.js";
import { IOMMU_SER_FLAG_DELETED } from "../../../formats/proposed/iommu/layout.js";
import { type IommuKind, type IommuSeries, iommuKinds } from "../../../formats/proposed/iommu/series.js";
import {
  type Iommu,
  type IommuDomain,
  type IommuRecord,
  isDeleted,
} from "../../../formats/proposed/iommu/state.js";
import type { PhysAddr } from "../../memory/index.js";
import { type KernelCore, pageOf } from "../kernel.js";
import { readingContext } from "../reading.js";
import { targetOf } from "../target.js";
import type { Persistence } from "./driver.js";
import type { IommuHardware } from "./hardware.js";
import { newSharedBlocks } from "./shared-blocks.js";
import { type Block, eachTable } from "./tables.js";

/** Takes one step back. */
type Undo = () => void;

/** A device of a domain, and what its entries are tagged with. */
export interface AttachedDevice {
  readonly id: number;
  readonly domainId: number;
}

/** What this kernel is going to hand over. */
export interface Outgoing {
  /** What the FLB says. */
  readonly rootPa: PhysAddr;
  /** Devices whose records are alive. */
  readonly devices: ReadonlySet<number>;
  /**
   * Preserves a domain's tables, the devices in it, and what leads there; `pa` is where the domain's record is. All or nothing.
   * @throws KhoError `refused` with ENOMEM
   */
  preserve(
    domain: Domain,
    devices: readonly AttachedDevice[],
  ): { readonly pa: PhysAddr; readonly undo: Undo };
  /** Gives the pages of the records back. */
  free(): void;
}

/** A new state without records. @throws KhoError `refused` with ENOMEM */
export function newOutgoing(
  core: KernelCore,
  iommu: IommuHardware,
  series: IommuSeries,
  persistence: Persistence,
): Outgoing {
  const { kho, abi } = core;
  const { pageSize } = abi;
  const iommus: Iommu[] = [];
  const domains: IommuDomain[] = [];
  const devices: IommuDeviceSource[] = [];
  const preserved = new Set<number>();
  const newPage = (): PhysAddr => kho.allocPreserve(pageSize, "iommu state");
  const dropPage = (pa: PhysAddr): void => kho.unpreserveFree(pa, pageSize);
  const places: { root: PhysAddr } & Record<IommuKind, PhysAddr[]> = {
    root: newPage(),
    iommus: [],
    domains: [],
    devices: [],
  };
  const free = (): void => {
    for (const kind of iommuKinds.toReversed())
      for (const pa of places[kind].splice(0).reverse()) dropPage(pa);
    dropPage(places.root);
  };

  /** Writes all records. */
  const write = (): void => {
    const live = liveIommu();
    if (live >= 0) iommus[live] = { ...iommus[live]!, ...unitState() };
    encodeIommuState(targetOf(core), series, places, { iommus, domains, devices });
  };
  /** Adds a record, and a page for it where the last one is full. */
  const add = <R extends IommuRecord>(kind: IommuKind, list: R[], record: R): number => {
    const wanted = pagesFor(series, kind, list.length + 1, { abi });
    while (places[kind].length < wanted) places[kind].push(newPage());
    return list.push(record) - 1;
  };
  /** A record that nobody needs any more stays where it is, dead: its place is not used again. */
  const remove = (list: IommuRecord[], at: number): void => {
    list[at] = { ...list[at]!, refCount: 0, flags: IOMMU_SER_FLAG_DELETED };
  };

  const held = newSharedBlocks(core);
  const { name, registerBase } = persistence;
  /** The record of the IOMMU, while there is a device that refers to it. */
  const liveIommu = (): number => iommus.findIndex((record) => !isDeleted(record));
  const unitState = () => persistence.unitState(iommu, [...preserved], held.tokenOf);
  const type = BigInt(series.drivers[name]!.type);
  const blank = { refCount: 1, flags: 0 };

  /** One more device refers to the record of the IOMMU. */
  const refer = (): number => {
    const at = liveIommu();
    if (at < 0) return add("iommus", iommus, { ...blank, token: registerBase, type, ...unitState() });
    iommus[at] = { ...iommus[at]!, refCount: iommus[at]!.refCount + 1 };
    return at;
  };
  const unrefer = (at: number): void => {
    const { refCount } = iommus[at]!;
    if (refCount === 1) remove(iommus, at);
    else iommus[at] = { ...iommus[at]!, refCount: refCount - 1 };
  };

  const addDevice = ({ id, domainId }: AttachedDevice, domain: number, undo: Undo[]): void => {
    for (const block of persistence.blocksOf(core, iommu, id)) {
      held.keep(block);
      undo.push(() => held.drop(block));
    }
    preserved.add(id);
    undo.push(() => preserved.delete(id));
    const at = refer();
    undo.push(() => unrefer(at));
    const state = series.drivers[name]!.device && persistence.deviceState(core, iommu, id, held.tokenOf);
    const links = { domain, iommu: at };
    const record = { ...blank, devid: id, pciDomain: 0, attachmentId: BigInt(domainId), ...links, ...state };
    const place = add("devices", devices, record);
    undo.push(() => remove(devices, place));
  };

  const preserve = (domain: Domain, attached: readonly AttachedDevice[]) => {
    const undo: Undo[] = [];
    const takeBack = (): void => {
      for (const step of undo.splice(0).reverse()) step();
      write();
    };
    try {
      const { root, levels, vaBits, signExtend } = tableOf(domain);
      const topLevel = BigInt(levels - 1);
      const at = add("domains", domains, { ...blank, topTablePa: root, topLevel, vaBits, signExtend });
      undo.push(() => remove(domains, at));
      const tables: Block[] = [];
      eachTable(core, tableOf(domain), "domain", (table) => tables.push(table) > 0);
      for (const table of tables) {
        kho.preserveFolio(pageOf(table.pa, abi), table.order);
        undo.push(() => kho.unpreserveFolio(pageOf(table.pa, abi), table.order));
      }
      for (const device of attached) addDevice(device, at, undo);
      write();
      const written = decodeIommuState(readingContext(core, []), series, places.root);
      return { pa: written!.domains[at]!.pa, undo: takeBack };
    } catch (error) {
      takeBack();
      throw error;
    }
  };

  try {
    for (const kind of iommuKinds) places[kind].push(newPage());
  } catch (error) {
    free();
    throw error;
  }
  write();
  return { rootPa: places.root, devices: preserved, preserve, free };
}
