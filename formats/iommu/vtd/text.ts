/**
 * The text of /sys/kernel/debug/iommu/intel, as drivers/iommu/intel/debugfs.c prints it from the same memory. All functions
 * give lines: a file is as many, each ended by a newline.
 */
import { type Struct, sizeOf } from "../../../src/layout/index.js";
import { hex } from "../../../src/report/hex.js";
import { readMemory } from "../../context.js";
import { devicePath, type IommuRoot } from "../device.js";
import { addressOfFrame, iommuAbi, unpackWord } from "../entry.js";
import { newFrameSet } from "../frames.js";
import { type Bytes, entryOf, newBudget } from "../structures.js";
import type { IommuContext } from "../walk.js";
import {
  CONTEXT_TT_DEV_IOTLB,
  CONTEXT_TT_MULTI_LEVEL,
  contextEntry,
  contextEntryScalable,
  entriesOfTable,
  PASID_ENTRY_PGTT_FL_ONLY,
  PASID_ENTRY_PGTT_NESTED,
  PASID_ENTRY_PGTT_SL_ONLY,
  pasidEntry,
  rootEntry,
  rtaddrReg,
  tableBytes,
} from "./layout.js";
import { pasidEntryOf, pasidTables, type ScalableDevice } from "./pasids.js";
import {
  busNumber,
  busOf,
  type ContextTable,
  contextTableOf,
  devfnOf,
  openRootTable,
  type RootTable,
  requesterId,
} from "./root.js";
import { leafLines } from "./text-leaves.js";
import { usedEntries } from "./used.js";

const digits = (value: number, count: number): string => value.toString(16).padStart(count, "0");

/** `00:1f.3`. */
const deviceText = (device: number): string =>
  `${digits(busNumber(device), 2)}:${digits(devfnOf(device) >> 3, 2)}.${devfnOf(device) & 7}`;

/** The words with these numbers, 64 bits each. */
function wordsText({ bytes }: Pick<Bytes, "bytes">, ...numbers: readonly number[]): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return numbers
    .map(
      (i) =>
        `0x${view
          .getBigUint64(i * 8, true)
          .toString(16)
          .padStart(16, "0")}`,
    )
    .join(":");
}

function contextTableBytes(ctx: IommuContext, { pa }: ContextTable, device: number): Bytes | undefined {
  const bytes = readMemory(ctx, pa, tableBytes, devicePath(device));
  return bytes && { pa, bytes };
}

const contextLayout = ({ mode }: RootTable): Struct =>
  mode === "legacy" ? contextEntry : contextEntryScalable;

/**
 * The part of `dmar_translation_struct` for one unit that is on: a line for each present context entry, in scalable mode for
 * each present PASID, and an empty one. At most `limits.maxRecords` lines and tables.
 * @param name as the kernel counts its units: `dmar0`
 * @throws KhoError `iommu-root-malformed` if there is no root table
 */
export function* dmarTranslationStruct(
  ctx: IommuContext,
  { root }: IommuRoot,
  name: string,
): Generator<string> {
  const table = openRootTable(ctx, root);
  yield `IOMMU ${name}: Root Table Address: ${hex(addressOfFrame(unpackWord(rtaddrReg, root).RTA))}`;
  yield "B.D.F\tRoot_entry\t\t\t\tContext_entry\t\t\t\tPASID\tPASID_table_entry";
  if (table !== "abort") yield* entryLines(ctx, table);
  yield "";
}

