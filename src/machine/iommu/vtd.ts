/** VT-d in legacy mode, with second-stage tables of four levels. */
import { addressOfFrame, packWord, unpackWord } from "../../../formats/iommu/entry.js";
import { capReg, ecapReg, type VtdCapabilities } from "../../../formats/iommu/vtd/capabilities.js";
import { newVtdUnit } from "../../../formats/iommu/vtd/encode.js";
import { secondStageDomain } from "../../../formats/iommu/vtd/geometry.js";
import { entriesOfTable, rootEntry, rtaddrReg, tableBytes } from "../../../formats/iommu/vtd/layout.js";
import { busNumber, busOf, contextTableOf, type RootTable } from "../../../formats/iommu/vtd/root.js";
import { contextTables, contextTablesBitmap } from "../../../formats/proposed/iommu/context-tables.js";
import { sizeOf } from "../../layout/index.js";
import { type PhysAddr, physAddr } from "../../memory/index.js";
import type { KernelCore } from "../kernel.js";
import type { Persistence, Vendor } from "./driver.js";
import type { IommuHardware } from "./hardware.js";
import { bug, restoreBlock } from "./restore.js";
import { unitOwner } from "./tables.js";

/** Tables of four levels for 48 bits, leaves of 2 MiB and 1 GiB, walks through the caches. */
const capabilities: VtdCapabilities = {
  cap: packWord(capReg, { SAGAW: 0b100, MGAW: 47, SSLPS: 0b11 }),
  ecap: packWord(ecapReg, { C: 1 }),
};

const rootAt = ({ ram }: KernelCore, pa: PhysAddr): RootTable => ({
  mode: "legacy",
  pa,
  bytes: ram.read(pa, tableBytes),
});
const rootOf = ({ registers }: IommuHardware): PhysAddr =>
  addressOfFrame(unpackWord(rtaddrReg, registers!.root).RTA);

/** In legacy mode there is one context table for a bus. */
const tableOf = (device: number) => ({ bus: busNumber(device), half: "lower" }) as const;

const persistence: Persistence = {
  name: "intel",
  // As in PCs, real and virtual.
  registerBase: physAddr(0xfed90000),
  blocksOf(core, iommu, device) {
    const pa = rootOf(iommu);
    const contexts = contextTableOf(busOf(rootAt(core, pa), busNumber(device)), device)!;
    return [
      { pa, order: 0 },
      { pa: contexts.table.pa, order: 0 },
    ];
  },
  unitState: (iommu, devices) => ({
    intel: {
      registerBase: persistence.registerBase,
      rootTable: rootOf(iommu),
      contextTables: contextTablesBitmap(devices.map(tableOf)),
      restored: 0,
    },
  }),
  deviceState: () => ({ intel: { pasidTable: physAddr(0), maxPasid: 0n, restored: 0 } }),
  restore(core, { intel }) {
    const path = "iommu.iommus[0]";
    if (!intel) throw bug("iommu-state-value", "the record of the IOMMU has no root table", path, 0n);
    const { rootTable, contextTables: bitmap } = intel;
    restoreBlock(core, rootTable, unitOwner, `${path}.rootTable`);
    const root = rootAt(core, rootTable);
    // Without a bitmap all tables are handed over.
    const buses = bitmap && new Set(contextTables(bitmap).map(({ bus }) => bus));
    for (let bus = 0; bus < entriesOfTable(rootEntry); bus++) {
      const { found, tables } = busOf(root, bus);
      for (const { pa } of tables)
        if (buses === undefined || buses.has(bus)) restoreBlock(core, pa, unitOwner, `${path}.contextTables`);
        else core.ram.write(found.pa, new Uint8Array(sizeOf(rootEntry, core.abi)));
    }
    return [rootTable];
  },
};

export const vtd: Vendor = {
  // 0 is nobody's, 1 is that of pass-through.
  firstDomainId: 2,
  domainOptions: ({ kernel }) => secondStageDomain(capabilities, { kernel })!,
  open(_, __, store) {
    const unit = newVtdUnit(capabilities, store);
    if (!unit) return undefined;
    return {
      registers: { root: unit.root },
      attach: (device, domain, domainId) => unit.attach(device, { kind: "table", domain, domainId }),
      block(device) {
        unit.attach(device, { kind: "blocked" });
      },
    };
  },
  persistence,
};
