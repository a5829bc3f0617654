import { type Coverage, edgeOf } from "./coverage.js";
import type { Random } from "./random.js";

/** An input that reached something new when it was run. */
export interface Entry {
  readonly data: Uint8Array;
  /** What it reached, ascending. */
  readonly features: Uint32Array;
  readonly steps: number;
  /** Edges for which no other entry costs less. */
  bestFor: number;
  /** Times that it was mutated. */
  chosen: number;
}

export interface Corpus {
  readonly entries: readonly Entry[];
  add(data: Uint8Array, features: Uint32Array, steps: number): Entry;
  /** One to mutate next: rather one that takes rare edges, costs little and was seldom chosen. Undefined if it is empty. */
  choose(random: Random): Entry | undefined;
}

/** Choices between two looks at how rare edges are. */
const staleAfter = 64;

export function newCorpus(coverage: Coverage): Corpus {
  const entries: Entry[] = [];
  const best = new Map<number, Entry>();
  let sums: number[] = [];
  let choices = 0;

  const weigh = (): void => {
    const steps = meanOf(entries.map((entry) => entry.steps));
    const length = meanOf(entries.map(({ data }) => data.length));
    let sum = 0;
    sums = entries.map((entry) => {
      let rarest = Number.POSITIVE_INFINITY;
      for (const feature of entry.features) rarest = Math.min(rarest, coverage.hits[edgeOf(feature)]!);
      const rare = 1 / Math.sqrt(1 + (rarest === Number.POSITIVE_INFINITY ? 0 : rarest));
      const cheap = (steps / (steps + entry.steps)) * (length / (length + entry.data.length));
      const fresh = 1 / (1 + Math.log2(1 + entry.chosen));
      sum += (entry.bestFor > 0 ? 1 : 0.05) * rare * cheap * fresh;
      return sum;
    });
  };

  return {
    entries,
    add(data, features, steps) {
      const entry: Entry = { data, features, steps, bestFor: 0, chosen: 0 };
      entries.push(entry);
      for (const feature of features) {
        const edge = edgeOf(feature);
        const before = best.get(edge);
        if (before && costOf(before) <= costOf(entry)) continue;
        if (before) before.bestFor--;
        best.set(edge, entry);
        entry.bestFor++;
      }
      return entry;
    },
    choose(random) {
      if (entries.length === 0) return undefined;
      if (sums.length !== entries.length || choices++ % staleAfter === 0) weigh();
      const at = (random.u32() / 2 ** 32) * sums.at(-1)!;
      let low = 0;
      let high = sums.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (sums[middle]! <= at) low = middle + 1;
        else high = middle;
      }
      const entry = entries[low]!;
      entry.chosen++;
      return entry;
    },
  };
}

const meanOf = (values: readonly number[]): number =>
  1 + values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

const costOf = ({ data, steps }: Pick<Entry, "data" | "steps">): number => steps + 16 * data.length;

/** The entries, cheapest first, that between them have all features of all: the corpus without what adds nothing. */
export function distil<T extends Pick<Entry, "data" | "features" | "steps">>(entries: readonly T[]): T[] {
  const covered = new Set<number>();
  const byCost = [...entries].sort((a, b) => costOf(a) - costOf(b) || a.data.length - b.data.length);
  return byCost.filter(({ features }) => {
    const before = covered.size;
    for (const feature of features) covered.add(feature);
    return covered.size > before;
  });
}
