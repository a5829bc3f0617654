/**
 * The folios of a file as columns: each row is `count` folios of one order and one set of flags that are adjacent in
 * the file and in physical memory. Ascending by index where the writer was right. Integers below 2^53.
 */
export interface FolioRuns {
  readonly length: number;
  /** Offset in the file of the first folio, in base pages. */
  readonly index: Float64Array;
  /** PFN of the first folio's first page. */
  readonly pfn: Float64Array;
  readonly order: Uint8Array;
  readonly count: Float64Array;
  /** MEMFD_LUO_FOLIO_* bits. */
  readonly flags: Uint16Array;
}

/** Collects folios one by one and merges neighbours. */
export interface FolioRunsBuilder {
  /** Number of runs so far. */
  readonly length: number;
  push(index: number, pfn: number, order: number, flags: number): void;
  finish(): FolioRuns;
}

export function newFolioRuns(): FolioRunsBuilder {
  let length = 0;
  let room = 64;
  let index = new Float64Array(room);
  let pfn = new Float64Array(room);
  let order = new Uint8Array(room);
  let count = new Float64Array(room);
  let flags = new Uint16Array(room);
  // Where the last run ends, in the file and in memory.
  let nextIndex = -1;
  let nextPfn = -1;
  const grow = (): void => {
    room *= 2;
    const larger = <A extends Float64Array | Uint8Array | Uint16Array>(old: A, column: A): A => {
      column.set(old);
      return column;
    };
    index = larger(index, new Float64Array(room));
    pfn = larger(pfn, new Float64Array(room));
    order = larger(order, new Uint8Array(room));
    count = larger(count, new Float64Array(room));
    flags = larger(flags, new Uint16Array(room));
  };
  return {
    get length() {
      return length;
    },
    push(i, p, o, f) {
      const pages = 2 ** o;
      const last = length - 1;
      if (i === nextIndex && p === nextPfn && order[last] === o && flags[last] === f) count[last]!++;
      else {
        if (length === room) grow();
        index[length] = i;
        pfn[length] = p;
        order[length] = o;
        count[length] = 1;
        flags[length++] = f;
      }
      nextIndex = i + pages;
      nextPfn = p + pages;
    },
    finish: () => ({
      length,
      index: index.slice(0, length),
      pfn: pfn.slice(0, length),
      order: order.slice(0, length),
      count: count.slice(0, length),
      flags: flags.slice(0, length),
    }),
  };
}

/** Base pages that run `i` covers. */
export const pagesOf = (runs: FolioRuns, i: number): number => runs.count[i]! * 2 ** runs.order[i]!;

/** The runs in the order of the file. Writers list them so, which makes sorting the exception. */
export function byIndex({ index, length }: FolioRuns): Uint32Array {
  const rank = Uint32Array.from({ length }, (_, i) => i);
  for (let i = 1; i < length; i++)
    if (index[i]! < index[i - 1]!) return rank.sort((a, b) => index[a]! - index[b]!);
  return rank;
}
