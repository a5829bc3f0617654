import { littleWords } from "../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import type { Code } from "../../src/report/codes.js";
import { isKhoError } from "../../src/report/error.js";
import { hex } from "../../src/report/hex.js";
import type { Context } from "../context.js";
import { addressOfFrame, frameLg2 } from "./entry.js";
import type { PageTable } from "./format.js";
import { type FrameSet, newFrameSet } from "./frames.js";
import { fastestStretches, largestTable } from "./stretches.js";

/** What walks of translation structures need of a run. */
export type IommuContext = Pick<Context, "memory" | "limits" | "report" | "progress">;

/** Bytes of the smallest page of memory. */
const part = 2 ** frameLg2;

/** True for tables of the smallest pages, but for several in a row as the only level of a stage 2. */
export const isLoaded = (level: number, bytes: number): boolean => level === 0 && bytes <= largestTable;

/** Reads the tables of one walk, and knows when that is enough. */
export interface TableReader {
  /**
   * The words of a table at a level below those on the {@link TableReader.trail}, and "absent" if the capture does not hold
   * them. All else that keeps it from being read is reported.
   */
  open(frame: number, entries: number, level: number): Int32Array | "absent" | undefined;
  /** Frames of the tables above the one at hand, NaN where there is none, and indices of the entries that led on, by level. */
  readonly trail: Float64Array;
  readonly indices: Int32Array;
  /** Where the table of a level is, for findings. */
  pathOf(level: number): string;
  /** Frames of all tables so far. */
  readonly tables: FrameSet;
  /** True once a limit is reached. */
  readonly ended: boolean;
}

export function newTableReader(ctx: IommuContext, { levels }: PageTable, path: string): TableReader {
  const { limits, memory } = ctx;
  const { load } = fastestStretches();
  const tables = newFrameSet();
  const trail = new Float64Array(levels).fill(Number.NaN);
  const indices = new Int32Array(levels);
  let visits = 0;
  let repeats = 0;
  /** True once a table was absent: then there are more, and asking first is cheaper than an error for each. */
  let someAbsent = false;
  /** Tables that follow each other are read together: whose frames `[aheadFrom, aheadTo)` these are. */
  let ahead: Uint8Array | undefined;
  let aheadFrom = 0;
  let aheadTo = 0;
  let expected = -1;

  const pathOf = (level: number): string => {
    let where = path;
    for (let at = levels - 1; at > level; at--) if (!Number.isNaN(trail[at])) where += `[${indices[at]}]`;
    return where;
  };
  const refuse = (code: Code, message: string, frame: number, level: number): undefined => {
    ctx.report("error", code, message, { path: pathOf(level), pa: addressOfFrame(frame), length: part });
    return undefined;
  };

  const read = (frame: number, bytes: number): Uint8Array | undefined => {
    if (frame >= aheadFrom && frame + bytes / part <= aheadTo) {
      const at = (frame - aheadFrom) * part;
      return ahead!.subarray(at, at + bytes);
    }
    const isNext = frame === expected;
    expected = frame + bytes / part;
    const pa = addressOfFrame(frame);
    if (isNext && memory.has(pa, readAhead)) {
      ahead = memory.read(pa, readAhead);
      aheadFrom = frame;
      aheadTo = frame + readAhead / part;
      expected = aheadTo;
      return ahead.subarray(0, bytes);
    }
    if (someAbsent && !memory.has(pa, bytes)) return readParts(pa, bytes);
    try {
      return memory.read(pa, bytes);
    } catch (error) {
      if (!isKhoError(error, "memory-absent")) throw error;
      someAbsent = true;
      return readParts(pa, bytes);
    }
  };

  /** What there is of a large table that is not all there: captures that leave out zeros can lack a part of it. */
  const readParts = (pa: PhysAddr, bytes: number): Uint8Array | undefined => {
    if (bytes <= part) return undefined;
    // Only once there is something: each entry of a hostile table can lead to one that is absent.
    let whole: Uint8Array | undefined;
    let there = 0;
    for (let at = 0; at < bytes; at += part) {
      const from = physAddr(pa + BigInt(at));
      if (!memory.has(from, part)) continue;
      whole ??= new Uint8Array(bytes);
      whole.set(memory.read(from, part), at);
      there += part;
    }
    if (!whole) return undefined;
    const missing = `${bytes - there} of the ${bytes} bytes of the table at ${hex(pa)} are not in the capture`;
    ctx.report("warning", "memory-absent", `${missing}: they are taken for zeros`, {
      path,
      pa,
      length: bytes,
    });
    return whole;
  };

  const reader = {
    trail,
    indices,
    pathOf,
    tables,
    ended: false,
    open(frame: number, entries: number, level: number): Int32Array | "absent" | undefined {
      const bytes = entries * 8;
      if (++visits > limits.maxTables) {
        reader.ended = true;
        return refuse(
          "limit-exceeded",
          `the page table has more than ${limits.maxTables} tables`,
          frame,
          level,
        );
      }
      for (let above = level + 1; above < levels; above++)
        if (trail[above] === frame)
          return refuse(
            "iommu-table-cycle",
            `the table at ${hex(addressOfFrame(frame))} leads to itself`,
            frame,
            level,
          );
      const found = read(frame, bytes);
      if (!found) return "absent";
      if (!tables.add(frame) && again(frame, level)) return undefined;
      for (let more = 1; more < bytes / part; more++) tables.add(frame + more);
      if (visits % 256 === 0) ctx.progress?.("page table", visits, 0);
      return isLoaded(level, bytes) ? load(found) : littleWords(found);
    },
  };

  /** Says that a table is reached again; true if that was too often. */
  const again = (frame: number, level: number): boolean => {
    const pa = addressOfFrame(frame);
    if (++repeats === 1)
      ctx.report("warning", "iommu-table-shared", `the table at ${hex(pa)} is reached more than once`, {
        path: pathOf(level),
        pa,
        length: part,
      });
    if (repeats <= limits.maxSharedTables) return false;
    reader.ended = true;
    const most = `tables are reached again more than ${limits.maxSharedTables} times`;
    refuse("limit-exceeded", most, frame, level);
    return true;
  };
  return reader;
}

/** Bytes that are read at once where tables follow each other. */
const readAhead = 2 ** 16;
