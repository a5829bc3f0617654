/** Integers from `from` up to, but without, `to` that have one value. */
export interface Piece<V> {
  readonly from: number;
  readonly to: number;
  readonly value: V;
}

/**
 * Values of integers that change rarely from one to the next: which pages are free, who holds them. Costs memory by the
 * number of changes, not by that of the integers. Values are the same if `===` says so; no integer has one at first.
 * Integers are 0 to 2^53 - 1.
 */
export interface Intervals<V> {
  get(at: number): V | undefined;
  /** Gives all integers in `[from, to)` a value, or takes it away. O(log n), and O(1) for each piece that vanishes. */
  set(from: number, to: number, value: V | undefined): void;
  /** The lowest integer that has a value; undefined if none has. O(1). */
  first(): number | undefined;
  /** What has a value in `[from, to)`, ascending, cut to these bounds. */
  pieces(from?: number, to?: number): Piece<V>[];
  copy(): Intervals<V>;
}

/** Where the value changes, ascending: `values[i]` is that of `keys[i]` and of all up to the next key. Never empty. */
interface Chunk<V> {
  readonly keys: number[];
  readonly values: (V | undefined)[];
}

/** Chunks are small enough to insert into and large enough that there are few. */
const maxChunk = 128;

/** Intervals in which no integer has a value yet. */
export function newIntervals<V>(): Intervals<V> {
  // One change before all others, so that every search finds something.
  return intervalsOf<V>([{ keys: [-1], values: [undefined] }]);
}

function intervalsOf<V>(chunks: Chunk<V>[]): Intervals<V> {
  /** The first key of each chunk. */
  const starts = chunks.map(({ keys }) => keys[0]!);

  return {
    get(at) {
      const { keys, values } = chunks[lastUpTo(starts, at)]!;
      return values[lastUpTo(keys, at)];
    },
    set(from, to, value) {
      if (from >= to) return;
      // Keys are integers: the last change below `from` stays, all from there up to `to` go.
      const low = lastUpTo(starts, from - 1);
      const high = low + 1 < starts.length && starts[low + 1]! <= to ? lastUpTo(starts, to) : low;
      const head = chunks[low]!;
      const tail = chunks[high]!;
      const kept = lastUpTo(head.keys, from - 1);
      const gone = lastUpTo(tail.keys, to);
      const before = head.values[kept];
      const after = tail.values[gone];

      const removed = low === high ? gone - kept : head.keys.length - kept - 1;
      if (value === before && value === after) replace(head, kept + 1, removed);
      else if (value === before) replace(head, kept + 1, removed, to, after);
      else {
        replace(head, kept + 1, removed, from, value);
        if (value !== after) replace(head, kept + 2, 0, to, after);
      }
      if (low !== high) {
        replace(tail, 0, gone + 1);
        const empty = high - low - (tail.keys.length > 0 ? 1 : 0);
        chunks.splice(low + 1, empty);
        starts.splice(low + 1, empty);
        if (tail.keys.length > 0) starts[low + 1] = tail.keys[0]!;
      }
      if (head.keys.length > maxChunk) {
        const half = maxChunk / 2;
        const upper = { keys: head.keys.splice(half), values: head.values.splice(half) };
        chunks.splice(low + 1, 0, upper);
        starts.splice(low + 1, 0, upper.keys[0]!);
      }
    },
    // Changes are between different values, so that the first one is where values begin.
    first: () => chunks[0]!.keys[1] ?? starts[1],
    pieces(from = 0, to = Number.POSITIVE_INFINITY) {
      const found: Piece<V>[] = [];
      let c = lastUpTo(starts, from);
      let i = lastUpTo(chunks[c]!.keys, from);
      for (let key = from; key < to; ) {
        const { keys, values } = chunks[c]!;
        const value = values[i];
        if (++i === keys.length) [c, i] = [c + 1, 0];
        // The last value is none, so that all pieces end.
        const end = Math.min(chunks[c]?.keys[i] ?? to, to);
        if (value !== undefined) found.push({ from: key, to: end, value });
        key = end;
      }
      return found;
    },
    copy: () => intervalsOf(chunks.map(({ keys, values }) => ({ keys: [...keys], values: [...values] }))),
  };
}

/**
 * Index of the last of ascending numbers that is `at` or below, which the first one is. By itself and not with a
 * callback for each step: this is where the time goes.
 */
function lastUpTo(numbers: readonly number[], at: number): number {
  let low = 0;
  for (let high = numbers.length; high - low > 1; ) {
    const middle = (low + high) >> 1;
    if (numbers[middle]! <= at) low = middle;
    else high = middle;
  }
  return low;
}

/** Takes `removed` changes away and puts one there, if there is a key. Moving a few by hand is faster than splicing. */
function replace<V>({ keys, values }: Chunk<V>, at: number, removed: number, key?: number, value?: V): void {
  const length = keys.length;
  if (key !== undefined && removed === 0) {
    for (let i = length; i > at; i--) {
      keys[i] = keys[i - 1]!;
      values[i] = values[i - 1];
    }
  }
  const less = key === undefined ? removed : removed - 1;
  if (less > 0) {
    for (let i = at + removed; i < length; i++) {
      keys[i - less] = keys[i]!;
      values[i - less] = values[i];
    }
    for (let i = 0; i < less; i++) {
      keys.pop();
      values.pop();
    }
  }
  if (key !== undefined) {
    keys[at] = key;
    values[at] = value;
  }
}
