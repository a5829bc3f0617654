import { littleWords } from "../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import type { Code } from "../../src/report/codes.js";
import { isKhoError } from "../../src/report/error.js";
import { hex } from "../../src/report/hex.js";
import { type Context, readMemory } from "../context.js";
import { addressOfFrame, frameLg2, frameOf, type Halves, wordOf } from "./entry.js";
import {
  extender,
  framesOf,
  INVALID,
  itemFrames,
  itemLg2,
  LEAF,
  type PageTable,
  rootEntries,
} from "./format.js";
import { type FrameSet, newFrameSet } from "./frames.js";
import { type MappingRuns, newMappings } from "./mappings.js";
import { type Access, readWrite } from "./prot.js";
import { fastestStretches, following, largestTable } from "./stretches.js";

/** What walks of translation structures need of a run. */
export type IommuContext = Pick<Context, "memory" | "limits" | "report" | "progress">;

/** Takes what a walk finds, in ascending order of input addresses. */
export interface LeafSink {
  /**
   * `count` leaves of `2 ** lg2` bytes, one behind the other on both sides: from input frame `iova` on, leading to `frame`
   * on. `lo` and `hi` are the first leaf's word.
   */
  leaves(
    iova: number,
    frame: number,
    lg2: number,
    count: number,
    access: Access,
    level: number,
    lo: number,
    hi: number,
  ): void;
  /**
   * A table of a level, before what is in it. `index`, `lo` and `hi` are of the entry that leads to it, in the latest table of
   * the level `above`; all are 0 for the top table, which nothing leads to.
   */
  table?(frame: number, level: number, above: number, index: number, lo: number, hi: number): void;
  /** True if leaves come together only where they agree in every bit, so that each one's word follows from the first's. */
  readonly exact?: boolean;
  /** True once it takes no more: the walk ends. */
  readonly full?: boolean;
}

/** True for tables of the smallest pages but for several in a row, as the only level of a stage 2. */
const isLoaded = (level: number, bytes: number): boolean => level === 0 && bytes <= largestTable;

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

