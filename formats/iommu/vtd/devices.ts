/** What a VT-d unit does with the requests of each device. */
import { type Struct, sizeOf } from "../../../src/layout/index.js";
import { readMemory } from "../../context.js";
import { type DeviceEntry, type DeviceWords, devicePath, type OpenUnit, type Unit } from "../device.js";
import { frameOf, iommuAbi } from "../entry.js";
import { type FrameSet, newFrameSet } from "../frames.js";
import { type Budget, type Bytes, entryOf, newBudget, reportReserved } from "../structures.js";
import type { IommuContext } from "../walk.js";
import { contextEntry, contextEntryScalable, entriesOfTable, rootEntry, tableBytes } from "./layout.js";
import { addressSpaceOf, addressSpaces, type ScalableDevice } from "./pasids.js";
import {
  busNumber,
  busOf,
  type ContextTable,
  contextTableOf,
  openRootTable,
  type RootTable,
  requesterId,
} from "./root.js";
import { contextTranslation, deviceEntry } from "./translation.js";
import { isUsed, usedEntries } from "./used.js";

/**
 * Opens a unit by DMAR_RTADDR_REG, or by the address of its root table alone: then the tables tell whether they are of
 * scalable mode.
 */
export const openVtd: OpenUnit = (ctx, { root }) => {
  const table = openRootTable(ctx, root);
  return table === "abort" ? abortingUnit() : unitOf(ctx, table);
};

/** A unit that lets nothing through, whatever its tables say. */
const abortingUnit = (): Unit => ({
  summary: "all DMA aborted",
  tables: newFrameSet(),
  devices: () => [],
  device: (device, pasid) => deviceEntry(device, pasid, []),
});

/** A context entry in use: number `index` of a table, which the root table's entry `bus` leads to. */
interface Place {
  readonly device: number;
  readonly bus: DeviceWords;
  readonly table: Bytes;
  readonly index: number;
}

/** How context entries are read. */
interface Mode {
  readonly layout: Struct;
  all(place: Place, budget: Budget): Iterable<DeviceEntry>;
  one(place: Place, pasid: number | undefined): DeviceEntry | undefined;
}

function legacyMode(ctx: IommuContext): Mode {
  const read = ({ device, bus, table, index }: Place): DeviceEntry => {
    const found = entryOf(contextEntry, table, index);
    const words = [bus, found];
    if (!found.value.P) return deviceEntry(device, undefined, words);
    const path = devicePath(device);
    reportReserved(ctx, found, path);
    return deviceEntry(device, undefined, words, contextTranslation(ctx, found, path));
  };
  return {
    layout: contextEntry,
    all: (place) => [read(place)],
    one: (place, pasid) => (pasid === undefined ? read(place) : undefined),
  };
}

function scalableMode(ctx: IommuContext, tables: FrameSet): Mode {
  const read = ({ device, bus, table, index }: Place): ScalableDevice => {
    const context = entryOf(contextEntryScalable, table, index);
    return { ctx, tables, device, context, words: [bus, context] };
  };
  return {
    layout: contextEntryScalable,
    all: (place, budget) => addressSpaces(read(place), budget),
    one: (place, pasid) => addressSpaceOf(read(place), pasid),
  };
}

function unitOf(ctx: IommuContext, root: RootTable): Unit {
  const tables = newFrameSet();
  tables.add(frameOf(root.pa));
  const mode = root.mode === "legacy" ? legacyMode(ctx) : scalableMode(ctx, tables);
  const buses = entriesOfTable(rootEntry);

  const openBus = (number: number) => {
    const bus = busOf(root, number);
    if (bus.tables.length > 0) reportReserved(ctx, bus.found, busPath(number));
    return bus;
  };
  const openTable = ({ pa }: ContextTable, path: string): Bytes | undefined => {
    const bytes = readMemory(ctx, pa, tableBytes, path);
    if (bytes) tables.add(frameOf(pa));
    return bytes && { pa, bytes };
  };

  return {
    summary: `${root.mode} mode`,
    tables,
    *devices() {
      const budget = newBudget(ctx);
      for (let number = 0; number < buses; number++) {
        const { found: bus, tables: contextTables } = openBus(number);
        for (const contextTable of contextTables) {
          const table = openTable(contextTable, busPath(number));
          if (!table) continue;
          for (const index of usedEntries(table.bytes, sizeOf(mode.layout, iommuAbi))) {
            if (!budget()) return;
            const device = requesterId(number, contextTable.first + index);
            yield* mode.all({ device, bus, table, index }, budget);
          }
        }
      }
    },
    device(device, pasid) {
      if (!(Number.isInteger(device) && device >= 0 && busNumber(device) < buses)) return undefined;
      const bus = openBus(busNumber(device));
      const place = contextTableOf(bus, device);
      const table = place && openTable(place.table, devicePath(device));
      if (!table || !isUsed(entryOf(mode.layout, table, place.index))) return undefined;
      return mode.one({ device, bus: bus.found, table, index: place.index }, pasid);
    },
  };
}

/** Path of a bus in findings. */
const busPath = (bus: number): string => `buses[0x${bus.toString(16)}]`;
