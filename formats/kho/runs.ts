import { firstNot } from "../../src/memory/index.js";
import { sortedRuns } from "./runs-sort.js";

/**
 * Runs of adjacent preserved blocks of one order, as columns. Ascending by (order, pfn) and merged once
 * {@link RunsBuilder.finish | finished}. PFNs and counts are integers below 2^53.
 */
export interface Runs {
  readonly length: number;
  readonly order: Uint8Array;
  /** PFN of the first block's first page. */
  readonly pfn: Float64Array;
  /** Number of adjacent blocks, each of `2 ** order` pages. */
  readonly count: Float64Array;
}

/** Collects runs in any order. */
export interface RunsBuilder {
  /** Number of runs so far. */
  readonly length: number;
  /** Adds `count` blocks of `order` from `pfn` on; a continuation of the last run is merged into it. */
  push(order: number, pfn: number, count: number): void;
  /**
   * Adds the runs of a bitmap of blocks of `order`, of which the first is at `pfn`. Of `edges`, the first `found` count,
   * an even number: each pair is the first bit of a run and the first behind it. All frame numbers are below 2^53.
   */
  pushEdges(order: number, pfn: number, edges: Int32Array, found: number): void;
  finish(): Runs;
}

/** Runs of the largest piece. */
const largestPiece = 1 << 15;

export function newRuns(): RunsBuilder {
  /** Pieces that are full. What is collected is never copied until it is finished. */
  const full: Runs[] = [];
  let inFull = 0;
  let order = new Uint8Array(256);
  let pfn = new Float64Array(256);
  let count = new Float64Array(256);
  /** Runs in the last piece: none only where there are none at all. */
  let used = 0;

  const piece = (length: number): Runs => ({
    length,
    order: order.subarray(0, length),
    pfn: pfn.subarray(0, length),
    count: count.subarray(0, length),
  });
  /** Begins another piece with the last run, which may still grow. */
  const makeRoom = (): void => {
    const last = used - 1;
    full.push(piece(last));
    inFull += last;
    const [o, p, c] = [order[last]!, pfn[last]!, count[last]!];
    const size = Math.min(used * 2, largestPiece);
    order = new Uint8Array(size);
    pfn = new Float64Array(size);
    count = new Float64Array(size);
    order[0] = o;
    pfn[0] = p;
    count[0] = c;
    used = 1;
  };
  const push = (o: number, p: number, c: number): void => {
    const last = used - 1;
    if (last >= 0 && order[last] === o && pfn[last]! + count[last]! * 2 ** o === p) {
      count[last]! += c;
      return;
    }
    if (used === order.length) makeRoom();
    order[used] = o;
    pfn[used] = p;
    count[used++] = c;
  };
  return {
    get length() {
      return inFull + used;
    },
    push,
    pushEdges(o, base, edges, found) {
      if (found === 0) return;
      const pages = 2 ** o;
      push(o, base + edges[0]! * pages, edges[1]! - edges[0]!);
      // Between runs of one bitmap there are clear bits: only the first can continue what was there.
      for (let i = 2; i < found; ) {
        if (used === order.length) makeRoom();
        const first = used;
        const stop = Math.min(found, i + 2 * (order.length - first));
        let at = first;
        for (; i < stop; i += 2) {
          const begin = edges[i]!;
          pfn[at] = base + begin * pages;
          count[at++] = edges[i + 1]! - begin;
        }
        order.fill(o, first, at);
        used = at;
      }
    },
    finish: () => merged(sortedRuns([...full, piece(used)])),
  };
}

/** Joins runs that continue the one before, in place. */
function merged({ length, order, pfn, count }: Runs): Runs {
  let last = -1;
  let pages = 1;
  for (let i = 0; i < length; i++) {
    if (last < 0 || order[last] !== order[i]) pages = 2 ** order[i]!;
    else if (pfn[last]! + count[last]! * pages === pfn[i]) {
      count[last]! += count[i]!;
      continue;
    }
    if (++last === i) continue;
    order[last] = order[i]!;
    pfn[last] = pfn[i]!;
    count[last] = count[i]!;
  }
  const left = last + 1;
  if (left === length) return { length, order, pfn, count };
  return {
    length: left,
    order: order.slice(0, left),
    pfn: pfn.slice(0, left),
    count: count.slice(0, left),
  };
}