/** Bytes of the smallest page of memory. */
const part = 2 ** frameLg2;
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
  const { limits } = ctx;
  const { present } = format;
  const { load, split, pairs } = fastestStretches();
  const extended = extender(table);
  /** Tables of this walk. */
  const here = newFrameSet();
  /** Frames of the tables above the one at hand, and indices of the entries that led on, by level. */
  const trail = new Float64Array(table.levels).fill(Number.NaN);
  const indices = new Int32Array(table.levels);
  let visits = 0;
  let repeats = 0;
  let ended = false;

  /** Where the table of a level is, for findings. */
  const pathOf = (level: number): string => {
    let where = path;
    for (let at = table.levels - 1; at > level; at--)
      if (!Number.isNaN(trail[at])) where += `[${indices[at]}]`;
    return where;
  };

  /** Reads a table; `absent` is told if the capture does not hold it, all else that keeps it from being read is reported. */
  const open = (
    frame: number,
    entries: number,
    level: number,
    absent: () => void,
  ): Int32Array | undefined => {
    const pa = addressOfFrame(frame);
    const bytes = entries * 8;
    const refused = (code: Code, message: string): undefined => {
      ctx.report("error", code, message, { path: pathOf(level), pa, length: bytes });
      return undefined;
    };
    for (let above = level + 1; above < table.levels; above++)
      if (trail[above] === frame)
        return refused("iommu-table-cycle", `the table at ${hex(pa)} leads to itself`);
    if (++visits > limits.maxTables) {
      ended = true;
      return refused("limit-exceeded", `the page table has more than ${limits.maxTables} tables`);
    }
    const read = readTable(pa, bytes);
    if (!read) {
      absent();
      return undefined;
    }
    if (!here.add(frame)) {
      if (++repeats === 1)
        ctx.report("warning", "iommu-table-shared", `the table at ${hex(pa)} is reached more than once`, {
          path: pathOf(level),
          pa,
          length: bytes,
        });
      if (repeats > limits.maxSharedTables) {
        ended = true;
        return refused(
          "limit-exceeded",
          `tables are reached again more than ${limits.maxSharedTables} times`,
        );
      }
    }
    for (let more = 1; more < bytes / part; more++) here.add(frame + more);
    if (visits % 256 === 0) ctx.progress?.("page table", visits, 0);
    return isLoaded(level, bytes) ? load(read) : littleWords(read);
  };

  /** True once a table was absent: then there are more, and asking first is cheaper than an error for each. */
  let someAbsent = false;
  const readTable = (pa: PhysAddr, bytes: number): Uint8Array | undefined => {
    if (someAbsent && !ctx.memory.has(pa, bytes)) return readParts(pa, bytes);
    try {
      return ctx.memory.read(pa, bytes);
    } catch (error) {
      if (!isKhoError(error, "memory-absent")) throw error;
      someAbsent = true;
      return readParts(pa, bytes);
    }
  };

  /** What there is of a large table that is not all there: captures that leave out zeros can lack a part of it. */
  const readParts = (pa: PhysAddr, bytes: number): Uint8Array | undefined => {
    if (bytes <= part) return undefined;
    const whole = new Uint8Array(bytes);
    let there = 0;
    for (let at = 0; at < bytes; at += part) {
      const from = physAddr(pa + BigInt(at));
      if (!ctx.memory.has(from, part)) continue;
      whole.set(ctx.memory.read(from, part), at);
      there += part;
    }
    if (there === 0) return undefined;
    const missing = `${bytes - there} of the ${bytes} bytes of the table at ${hex(pa)} are not in the capture`;
    ctx.report("warning", "memory-absent", `${missing}: they are taken for zeros`, {
      path,
      pa,
      length: bytes,
    });
    return whole;
  };

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
        path: `${pathOf(level)}[${index}]`,
        pa: physAddr(pa + BigInt(index * 8)),
        length: 8,
        actual: hex(wordOf(words[2 * index]!, words[2 * index + 1]!)),
      });
  };

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

  /** Takes the leaf at `index`, and as many behind it as `count` says continue it; returns the entries that were taken. */
  const takeLeaf = (at: OpenTable, index: number, end: number, count: number): number => {
    const { level, items, lg2, reserved } = at.of;
    const lo = at.words[2 * index]!;
    const hi = at.words[2 * index + 1]!;
    const pa = format.leafFrame(lo, hi, level);
    const isOdd =
      ((lo & reserved.lo) | (hi & reserved.hi)) !== 0 ||
      (items !== 1 && Math.floor(pa / items) * items !== pa);
    if (isOdd || format.leafLg2(lo, hi, level) !== lg2) return takeOdd(at, index, end);
    const access = format.leafAccess(lo, hi) & at.allowed;
    sink.leaves(extended(at.base + index * items), pa, lg2, count, access, level, lo, hi);
    return count;
  };

  /** Takes one leaf that is damaged, or that takes up several entries. */
  const takeOdd = (at: OpenTable, index: number, end: number): number => {
    const { words } = at;
    const { level, items, lg2, reserved } = at.of;
    const lo = words[2 * index]!;
    const hi = words[2 * index + 1]!;
    const access = format.leafAccess(lo, hi) & at.allowed;
    const iova = extended(at.base + index * items);
    const pa = format.leafFrame(lo, hi, level);
    if (((lo & reserved.lo) | (hi & reserved.hi)) !== 0)
      fault(at, "iommu-reserved-bits", "have bits set that have to be zero", index);
    const leafLg2 = format.leafLg2(lo, hi, level);
    if (leafLg2 === lg2) {
      const aligned = Math.floor(pa / items) * items;
      if (aligned !== pa)
        fault(at, "iommu-bad-entry", "lead to an address that is not a multiple of their size", index);
      sink.leaves(iova, aligned, lg2, 1, access, level, lo, hi);
      return 1;
    }
    const slots = framesOf(leafLg2) / items;
    const into = index % slots;
    if (into === 0 && index + slots <= end && replicated(words, index, slots)) {
      sink.leaves(iova, pa, leafLg2, 1, access, level, lo, hi);
      return slots;
    }
    // Hardware looks at one slot only, and takes from it what that slot decides over.
    fault(at, "iommu-replicas-differ", "are part of a larger page whose other parts differ", index);
    sink.leaves(iova, pa + into * items, lg2, 1, access, level, lo, hi);
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
        if (format.kindOf(words[2 * i]!, words[2 * i + 1]!, 0) === LEAF) i += takeLeaf(at, i, end, stop - i);
        else fault(at, "iommu-bad-entry", notHere, i++);
      }
    }
  };

  /** Tables, and large pages among them, in the entries `[from, to)`. */
  const upper = (at: OpenTable, from: number, to: number): void => {
    const { words } = at;
    const { level, same, step } = at.of;
    for (let i = from; i < to && !ended; ) {
      const lo = words[2 * i]!;
      if ((lo & present) === 0) {
        i++;
        continue;
      }
      const hi = words[2 * i + 1]!;
      const kind = format.kindOf(lo, hi, level);
      if (kind === LEAF)
        i += takeLeaf(at, i, to, step === 0 ? 1 : following(words, i, to, step, same.lo, same.hi));
      else {
        if (kind === INVALID) fault(at, "iommu-bad-entry", notHere, i);
        else descend(at, i, lo, hi);
        i++;
      }
    }
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

  const descend = (above: OpenTable, index: number, lo: number, hi: number): void => {
    const { tableReserved } = format;
    if ((lo & tableReserved.lo) !== 0 || (hi & tableReserved.hi) !== 0)
      fault(above, "iommu-reserved-bits", "have bits set that have to be zero", index);
    const frame = format.childFrame(lo, hi);
    const level = format.childLevel(lo, hi, above.of.level);
    indices[above.of.level] = index;
    trail[above.of.level] = above.frame;
    for (let skipped = level; skipped < above.of.level; skipped++) trail[skipped] = Number.NaN;
    const words = open(frame, 2 ** (format.granuleLg2 - 3), level, () =>
      fault(above, "memory-absent", "lead to tables that are not in the capture", index),
    );
    if (words) {
      const base = above.base + index * above.of.items;
      sink.table?.(frame, level, above.of.level, index, lo, hi);
      const allowed = above.allowed & format.tableAccess(lo, hi);
      walk({ of: levels[level]!, words, frame, base, allowed, faults: undefined });
    }
    if (sink.full) ended = true;
  };

  const level = table.levels - 1;
  const count = rootEntries(table);
  const frame = frameOf(table.root);
  const words = open(frame, count, level, () => readMemory(ctx, table.root, count * 8, path));
  if (!words) return;
  sink.table?.(frame, level, 0, 0, 0, 0);
  walk({ of: levels[level]!, words, frame, base: 0, allowed: readWrite, faults: undefined });
  if (tables) here.addTo(tables);
}

/**
 * Everything that a page table maps, as merged runs. More than `limits.maxRuns` end in a finding.
 * @param tables collects the frames that the tables themselves lie in
 */
export function decodeMappings(
  ctx: IommuContext,
  table: PageTable,
  path: string,
  tables?: FrameSet,
): MappingRuns {
  const runs = newMappings();
  const sink: LeafSink = {
    leaves: (iova, frame, lg2, count, access) => runs.push(iova, frame, count * framesOf(lg2), access, lg2),
    get full() {
      return runs.length > ctx.limits.maxRuns;
    },
  };
  walkTable(ctx, table, sink, path, tables);
  if (sink.full)
    ctx.report("error", "limit-exceeded", `the page table has more than ${ctx.limits.maxRuns} runs`, {
      path,
    });
  return runs.finish();
}
