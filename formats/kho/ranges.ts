import { rankOf } from "../../src/memory/index.js";
import { KhoError } from "../../src/report/error.js";
import { defaultLimits } from "../context.js";
import { setBits } from "./bitmap.js";

/** Ranges `[from, to)` of integers below 2^53 as columns: not empty, ascending, disjoint and not adjacent. */
export interface Ranges {
  readonly length: number;
  readonly from: Float64Array;
  readonly to: Float64Array;
}

/** Sorts and merges ranges in place; those that are sorted already cost one look. */
export function mergedRanges(from: Float64Array, to: Float64Array): Ranges {
  let [begins, ends] = [from, to];
  if (!isAscending(from)) {
    const rank = rankOf(from);
    begins = Float64Array.from(rank, (i) => from[i]!);
    ends = Float64Array.from(rank, (i) => to[i]!);
  }
  let length = 0;
  for (let i = 0; i < begins.length; i++) {
    if (begins[i]! >= ends[i]!) continue;
    if (length > 0 && begins[i]! <= ends[length - 1]!) {
      if (ends[i]! > ends[length - 1]!) ends[length - 1] = ends[i]!;
      continue;
    }
    begins[length] = begins[i]!;
    ends[length++] = ends[i]!;
  }
  return { length, from: begins.subarray(0, length), to: ends.subarray(0, length) };
}

function isAscending(column: Float64Array): boolean {
  for (let i = 1; i < column.length; i++) if (column[i - 1]! > column[i]!) return false;
  return true;
}

/**
 * Numbers of the cells that hold some of the ranges, ascending; cell c is the integers from `c * size` on.
 * @throws KhoError `limit-exceeded` for more of them than a decoder follows
 */
export function cellsOf(ranges: Ranges, size: number): Float64Array {
  const { length, from, to } = ranges;
  let count = 0;
  for (let r = 0, next = 0; r < length; r++) {
    const last = Math.floor((to[r]! - 1) / size);
    const first = Math.max(Math.floor(from[r]! / size), next);
    if (first > last) continue;
    requireRoom((count += last - first + 1));
    next = last + 1;
  }
  const cells = new Float64Array(count);
  for (let r = 0, next = 0, at = 0; r < length; r++) {
    const last = Math.floor((to[r]! - 1) / size);
    for (next = Math.max(Math.floor(from[r]! / size), next); next <= last; next++) cells[at++] = next;
  }
  return cells;
}

/** @throws KhoError `limit-exceeded` for more leaves or bitmaps than a decoder follows */
export function requireRoom(cells: number): void {
  const { maxMapNodes } = defaultLimits;
  if (cells <= maxMapNodes) return;
  throw new KhoError("limit-exceeded", `the memory map would have more than ${maxMapNodes} nodes`, {
    path: "preserved",
  });
}

/**
 * Calls `write(i, bitmap)` for each of the `cells`, which ascend, with a bit set for each of its integers that is in one
 * of the ranges. `missing` is told the first integer for which there is no cell.
 */
export function fillCells(
  ranges: Ranges,
  cells: ArrayLike<number>,
  bytes: number,
  write: (i: number, bitmap: Uint8Array) => void,
  missing: (first: number) => never,
): void {
  const size = bytes * 8;
  let r = 0;
  /** Integers below this one are done. */
  let done = 0;
  for (let i = 0; i < cells.length; i++) {
    const start = cells[i]! * size;
    const bitmap = new Uint8Array(bytes);
    for (; r < ranges.length && ranges.from[r]! < start + size; r++) {
      const from = Math.max(ranges.from[r]!, done);
      const to = ranges.to[r]!;
      if (from < start) missing(from);
      setBits(bitmap, from - start, Math.min(to - start, size));
      if (to > start + size) break;
    }
    done = start + size;
    write(i, bitmap);
  }
  if (r < ranges.length) missing(Math.max(ranges.from[r]!, done));
}
