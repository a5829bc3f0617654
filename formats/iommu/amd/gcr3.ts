/** GCR3 tables: which v2 page table a PASID of a device has. */
import { littleWords } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import { readMemory } from "../../context.js";
import { addressOfFrame, frameLg2, frameOf, maskOf, or } from "../entry.js";
import type { PageTable } from "../format.js";
import type { FrameSet } from "../frames.js";
import { atIndex, type Budget, type Found, found, reportReserved } from "../structures.js";
import { translate } from "../translate.js";
import type { IommuContext } from "../walk.js";
import type { Encryption } from "./encryption.js";
import { gcr3EntriesLg2, gcr3Entry, pasidBits } from "./layout.js";

/** What reading of an IOMMU's structures shares. */
export interface Reading {
  readonly ctx: IommuContext;
  readonly encryption: Encryption;
  /** Frames of what was read. */
  readonly tables: FrameSet;
}

export interface Gcr3Table {
  readonly root: PhysAddr;
  /** 1 to 3. */
  readonly levels: number;
  /** What translates the addresses of the table itself and in it, where it is a guest's. */
  readonly parent?: PageTable;
}

/** A PASID that has a page table. */
export interface AddressSpace {
  readonly pasid: number;
  /** Of the v2 table. */
  readonly root: PhysAddr;
  /** Entries on the way to it. */
  readonly words: readonly Found[];
}

const pageBytes = 2 ** frameLg2;
/** Entries of one page of a GCR3 table. */
export const entriesOfPage = 2 ** gcr3EntriesLg2;
const present = or(maskOf(gcr3Entry, "V")).lo;

/** PASIDs that an entry at a level decides over; level 0 is where page tables are. */
export const itemPasids = (level: number): number => entriesOfPage ** level;

/** One more than the highest PASID of a table. */
export const pasidsOf = ({ levels }: Pick<Gcr3Table, "levels">): number =>
  Math.min(itemPasids(levels), 2 ** pasidBits);

/** Looks one PASID up; undefined where it has no page table. Reads an entry of each level. */
export function lookUp(
  reading: Reading,
  table: Gcr3Table,
  pasid: number,
  path: string,
): AddressSpace | undefined {
  if (!Number.isInteger(pasid) || pasid < 0 || pasid >= pasidsOf(table)) return undefined;
  const words: Found[] = [];
  let root = table.root;
  for (let level = table.levels - 1; level >= 0; level--) {
    const page = locate(reading, table, root, path);
    if (page === undefined) return undefined;
    const pa = atIndex(gcr3Entry, page, Math.floor(pasid / itemPasids(level)) % entriesOfPage);
    const bytes = readMemory(reading.ctx, pa, 8, path);
    if (!bytes) return undefined;
    reading.tables.add(frameOf(page));
    const entry = found(gcr3Entry, pa, bytes);
    if (entry.value.V === 0) return undefined;
    words.push(entry);
    reportReserved(reading.ctx, entry, path);
    root = pointer(reading, table, entry, path);
  }
  return { pasid, root, words };
}

/** All PASIDs that have a page table, ascending, until the budget is spent. `pathOf` names a PASID in findings. */
export function* addressSpaces(
  reading: Reading,
  table: Gcr3Table,
  budget: Budget,
  pathOf: (pasid: number) => string,
): Generator<AddressSpace> {
  function* below(
    address: PhysAddr,
    level: number,
    first: number,
    above: readonly Found[],
  ): Generator<AddressSpace> {
    if (!budget()) return;
    const page = locate(reading, table, address, pathOf(first));
    const bytes = page === undefined ? undefined : readMemory(reading.ctx, page, pageBytes, pathOf(first));
    if (page === undefined || !bytes) return;
    reading.tables.add(frameOf(page));
    const halves = littleWords(bytes);
    const items = itemPasids(level);
    const count = Math.min(entriesOfPage, (pasidsOf(table) - first) / items);
    for (let i = 0; i < count; i++) {
      if ((halves[2 * i]! & present) === 0) continue;
      const pasid = first + i * items;
      const entry = found(gcr3Entry, atIndex(gcr3Entry, page, i), bytes.subarray(8 * i, 8 * i + 8));
      reportReserved(reading.ctx, entry, pathOf(pasid));
      const words = [...above, entry];
      const root = pointer(reading, table, entry, pathOf(pasid));
      if (level > 0) yield* below(root, level - 1, pasid, words);
      else if (budget()) yield { pasid, root, words };
      else return;
    }
  }
  yield* below(table.root, table.levels - 1, 0, []);
}

/** Where an entry leads. A guest's own addresses do not say whether the host encrypts memory. */
function pointer(
  { encryption }: Reading,
  { parent }: Gcr3Table,
  entry: Found<typeof gcr3Entry>,
  path: string,
) {
  const address = addressOfFrame(entry.value.ADDR);
  return parent ? encryption.plain(address) : encryption.root(address, path);
}

/** Where a page of the table is in memory; undefined, and a finding, if the parent leads nowhere. */
function locate({ ctx }: Reading, { parent }: Gcr3Table, pa: PhysAddr, path: string): PhysAddr | undefined {
  if (!parent) return pa;
  const there = translate(ctx.memory, parent, pa).pa;
  if (there !== undefined) return physAddr(there);
  ctx.report("error", "memory-absent", `${path}: the host table leads to nothing at ${hex(pa)}`, {
    path,
    pa,
    length: pageBytes,
    expected: `a GCR3 table at ${hex(pa)}`,
    actual: "not mapped, or not captured",
  });
  return undefined;
}