function* entryLines(ctx: IommuContext, root: RootTable): Generator<string> {
  const budget = newBudget(ctx);
  const tables = newFrameSet();
  const none = { bytes: new Uint8Array(sizeOf(pasidEntry, iommuAbi)) };
  const line = (entries: string, pasid: number, found: Pick<Bytes, "bytes">): string =>
    `${entries}\t${pasid.toString().padEnd(6)}\t${wordsText(found, 2, 1, 0)}`;

  for (let number = 0; number < entriesOfTable(rootEntry); number++) {
    const bus = busOf(root, number);
    let devices = 0;
    for (const contextTable of bus.tables) {
      // The kernel is done with a bus at the first device without a context table: then it sees no upper one either.
      if (contextTable.first !== devices) break;
      const table = contextTableBytes(ctx, contextTable, requesterId(number, devices));
      if (!table) break;
      devices += contextTable.count;
      for (const index of usedEntries(table.bytes, sizeOf(contextLayout(root), iommuAbi))) {
        if (!budget()) return;
        const device = requesterId(number, contextTable.first + index);
        const context = entryOf(contextLayout(root), table, index);
        const entries = `${deviceText(device)}\t${wordsText(bus.found, 1, 0)}\t${wordsText(context, 1, 0)}`;
        if (root.mode === "legacy") {
          if (entryOf(contextEntry, table, index).value.P) yield line(entries, -1, none);
          continue;
        }
        const of = { ctx, tables, device, context: entryOf(contextEntryScalable, table, index), words: [] };
        if (!of.context.value.P) continue;
        for (const { first, table: pasids } of pasidTables(of, budget))
          for (const at of usedEntries(pasids.bytes, sizeOf(pasidEntry, iommuAbi))) {
            const found = entryOf(pasidEntry, pasids, at);
            if (!found.value.P) continue;
            if (!budget()) return;
            yield line(entries, first + at, found);
          }
      }
    }
  }
}

/** Whose `domain_translation_struct` is meant. */
export interface TextDevice {
  /** Number of the PCI domain; 0 unless given. */
  readonly segment?: number;
  /** Requester id. */
  readonly device: number;
  /** In scalable mode; 0 unless given, as in the file without one in its path. */
  readonly pasid?: number;
}

/**
 * `domain_translation_struct`: a line for each leaf. Nothing at all for a device that has no page table. It takes first-stage tables
 * to be as high as second-stage ones, as the kernel does, so that what it says of those can be wrong: this is what the
 * kernel prints, not what hardware does. Bounded as a walk of the table is, by `limits.maxTables` and
 * `limits.maxSharedTables`.
 * @throws KhoError `iommu-root-malformed` if there is no root table
 */
export function* domainTranslationStruct(
  ctx: IommuContext,
  { root }: IommuRoot,
  { segment = 0, device, pasid = 0 }: TextDevice,
): Generator<string> {
  const table = openRootTable(ctx, root);
  if (table === "abort" || !isRequesterId(device)) return;
  const top = topTable(ctx, table, device, pasid);
  if (!top) return;
  const space = table.mode === "scalable" ? ` with pasid ${pasid.toString(16)}` : "";
  yield `Device ${digits(segment, 4)}:${deviceText(device)}${space} @${hex(addressOfFrame(top.frame))}`;
  yield* leafLines(ctx, top.frame, top.AW + 2, devicePath(device, pasid || undefined));
}

const isRequesterId = (device: number): boolean =>
  Number.isInteger(device) && device >= 0 && busNumber(device) < entriesOfTable(rootEntry);

/** The frame of a device's page table, and the address width that its entry says. */
function topTable(
  ctx: IommuContext,
  root: RootTable,
  device: number,
  pasid: number,
): { readonly frame: number; readonly AW: number } | undefined {
  const bus = busOf(root, busNumber(device));
  const place = contextTableOf(bus, device);
  const table = place && contextTableBytes(ctx, place.table, device);
  if (!table) return undefined;
  if (root.mode === "legacy") {
    const { P, TT, AW, SSPTPTR } = entryOf(contextEntry, table, place.index).value;
    const hasTable = TT === CONTEXT_TT_MULTI_LEVEL || TT === CONTEXT_TT_DEV_IOTLB;
    return P && hasTable ? { frame: SSPTPTR, AW } : undefined;
  }
  const context = entryOf(contextEntryScalable, table, place.index);
  const of: ScalableDevice = { ctx, tables: newFrameSet(), device, context, words: [] };
  const value = pasidEntryOf(of, pasid)?.found.value;
  if (!value?.P) return undefined;
  const { PGTT, AW, SSPTPTR, FSPTPTR } = value;
  if (PGTT === PASID_ENTRY_PGTT_FL_ONLY) return { frame: FSPTPTR, AW };
  if (PGTT === PASID_ENTRY_PGTT_SL_ONLY || PGTT === PASID_ENTRY_PGTT_NESTED) return { frame: SSPTPTR, AW };
  return undefined;
}
