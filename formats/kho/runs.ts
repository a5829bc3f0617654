import { firstNot } from "../../src/memory/index.js";
import { grown } from "../grown.js";

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
  finish(): Runs;
}

export function newRuns(): RunsBuilder {
  let length = 0;
  let order = new Uint8Array(256);
  let pfn = new Float64Array(256);
  let count = new Float64Array(256);
  return {
    get length() {
      return length;
    },
    push(o, p, c) {
      const last = length - 1;
      if (last >= 0 && order[last] === o && pfn[last]! + count[last]! * 2 ** o === p) {
        count[last]! += c;
        return;
      }
      if (length === order.length) {
        order = grown(order);
        pfn = grown(pfn);
        count = grown(count);
      }
      order[length] = o;
      pfn[length] = p;
      count[length++] = c;
    },
    finish: () => sorted(length, order, pfn, count),
  };
}

function sorted(length: number, order: Uint8Array, pfn: Float64Array, count: Float64Array): Runs {
  const rank = Uint32Array.from({ length }, (_, i) => i);
  rank.sort((a, b) => order[a]! - order[b]! || pfn[a]! - pfn[b]!);
  const runs = {
    length: 0,
    order: new Uint8Array(length),
    pfn: new Float64Array(length),
    count: new Float64Array(length),
  };
  for (const i of rank) {
    const last = runs.length - 1;
    const continues =
      last >= 0 &&
      runs.order[last] === order[i] &&
      runs.pfn[last]! + runs.count[last]! * 2 ** order[i]! === pfn[i];
    if (continues) {
      runs.count[last]! += count[i]!;
      continue;
    }
    runs.order[runs.length] = order[i]!;
    runs.pfn[runs.length] = pfn[i]!;
    runs.count[runs.length++] = count[i]!;
  }
  return {
    length: runs.length,
    order: runs.order.slice(0, runs.length),
    pfn: runs.pfn.slice(0, runs.length),
    count: runs.count.slice(0, runs.length),
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
 * The order of the block that begins at `pfn`, or -1. The same as {@link lookupIn}, without an object per page.
 */
export function orderIn(runs: Runs): (pfn: number) => number {
  const groups = byOrder(runs);
  return (pfn) => {
    for (const group of groups) {
      const i = findRun(runs, group, pfn);
      if (i >= 0 && (pfn - runs.pfn[i]!) % 2 ** group.order === 0) return group.order;
    }
    return -1;
  };
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

function findRun(runs: Runs, group: Group, pfn: number): number {
  const { hint } = group;
  if (pfn >= runs.pfn[hint]! && pfn < endOf(runs, hint)) return hint;
  const i = firstNot(group.from, group.to, (run) => runs.pfn[run]! <= pfn) - 1;
  if (i < group.from || pfn >= endOf(runs, i)) return -1;
  group.hint = i;
  return i;
}
