/** IOMMU state of the proposed series as the new kernel takes it over. */
import { type Domain, type DomainOptions, domainOf, tableOf } from "../../../formats/iommu/domain.js";
import { itemLg2, mostLevels } from "../../../formats/iommu/format.js";
import { decodeIommuState } from "../../../formats/proposed/iommu/decode.js";
import { type DomainSer, domainOf as recordOf } from "../../../formats/proposed/iommu/records.js";
import { type IommuSeries, iommuKinds } from "../../../formats/proposed/iommu/series.js";
import {
  type IommuDevice,
  type IommuDomain,
  type IommuState,
  isDeleted,
  type Placed,
} from "../../../formats/proposed/iommu/state.js";
import { decode, sizeOf } from "../../layout/index.js";
import { type PhysAddr, physAddr } from "../../memory/index.js";
import type { Finding } from "../../report/finding.js";
import { hex } from "../../report/hex.js";
import { type KernelCore, pageOf } from "../kernel.js";
import { readingContext } from "../reading.js";
import { bug, restoreBlock } from "./restore.js";
import { type Block, eachTable, tableOwner, tableStore } from "./tables.js";
import type { Hwpt } from "./unit.js";

/** What the previous kernel handed over. */
export interface Incoming {
  readonly state: IommuState;
  /** The record of a device, as drivers look for it. */
  deviceRecord(id: number): Placed<IommuDevice> | undefined;
  /**
   * The domain whose record is at an address. Its tables are taken over when it is first asked for.
   * @throws KhoError with a consequence where the kernel panics
   */
  hwptAt(pa: PhysAddr): Hwpt;
  /** Gives the pages of the records back. */
  free(): void;
}

/**
 * Takes over the records that an FLB leads to; what is wrong with them is added to `findings`.
 * @param domains what domains of this kernel are like
 * @throws KhoError with a consequence where the kernel panics
 */
export function takeIncoming(
  core: KernelCore,
  { series, findings }: { readonly series: IommuSeries; readonly findings: Finding[] },
  domains: DomainOptions,
  data: bigint,
): Incoming {
  const rootPa = physAddr(data);
  const take = (pa: PhysAddr): number => restoreBlock(core, pa, "iommu state", "iommu");
  take(rootPa);
  const seen: Finding[] = [];
  const state = decodeIommuState(readingContext(core, seen), series, rootPa);
  findings.push(...seen);
  const pages = state ? iommuKinds.flatMap((kind) => state.places[kind]) : [];
  for (const pa of pages) take(pa);
  const fatal = seen.find(({ consequence }) => consequence?.outcome === "panic");
  // Without a root that can be read there is such a finding.
  if (!state || fatal) throw bug(fatal!.code, fatal!.message, fatal!.path, fatal!.pa);

  const hwpts = new Map<PhysAddr, Hwpt>();
  /** Kernels follow the address, whatever is there. */
  const read = (pa: PhysAddr): IommuDomain => {
    const known = state.domains.find((domain) => domain.pa === pa);
    if (known) return known;
    const layout = series.records.domains;
    const size = sizeOf(layout, core.abi);
    if (!core.ram.has(pa, size)) throw bug("bad-address", `there is no domain at ${hex(pa)}`, "iommu", pa);
    return recordOf(decode(layout, core.ram.read(pa, size), 0, core.abi) as DomainSer);
  };
  const restore = (pa: PhysAddr): Domain => {
    const path = `domain at ${hex(pa)}`;
    const { topTablePa, topLevel, vaBits = domains.vaBits, signExtend = domains.signExtend } = read(pa);
    if (topLevel >= BigInt(mostLevels))
      throw bug("iommu-state-value", `there are no tables of level ${topLevel}`, path, pa);
    const table = { root: topTablePa, levels: Number(topLevel) + 1 };
    const [least, most] = [table.levels - 1, table.levels].map((level) => itemLg2(domains.format, level));
    if (vaBits <= least! || vaBits > most!)
      throw bug("iommu-state-value", `tables of ${table.levels} levels do not take ${vaBits} bits`, path, pa);
    const domain = domainOf(
      { ...domains, vaBits, ...(signExtend !== undefined && { signExtend }) },
      table,
      tableStore(core, tableOwner),
    );
    takeTables(core, domain, path);
    return domain;
  };
  return {
    state,
    deviceRecord: (id) =>
      state.devices.find((device) => !isDeleted(device) && device.devid === id && device.pciDomain === 0),
    hwptAt(pa) {
      let hwpt = hwpts.get(pa);
      if (!hwpt)
        hwpts.set(pa, (hwpt = { domain: restore(pa), restored: true, preserved: false, gone: false }));
      return hwpt;
    },
    free() {
      for (const pa of [rootPa, ...pages]) core.pages.free(pageOf(pa, core.abi), 0);
    },
  };
}

/** Takes over every table of a domain. */
function takeTables(core: KernelCore, domain: Domain, path: string): void {
  const take = ({ pa, order }: Block): boolean => {
    const found = restoreBlock(core, pa, tableOwner, path);
    if (found === order) return true;
    throw bug("order-mismatch", `the table at ${hex(pa)} was preserved with order ${found}`, path, pa);
  };
  const fault = eachTable(core, tableOf(domain), path, take);
  if (fault) throw bug(fault.code, fault.message, fault.path, fault.pa);
}
