import { physAddr } from "../../src/memory/index.js";
import type { Code } from "../../src/report/codes.js";
import { hex } from "../../src/report/hex.js";
import { readMemory } from "../context.js";
import { batchIsFull, type LeafSink, newBatch } from "./batch.js";
import { addressOfFrame, frameOf, type Halves, wordOf } from "./entry.js";
import {
  entriesOf,
  extender,
  framesOf,
  INVALID,
  itemFrames,
  itemLg2,
  LEAF,
  type PageTable,
  rootEntries,
} from "./format.js";
import type { FrameSet } from "./frames.js";
import { type Access, readWrite } from "./prot.js";
import { fastestStretches, following } from "./stretches.js";
import { type IommuContext, isLoaded, newTableReader } from "./table-reader.js";

/** What all tables of a level have in common. */
interface Level {
  /** From the smallest page upward. */
  readonly level: number;
  /** Frames that an entry decides over, and the base-2 logarithm of its bytes. */
  readonly items: number;
  readonly lg2: number;
  /** Bits in which a leaf and the one behind it agree if they belong together, but for what `step` adds to the low half. */
  readonly same: Halves;
  /** 0 where it does not fit 31 bits: neighbouring leaves of 2 GiB and more are few, and taken one by one. */
  readonly step: number;
  readonly reserved: Halves;
}

/** A table that is being walked. */
interface OpenTable {
  readonly of: Level;
  readonly words: Int32Array;
  readonly frame: number;
  /** Input frame of its first entry, without what sign extension adds. */
  readonly base: number;
  /** What the entries above it leave of the rights. */
  readonly allowed: Access;
  /** Faults of one kind are reported together: hostile tables have them in every entry. */
  faults: Map<string, { readonly code: Code; readonly index: number; count: number }> | undefined;
}

const everyBit: Halves = { lo: -1, hi: -1 };

/**
 * Walks a page table from its root, hardware's way: what entries above a leaf forbid, the leaf does not allow either. Memory
 * beyond what the sink keeps is a bit for each table. Depth is bounded by the number of levels, work by
 * `limits.maxTables`, and by `limits.maxSharedTables` where tables are reached more than once.
 * @param tables collects the frames of all tables
 */
