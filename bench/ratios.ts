/** A ratio of two times, as it is written to a file: our time as a multiple of a peer's. */
export interface Row {
  /** The subject and which of our ways, with a colon and a space between. */
  readonly name: string;
  /** The peer. */
  readonly against: string;
  /** Median over all rounds. */
  readonly ratio: number;
  /** Least and most of all rounds. */
  readonly spread: readonly [number, number];
  /** What the ratio should be at most, null where there is no goal. */
  readonly goal: number | null;
}

/** Splits the name of a row into subject and contender. */
export function partsOf({ name }: Row): { subject: string; ours: string } {
  const colon = name.lastIndexOf(": ");
  return colon < 0
    ? { subject: name, ours: "" }
    : { subject: name.slice(0, colon), ours: name.slice(colon + 2) };
}

/** The value that `share` of the values lie below, between two of them where it falls there. Needs a value. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (sorted[high]! - sorted[low]!) * (at - low);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** What the rounds of a pair say: each ratio is of two times of one round. */
export interface Spread {
  readonly ratio: number;
  readonly spread: readonly [number, number];
  /** A quarter of the rounds lies below the first, a quarter above the second. */
  readonly quartiles: readonly [number, number];
}

/** Needs as many times of ours as of theirs, at least one. */
export function ratiosOf(ours: readonly number[], theirs: readonly number[]): Spread {
  const ratios = ours.map((time, round) => time / theirs[round]!);
  return {
    ratio: median(ratios),
    spread: [Math.min(...ratios), Math.max(...ratios)],
    quartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
  };
}

/** By how much a ratio misses its goal: 0.25 is a quarter more than allowed; 0 where it is met or there is none. */
export const missedBy = ({ ratio, goal }: Pick<Row, "ratio" | "goal">): number =>
  goal === null || ratio <= goal ? 0 : ratio / goal - 1;

/** The rows of which every round is above what the short mode allows: one that others disturbed says nothing. */
export const overFloor = <T extends Pick<Row, "spread"> & { readonly floor: number | null }>(
  rows: readonly T[],
): T[] => rows.filter(({ spread, floor }) => floor !== null && spread[0] > floor);