/** First page behind run `i`. */
export const endOf = (runs: Runs, i: number): number => runs.pfn[i]! + runs.count[i]! * 2 ** runs.order[i]!;

/** What the memory map says of a page. */
export type Lookup =
  /** The page is the first of a block. */
  | { readonly kind: "block"; readonly order: number }
  /** The page is inside a block that begins at `pfn`. */
  | { readonly kind: "inside"; readonly order: number; readonly pfn: number }
  | { readonly kind: "absent" };

/** Finds pages in finished runs. Neighbouring look-ups are cheap: each order remembers where it was. */
export function lookupIn(runs: Runs): (pfn: number) => Lookup {
  const groups = byOrder(runs);
  return (pfn) => {
    let inside: Lookup | undefined;
    for (const group of groups) {
      const i = findRun(runs, group, pfn);
      if (i < 0) continue;
      const { order } = group;
      const into = (pfn - runs.pfn[i]!) % 2 ** order;
      if (into === 0) return { kind: "block", order };
      inside ??= { kind: "inside", order, pfn: pfn - into };
    }
    return inside ?? { kind: "absent" };
  };
}

/**
 * The order of the block that begins at `pfn`, or -1. With `reach`, whose `until` is 0 before, it may be told how far that
 * goes: each block of that order behind this one, one behind the other, that begins below `until` has the same answer.
 */
export type OrderOf = (pfn: number, reach?: { until: number }) => number;

/** The same as {@link lookupIn}, without an object per page. */
export function orderIn(runs: Runs): OrderOf {
  const groups = byOrder(runs);
  // Where runs of one order overlap, the answer for a page can depend on what was asked before.
  const disjoint = groups.every((group) => isDisjoint(runs, group));
  return (pfn, reach) => {
    for (let g = 0; g < groups.length; g++) {
      const group = groups[g]!;
      const i = findRun(runs, group, pfn);
      if (i < 0 || (pfn - runs.pfn[i]!) % 2 ** group.order !== 0) continue;
      // A block of a smaller order that begins where one of these does would be the answer there.
      if (reach && disjoint) reach.until = Math.min(endOf(runs, i), nextOf(runs, groups, g, pfn));
      return group.order;
    }
    return -1;
  };
}

/** The first PFN from `pfn` on that some run of the groups before `g` may have a part in. */
function nextOf(runs: Runs, groups: readonly Group[], g: number, pfn: number): number {
  let next = Number.POSITIVE_INFINITY;
  for (let k = 0; k < g; k++) {
    const { from, to } = groups[k]!;
    const i = firstNot(from, to, (run) => endOf(runs, run) <= pfn);
    if (i < to) next = Math.min(next, runs.pfn[i]!);
  }
  return next;
}

interface Group {
  readonly order: number;
  readonly from: number;
  readonly to: number;
  /** The run of the last hit. */
  hint: number;
}

function byOrder(runs: Runs): Group[] {
  const groups: Group[] = [];
  for (let i = 0; i < runs.length; ) {
    const from = i;
    const order = runs.order[i]!;
    while (i < runs.length && runs.order[i] === order) i++;
    groups.push({ order, from, to: i, hint: from });
  }
  return groups;
}

function isDisjoint(runs: Runs, { from, to }: Group): boolean {
  for (let i = from + 1; i < to; i++) if (runs.pfn[i]! < endOf(runs, i - 1)) return false;
  return true;
}

function findRun(runs: Runs, group: Group, pfn: number): number {
  const { hint } = group;
  if (pfn >= runs.pfn[hint]! && pfn < endOf(runs, hint)) return hint;
  const i = firstNot(group.from, group.to, (run) => runs.pfn[run]! <= pfn) - 1;
  if (i < group.from || pfn >= endOf(runs, i)) return -1;
  group.hint = i;
  return i;
}
