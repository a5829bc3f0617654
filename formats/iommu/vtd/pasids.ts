/** Address spaces of a device in scalable mode: its PASID directory and the tables below. */
import { sizeOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import { readMemory } from "../../context.js";
import { type DeviceEntry, devicePath } from "../device.js";
import { addressOfFrame, frameOf, iommuAbi } from "../entry.js";
import type { FrameSet } from "../frames.js";
import { type Budget, type Bytes, entryOf, type Found, reportBad, reportReserved } from "../structures.js";
import type { IommuContext } from "../walk.js";
import {
  type contextEntryScalable,
  directoryBytes,
  entriesOfTable,
  pasidDirEntry,
  pasidEntry,
  tableBytes,
} from "./layout.js";
import { deviceEntry, pasidTranslation } from "./translation.js";
import { isUsed, usedEntries } from "./used.js";

/** A device in scalable mode, whose context entry is in use. */
export interface ScalableDevice {
  readonly ctx: IommuContext;
  /** Collects the frames of what is read. */
  readonly tables: FrameSet;
  readonly device: number;
  readonly context: Found<typeof contextEntryScalable>;
  /** From the root entry to the context entry. */
  readonly words: DeviceEntry["words"];
}

type DirectoryEntry = Found<typeof pasidDirEntry>;

/** PASIDs that an entry of the directory stands for. */
const perTable = entriesOfTable(pasidEntry);
/** Entries in one page of a directory. */
const perPage = entriesOfTable(pasidDirEntry);

/** Entries of a directory. */
const entriesOf = (PDTS: number): number => directoryBytes(PDTS) / sizeOf(pasidDirEntry, iommuAbi);

/** Reads a part of the directory; entries that its size excludes are not there. `page` counts 4 KiB. */
function directoryPage({ ctx, tables, device, context }: ScalableDevice, page: number): Bytes | undefined {
  const { PASIDDIRPTR, PDTS } = context.value;
  const at = page * tableBytes;
  const pa = physAddr(addressOfFrame(PASIDDIRPTR) + BigInt(at));
  const length = Math.min(tableBytes, directoryBytes(PDTS) - at);
  const bytes = readMemory(ctx, pa, length, `${devicePath(device)}.directory`);
  if (bytes) tables.add(frameOf(pa));
  return bytes && { pa, bytes };
}

/** Reads the PASID table that a present entry of the directory leads to. */
function pasidTable({ ctx, tables }: ScalableDevice, entry: DirectoryEntry, path: string): Bytes | undefined {
  reportReserved(ctx, entry, path);
  const pa = addressOfFrame(entry.value.SMPTBLPTR);
  const bytes = readMemory(ctx, pa, tableBytes, path);
  if (bytes) tables.add(entry.value.SMPTBLPTR);
  return bytes && { pa, bytes };
}

/** The address space of a PASID, whose entry is used; without `pasid`, that of requests that have none. */
function addressSpace(
  { ctx, device, context, words }: ScalableDevice,
  entry: DirectoryEntry,
  found: Found<typeof pasidEntry>,
  pasid?: number,
): DeviceEntry {
  const path = devicePath(device, pasid);
  const all = [...words, entry, found];
  if (!found.value.P) return deviceEntry(device, pasid, all);
  reportReserved(ctx, found, path);
  if (pasid !== undefined && !context.value.PASIDE) {
    const what = "the device may not use PASIDs, and has one";
    reportBad(ctx, context, path, what, "PASIDE 1", "PASIDE 0");
    return deviceEntry(device, pasid, all);
  }
  return deviceEntry(device, pasid, all, pasidTranslation(ctx, found, path));
}

/** What requests without a PASID are answered with, and what was read of the directory for that. */
interface OwnSpace {
  readonly space: DeviceEntry;
  readonly page?: Bytes | undefined;
  readonly table?: Bytes | undefined;
}

function withoutPasid(of: ScalableDevice): OwnSpace {
  const { ctx, device, context, words } = of;
  const { P, RID_PASID, PDTS } = context.value;
  const path = devicePath(device);
  const none = (...further: DeviceEntry["words"]): DeviceEntry =>
    deviceEntry(device, undefined, [...words, ...further]);
  if (!P) return { space: none() };
  reportReserved(ctx, context, path);
  const index = Math.floor(RID_PASID / perTable);
  if (index >= entriesOf(PDTS)) {
    const what = "the directory does not reach to the PASID of requests without one";
    const most = `RID_PASID up to ${entriesOf(PDTS) * perTable - 1}`;
    reportBad(ctx, context, path, what, most, `RID_PASID ${RID_PASID}`);
    return { space: none() };
  }
  const page = directoryPage(of, Math.floor(index / perPage));
  if (!page) return { space: none() };
  const entry = entryOf(pasidDirEntry, page, index % perPage);
  const table = entry.value.P ? pasidTable(of, entry, path) : undefined;
  if (!table) return { space: none(entry), page };
  return { space: addressSpace(of, entry, entryOf(pasidEntry, table, RID_PASID % perTable)), page, table };
}

/** A PASID table: that of 64 PASIDs from `first` on, and the entry of the directory that leads to it. */
interface PasidTable {
  readonly first: number;
  readonly entry: DirectoryEntry;
  readonly table: Bytes;
}

/** Every PASID table of a present device. Ends with the budget, of which tables take their share. */
export function* pasidTables(of: ScalableDevice, budget: Budget, own?: OwnSpace): Generator<PasidTable> {
  const { RID_PASID, PDTS } = of.context.value;
  const ownIndex = own ? Math.floor(RID_PASID / perTable) : -1;
  for (let start = 0; start < entriesOf(PDTS); start += perPage) {
    if (!budget()) return;
    const hasOwn = start <= ownIndex && ownIndex < start + perPage;
    const page = hasOwn ? own?.page : directoryPage(of, start / perPage);
    if (!page) continue;
    const missing: PhysAddr[] = [];
    for (const i of usedEntries(page.bytes, sizeOf(pasidDirEntry, iommuAbi))) {
      const entry = entryOf(pasidDirEntry, page, i);
      if (!entry.value.P) continue;
      if (!budget()) return;
      const index = start + i;
      if (own && index === ownIndex) {
        if (own.table) yield { first: index * perTable, entry, table: own.table };
        continue;
      }
      const pa = addressOfFrame(entry.value.SMPTBLPTR);
      if (!of.ctx.memory.has(pa, tableBytes)) {
        missing.push(pa);
        continue;
      }
      const table = pasidTable(of, entry, `${devicePath(of.device)}.directory[${index}]`);
      if (table) yield { first: index * perTable, entry, table };
    }
    reportMissing(of, missing);
  }
}

/** Tables of one page of a directory that are missing are reported together: hostile directories have nothing else. */
function reportMissing({ ctx, device }: ScalableDevice, missing: readonly PhysAddr[]): void {
  const [pa] = missing;
  if (pa === undefined) return;
  const path = `${devicePath(device)}.directory`;
  ctx.report("error", "memory-absent", `${path}: ${missing.length} of the PASID tables are not captured`, {
    path,
    pa,
    length: tableBytes,
    expected: `${tableBytes} bytes at ${hex(pa)}`,
    actual: "not captured",
  });
}

/**
 * The address space of requests without a PASID, which every device has, then that of each PASID, ascending, but for the one
 * that stands for none. Ends with the budget.
 */
export function* addressSpaces(of: ScalableDevice, budget: Budget): Generator<DeviceEntry> {
  const { P, RID_PASID } = of.context.value;
  const own = withoutPasid(of);
  yield own.space;
  if (!P) return;
  for (const { first, entry, table } of pasidTables(of, budget, own))
    for (const at of usedEntries(table.bytes, sizeOf(pasidEntry, iommuAbi))) {
      const pasid = first + at;
      if (pasid === RID_PASID) continue;
      if (!budget()) return;
      yield addressSpace(of, entry, entryOf(pasidEntry, table, at), pasid);
    }
}

/** The entry of a PASID, and that of the directory which leads to it; undefined where it is not in use. */
export function pasidEntryOf(
  of: ScalableDevice,
  pasid: number,
): { readonly entry: DirectoryEntry; readonly found: Found<typeof pasidEntry> } | undefined {
  const { P, PDTS } = of.context.value;
  const index = Math.floor(pasid / perTable);
  if (!P || !Number.isInteger(pasid) || index < 0 || index >= entriesOf(PDTS)) return undefined;
  const page = directoryPage(of, Math.floor(index / perPage));
  const entry = page && entryOf(pasidDirEntry, page, index % perPage);
  if (!entry?.value.P) return undefined;
  const table = pasidTable(of, entry, devicePath(of.device, pasid));
  const found = table && entryOf(pasidEntry, table, pasid % perTable);
  return found && isUsed(found) ? { entry, found } : undefined;
}

/** One address space; undefined where its PASID is not in use. */
export function addressSpaceOf(of: ScalableDevice, pasid: number | undefined): DeviceEntry | undefined {
  if (pasid === undefined) return withoutPasid(of).space;
  const used = pasidEntryOf(of, pasid);
  return used && addressSpace(of, used.entry, used.found, pasid);
}