export function walkTable(
  ctx: IommuContext,
  table: PageTable,
  sink: LeafSink,
  path: string,
  tables?: FrameSet,
): void {
  const { format } = table;
  const { present } = format;
  const { split, pairs } = fastestStretches();
  const reader = newTableReader(ctx, table, path);
  const extended = extender(table);
  const batch = newBatch(entriesOf(format));
  let full = false;

  const levelOf = (level: number): Level => {
    const items = itemFrames(format, level);
    const step = format.frameStep * items;
    return {
      level,
      items,
      lg2: itemLg2(format, level),
      same: sink.exact ? everyBit : format.same(level),
      step: step < 2 ** 31 ? step | 0 : 0,
      reserved: format.leafReserved(level),
    };
  };
  const levels = Array.from({ length: table.levels }, (_, level) => levelOf(level));

  const fault = (at: OpenTable, code: Code, what: string, index: number): void => {
    at.faults ??= new Map();
    const known = at.faults.get(what);
    if (known) known.count++;
    else at.faults.set(what, { code, index, count: 1 });
  };

  const reportFaults = (
    { frame, of: { level }, words }: OpenTable,
    faults: NonNullable<OpenTable["faults"]>,
  ): void => {
    const pa = addressOfFrame(frame);
    for (const [what, { code, index, count }] of faults)
      ctx.report("error", code, `${count} of the entries of the table at ${hex(pa)} ${what}`, {
        path: `${reader.pathOf(level)}[${index}]`,
        pa: physAddr(pa + BigInt(index * 8)),
        length: 8,
        actual: hex(wordOf(words[2 * index]!, words[2 * index + 1]!)),
      });
  };

  /** Hands on what was gathered. */
  const flush = (level: number): void => {
    if (batch.length === 0) return;
    batch.level = level;
    sink.leaves(batch);
    batch.length = 0;
    if (sink.full) full = true;
  };

  const put = (
    iova: number,
    frame: number,
    lg2: number,
    count: number,
    access: Access,
    lo: number,
    hi: number,
  ): void => {
    const row = batch.length++;
    batch.iova[row] = iova;
    batch.frame[row] = frame;
    batch.lg2[row] = lg2;
    batch.count[row] = count;
    batch.access[row] = access;
    batch.lo[row] = lo;
    batch.hi[row] = hi;
  };

  /** Takes the leaf at `index`, and as many behind it as `count` says continue it; returns the entries that were taken. */
  const takeLeaf = (at: OpenTable, index: number, end: number, count: number): number => {
    const { level, items, lg2, reserved } = at.of;
    const lo = at.words[2 * index]!;
    const hi = at.words[2 * index + 1]!;
    const frame = format.leafFrame(lo, hi, level);
    const isOdd =
      ((lo & reserved.lo) | (hi & reserved.hi)) !== 0 ||
      (items !== 1 && Math.floor(frame / items) * items !== frame);
    if (isOdd || format.leafLg2(lo, hi, level) !== lg2) return takeOdd(at, index, end);
    const access = format.leafAccess(lo, hi) & at.allowed;
    const taken = count === 1 || continues(at, index + count - 1, frame + (count - 1) * items) ? count : 1;
    put(extended(at.base + index * items), frame, lg2, taken, access, lo, hi);
    return taken;
  };

  /** True if the leaf at `index` leads to `frame`: behind the last address that entries can hold, it does not. */
  const continues = ({ words, of: { level } }: OpenTable, index: number, frame: number): boolean =>
    format.leafFrame(words[2 * index]!, words[2 * index + 1]!, level) === frame;

  /** Takes one leaf that is damaged, or that takes up several entries. */
  const takeOdd = (at: OpenTable, index: number, end: number): number => {
    const { words } = at;
    const { level, items, lg2, reserved } = at.of;
    const lo = words[2 * index]!;
    const hi = words[2 * index + 1]!;
    const access = format.leafAccess(lo, hi) & at.allowed;
    const iova = extended(at.base + index * items);
    const frame = format.leafFrame(lo, hi, level);
    if (((lo & reserved.lo) | (hi & reserved.hi)) !== 0)
      fault(at, "iommu-reserved-bits", "have bits set that have to be zero", index);
    const leafLg2 = format.leafLg2(lo, hi, level);
    if (leafLg2 === lg2) {
      const aligned = Math.floor(frame / items) * items;
      if (aligned !== frame)
        fault(at, "iommu-bad-entry", "lead to an address that is not a multiple of their size", index);
      put(iova, aligned, lg2, 1, access, lo, hi);
      return 1;
    }
    const slots = framesOf(leafLg2) / items;
    const into = index % slots;
    if (into === 0 && index + slots <= end && replicated(words, index, slots)) {
      put(iova, frame, leafLg2, 1, access, lo, hi);
      return slots;
    }
    // Hardware looks at one slot only, and takes from it what that slot decides over.
    fault(at, "iommu-replicas-differ", "are part of a larger page whose other parts differ", index);
    put(iova, frame + into * items, lg2, 1, access, lo, hi);
    return 1;
  };

  const replicated = (words: Int32Array, index: number, slots: number): boolean => {
    const { hardwareBits } = format;
    const mask = sink.exact ? everyBit : { lo: ~hardwareBits.lo, hi: ~hardwareBits.hi };
    const lo = words[2 * index]!;
    const hi = words[2 * index + 1]!;
    for (let i = index + 1; i < index + slots; i++)
      if (((words[2 * i]! ^ lo) & mask.lo) !== 0 || ((words[2 * i + 1]! ^ hi) & mask.hi) !== 0) return false;
    return true;
  };

  const notHere = "are of no kind that this level has";

  /** The smallest pages: almost all entries there are. */
  const lowest = (at: OpenTable): void => {
    const { words } = at;
    const { same, step } = at.of;
    const end = words.length >> 1;
    const stretches = split(present, same.lo, same.hi, step);
    let i = 0;
    for (let s = 0; s < stretches; s++) {
      const first = pairs[2 * s]!;
      const stop = first + pairs[2 * s + 1]!;
      // What is before it was taken as part of a larger page.
      if (i < first) i = first;
      while (i < stop) {
        if (batchIsFull(batch)) flush(0);
        if (format.kindOf(words[2 * i]!, words[2 * i + 1]!, 0) === LEAF) i += takeLeaf(at, i, end, stop - i);
        else fault(at, "iommu-bad-entry", notHere, i++);
      }
    }
    flush(0);
  };

  /** Tables, and large pages among them, in the entries `[from, to)`. */
  const upper = (at: OpenTable, from: number, to: number): void => {
    const { words } = at;
    const { level, same, step } = at.of;
    for (let i = from; i < to && !reader.ended && !full; ) {
      const lo = words[2 * i]!;
      if ((lo & present) === 0) {
        i++;
        continue;
      }
      const hi = words[2 * i + 1]!;
      const kind = format.kindOf(lo, hi, level);
      if (kind === LEAF) {
        if (batchIsFull(batch)) flush(level);
        i += takeLeaf(at, i, to, step === 0 ? 1 : following(words, i, to, step, same.lo, same.hi));
        continue;
      }
      flush(level);
      if (kind === INVALID) fault(at, "iommu-bad-entry", notHere, i);
      else descend(at, i, lo, hi);
      i++;
    }
    flush(level);
  };

  /** The halves of a table that decides over all addresses do not follow each other where these are sign-extended. */
  const isHalved = ({ of: { items }, words, base }: OpenTable): boolean =>
    table.signExtend &&
    base === 0 &&
    words.length > 2 &&
    (words.length / 2) * items === framesOf(table.vaBits);

  const walk = (at: OpenTable): void => {
    const to = at.words.length >> 1;
    if (isLoaded(at.of.level, at.words.length * 4)) lowest(at);
    else if (isHalved(at)) {
      upper(at, 0, to / 2);
      upper(at, to / 2, to);
    } else upper(at, 0, to);
    if (at.faults) reportFaults(at, at.faults);
  };

  const { trail, indices } = reader;
  const descend = (above: OpenTable, index: number, lo: number, hi: number): void => {
    const { tableReserved } = format;
    if (((lo & tableReserved.lo) | (hi & tableReserved.hi)) !== 0)
      fault(above, "iommu-reserved-bits", "have bits set that have to be zero", index);
    const frame = format.childFrame(lo, hi);
    const level = format.childLevel(lo, hi, above.of.level);
    indices[above.of.level] = index;
    trail[above.of.level] = above.frame;
    for (let skipped = level; skipped < above.of.level; skipped++) trail[skipped] = Number.NaN;
    const words = reader.open(frame, entriesOf(format), level);
    if (words === "absent")
      fault(above, "memory-absent", "lead to tables that are not in the capture", index);
    else if (words) {
      const base = above.base + index * above.of.items;
      sink.table?.(frame, level, above.of.level, index, lo, hi);
      const allowed = above.allowed & format.tableAccess(lo, hi);
      walk({ of: levels[level]!, words, frame, base, allowed, faults: undefined });
    }
  };

  const level = table.levels - 1;
  const count = rootEntries(table);
  const frame = frameOf(table.root);
  const words = reader.open(frame, count, level);
  if (words === "absent") readMemory(ctx, table.root, count * 8, path);
  else if (words) {
    sink.table?.(frame, level, 0, 0, 0, 0);
    walk({ of: levels[level]!, words, frame, base: 0, allowed: readWrite, faults: undefined });
  }
  if (tables) reader.tables.addTo(tables);
}
