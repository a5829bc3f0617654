/** Makes root and context tables. */
import { decode, sizeOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import type { TableStore } from "../domain.js";
import { frameOf, iommuAbi } from "../entry.js";
import { structureBytes } from "../structures.js";
import {
  contextEntry,
  contextEntryScalable,
  entriesOfTable,
  rootEntry,
  rootEntryScalable,
  tableBytes,
} from "./layout.js";
import { busNumber, busOf, contextTableOf, devfnOf, type RootTable } from "./root.js";

/** The context entries of a unit. */
export interface ContextEntries {
  /** Where the entry of a device is, if its context table exists. */
  find(device: number): PhysAddr | undefined;
  /** The same, with the context table made if it is missing; undefined without memory for it. */
  make(device: number): PhysAddr | undefined;
}

export function newContextEntries(
  store: TableStore,
  rootPa: PhysAddr,
  mode: RootTable["mode"],
): ContextEntries {
  const layout = mode === "legacy" ? contextEntry : contextEntryScalable;
  const busWith = (device: number) => {
    const root = { mode, pa: rootPa, bytes: store.read(rootPa, tableBytes) };
    return busOf(root, busNumber(device));
  };
  const find = (device: number): PhysAddr | undefined => {
    const place = contextTableOf(busWith(device), device);
    return place && physAddr(place.table.pa + BigInt(place.index * sizeOf(layout, iommuAbi)));
  };
  /** The root entry of a device's bus with a table more. */
  const withTable = (device: number, frame: number): Uint8Array => {
    if (mode === "legacy") return structureBytes(rootEntry, { P: 1, CTP: frame });
    const isUpper = devfnOf(device) >= entriesOfTable(contextEntryScalable);
    const { bytes } = busWith(device).found;
    return structureBytes(rootEntryScalable, {
      ...decode(rootEntryScalable, bytes, 0, iommuAbi),
      ...(isUpper ? { UP: 1, UCTP: frame } : { LP: 1, LCTP: frame }),
    });
  };
  return {
    find,
    make(device) {
      const there = find(device);
      if (there !== undefined) return there;
      const table = store.allocate(tableBytes, 0);
      if (table === undefined) return undefined;
      store.write(busWith(device).found.pa, withTable(device, frameOf(table)));
      return find(device);
    },
  };
}
