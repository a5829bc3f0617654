/** Preserved blocks by where they are, as few numbers as that takes. */
import { newRuns, type Runs } from "../../formats/kho/runs.js";
import { KhoError } from "../report/error.js";

/**
 * Runs of adjacent blocks of one order, all alike and at even distances: scattered terabytes are one value. PFNs and
 * counts are integers below 2^53.
 */
export interface Stretch {
  readonly order: number;
  /** First page of the first block, a multiple of `2 ** order`. */
  readonly pfn: number;
  /** Adjacent blocks of each run, at least 1. */
  readonly blocks: number;
  /** How many runs, at least 1. */
  readonly runs: number;
  /** Pages from where one run begins to where the next one does. It counts where there is more than one. */
  readonly step: number;
}

const sizeOf = ({ order, blocks }: Stretch): number => blocks * 2 ** order;

/** First page behind the last run. */
export const endOf = (stretch: Stretch): number =>
  stretch.pfn + (stretch.runs - 1) * stretch.step + sizeOf(stretch);

/** One run. */
export const singleRun = (order: number, pfn: number, blocks: number): Stretch => ({
  order,
  pfn,
  blocks,
  runs: 1,
  step: blocks * 2 ** order,
});

/** More single runs than that are no shape any more but a memory map. */
const mostRuns = 1 << 22;

/**
 * The stretches as runs of a memory map that needs the same bitmaps or leaves. `cell` is how many blocks one of those is
 * for: a hole that is smaller than that lies in the same one, or in two neighbours that are needed anyway.
 * @throws KhoError `limit-exceeded` for too many runs that lie further apart
 */
export function coveringRuns(stretches: readonly Stretch[], cell: number): Runs {
  const runs = newRuns();
  for (const { order, pfn, blocks, runs: count, step } of stretches) {
    const unit = 2 ** order;
    if (step / unit - blocks < cell) {
      runs.push(order, pfn, ((count - 1) * step) / unit + blocks);
      continue;
    }
    if (runs.length + count > mostRuns)
      throw new KhoError("limit-exceeded", `more than ${mostRuns} runs are too far apart to be counted`);
    for (let i = 0; i < count; i++) runs.push(order, pfn + i * step, blocks);
  }
  return runs.finish();
}

/**
 * How many physically contiguous runs the stretches are, blocks of whatever order: what memblock makes one region each
 * of. Precondition: none begins inside of another, and evenly spaced runs have nothing between them.
 */
export function contiguousRuns(stretches: readonly Stretch[]): number {
  /** Inner runs, which touch nothing. */
  let inner = 0;
  const ends: { start: number; end: number }[] = [];
  for (const stretch of stretches) {
    const { pfn, runs, step } = stretch;
    const size = sizeOf(stretch);
    if (runs === 1 || step === size) ends.push({ start: pfn, end: endOf(stretch) });
    else {
      inner += runs - 2;
      ends.push({ start: pfn, end: pfn + size }, { start: endOf(stretch) - size, end: endOf(stretch) });
    }
  }
  ends.sort((a, b) => a.start - b.start);
  let outer = 0;
  let reached = -1;
  for (const { start, end } of ends) {
    if (start > reached) outer++;
    reached = Math.max(reached, end);
  }
  return inner + outer;
}

/** `blocks` blocks of an order in `runs` runs as even as can be, one block apart, from the page `pfn` on. */
export function spread(order: number, pfn: number, blocks: number, runs: number): Stretch[] {
  const unit = 2 ** order;
  const stretches: Stretch[] = [];
  const each = Math.floor(blocks / runs);
  const longer = blocks % runs;
  let at = Math.ceil(pfn / unit) * unit;
  for (const [count, length] of [
    [longer, each + 1],
    [runs - longer, each],
  ] as const) {
    if (count === 0 || length === 0) continue;
    const step = (length + 1) * unit;
    stretches.push({ order, pfn: at, blocks: length, runs: count, step });
    at += count * step;
  }
  return stretches;
}
