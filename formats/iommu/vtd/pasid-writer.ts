/** Makes PASID directories and tables. */
import { decode, sizeOf, type ValueOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import type { TableStore } from "../domain.js";
import { addressOfFrame, frameOf, iommuAbi } from "../entry.js";
import { entryOf, structureBytes } from "../structures.js";
import {
  type contextEntryScalable,
  directoryBytes,
  entriesOfTable,
  pasidDirEntry,
  pasidEntry,
  tableBytes,
} from "./layout.js";
import { usedEntries } from "./used.js";

type Directory = Pick<ValueOf<typeof contextEntryScalable>, "PDTS" | "PASIDDIRPTR">;

/** PASIDs have 20 bits. */
const maxPasids = 2 ** 20;

/** PASIDs that an entry of the directory stands for. */
const perTable = entriesOfTable(pasidEntry);
const perPasid = sizeOf(pasidDirEntry, iommuAbi) / perTable;

/**
 * The size of the directory for so many PASIDs, as the context entry has it: a power of two of at least a page, also for none.
 * @param pasids 0 to 2^20
 */
export function directorySize(pasids: number): number {
  let PDTS = 0;
  while (directoryBytes(PDTS) < Math.max(tableBytes, Math.floor(pasids * perPasid))) PDTS++;
  return PDTS;
}

/**
 * How many PASIDs a device gets that can have so many: sizes of directories are worked out without the remainder of a division,
 * so that the last few can be beyond what one reaches.
 */
export function usablePasids(pasids: number): number {
  const wanted = Math.min(pasids, maxPasids);
  return Math.min(wanted, directoryBytes(directorySize(wanted)) / perPasid);
}

/** Makes the empty directory for so many PASIDs; undefined without memory for it. */
export function newDirectory(store: TableStore, pasids: number): Directory | undefined {
  const PDTS = directorySize(pasids);
  const pa = store.allocate(directoryBytes(PDTS), 0);
  return pa === undefined ? undefined : { PDTS, PASIDDIRPTR: frameOf(pa) };
}

const directoryEntry = (store: TableStore, { PASIDDIRPTR }: Directory, pasid: number) => {
  const size = sizeOf(pasidDirEntry, iommuAbi);
  const pa = physAddr(addressOfFrame(PASIDDIRPTR) + BigInt(Math.floor(pasid / perTable) * size));
  return { pa, value: decode(pasidDirEntry, store.read(pa, size), 0, iommuAbi) };
};

/** Where the entry of a PASID is, if its table exists. The directory has to reach that far. */
export function findPasid(store: TableStore, directory: Directory, pasid: number): PhysAddr | undefined {
  const { P, SMPTBLPTR } = directoryEntry(store, directory, pasid).value;
  const at = (pasid % perTable) * sizeOf(pasidEntry, iommuAbi);
  return P ? physAddr(addressOfFrame(SMPTBLPTR) + BigInt(at)) : undefined;
}

/** The same, with the table made if it is missing; undefined without memory for it. */
export function makePasid(store: TableStore, directory: Directory, pasid: number): PhysAddr | undefined {
  const { pa, value } = directoryEntry(store, directory, pasid);
  if (!value.P) {
    const table = store.allocate(tableBytes, 0);
    if (table === undefined) return undefined;
    store.write(pa, structureBytes(pasidDirEntry, { P: 1, SMPTBLPTR: frameOf(table) }));
  }
  return findPasid(store, directory, pasid);
}

/** Gives a directory back, with its tables. */
export function freeDirectory(store: TableStore, { PDTS, PASIDDIRPTR }: Directory): void {
  const pa = addressOfFrame(PASIDDIRPTR);
  const bytes = store.read(pa, directoryBytes(PDTS));
  for (const index of usedEntries(bytes, sizeOf(pasidDirEntry, iommuAbi))) {
    const { P, SMPTBLPTR } = entryOf(pasidDirEntry, { pa, bytes }, index).value;
    if (P) store.free(addressOfFrame(SMPTBLPTR), tableBytes);
  }
  store.free(pa, directoryBytes(PDTS));
}
