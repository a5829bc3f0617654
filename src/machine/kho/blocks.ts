/** Blocks of pages: how a range is cut, and which pages a set of runs covers. */
import { isAtLeast, type Kernel } from "../../../formats/kernels.js";
import { endOf, type Runs } from "../../../formats/kho/runs.js";
import { rankOf } from "../../memory/index.js";

/** Pages from `start` up to `end`. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** Trailing zero bits of an integer below 2^53; 52 for 0. */
function alignment(pfn: number): number {
  let order = 0;
  for (let rest = pfn; order < 52 && rest % 2 === 0; rest /= 2) order++;
  return order;
}

/**
 * The blocks that a contiguous range is preserved as: at every place the largest that is aligned and fits, since 7.1
 * small enough to lie on one node. `nodeOf` tells the node of a page.
 */
export function* blocksOf(
  pfn: number,
  pages: number,
  kernel: Kernel,
  nodeOf: (pfn: number) => number,
): Generator<{ readonly pfn: number; readonly order: number }> {
  const end = pfn + pages;
  const oneNode = isAtLeast(kernel, "7.1");
  for (let at = pfn; at < end; ) {
    let order = Math.min(alignment(at), Math.floor(Math.log2(end - at)));
    while (oneNode && order > 0 && nodeOf(at) !== nodeOf(at + 2 ** order - 1)) order--;
    yield { pfn: at, order };
    at += 2 ** order;
  }
}

/** The pages that runs cover, ascending and merged; blocks of different orders may overlap. */
export function stretchesOf(runs: Runs): Stretch[] {
  const stretches: { start: number; end: number }[] = [];
  for (const i of rankOf(runs.pfn.subarray(0, runs.length))) {
    const [start, end] = [runs.pfn[i]!, endOf(runs, i)];
    const last = stretches.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else stretches.push({ start, end });
  }
  return stretches;
}

/** What of `stretches` is in none of `holes`; both ascending and merged. */
export function without(stretches: readonly Stretch[], holes: readonly Stretch[]): Stretch[] {
  const rest: Stretch[] = [];
  let h = 0;
  for (const { start, end } of stretches) {
    let at = start;
    while (h < holes.length && holes[h]!.end <= at) h++;
    for (let i = h; i < holes.length && holes[i]!.start < end; i++) {
      if (holes[i]!.start > at) rest.push({ start: at, end: holes[i]!.start });
      at = Math.max(at, holes[i]!.end);
    }
    if (at < end) rest.push({ start: at, end });
  }
  return rest;
}

/** What two lists, each ascending and merged, have in common. */
export function common(some: readonly Stretch[], others: readonly Stretch[]): Stretch[] {
  const shared: Stretch[] = [];
  for (let i = 0, k = 0; i < some.length && k < others.length; ) {
    const start = Math.max(some[i]!.start, others[k]!.start);
    const end = Math.min(some[i]!.end, others[k]!.end);
    if (start < end) shared.push({ start, end });
    if (some[i]!.end < others[k]!.end) i++;
    else k++;
  }
  return shared;
}

/** Sorts and merges stretches. */
export function merged(stretches: readonly Stretch[]): Stretch[] {
  const out: { start: number; end: number }[] = [];
  for (const { start, end } of [...stretches].sort((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else out.push({ start, end });
  }
  return out;
}
