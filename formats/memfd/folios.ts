import { rankOf } from "../../src/memory/index.js";
import { grown } from "../grown.js";

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

/** Collects folios and merges neighbours. Finished once. */
export interface FolioRunsBuilder {
  /** Number of runs so far. */
  readonly length: number;
  /** Adds `count` folios, one unless given, each right behind the one before in file and memory. */
  push(index: number, pfn: number, order: number, flags: number, count?: number): void;
  finish(): FolioRuns;
}

/** Rows of a piece of the columns, once there are as many: runs are not copied again and again as they become more. */
const mostRows = 1 << 15;

export function newFolioRuns(): FolioRunsBuilder {
  let columns = newColumns(64);
  const full: Columns[] = [];
  /** Rows of `columns`, and of those before. */
  let rows = 0;
  let before = 0;
  // The last run, of which there is none while the count is 0, and where it ends in file and memory.
  let [lastIndex, lastPfn, lastOrder, lastFlags, lastCount] = [0, 0, 0, 0, 0];
  let nextIndex = -1;
  let nextPfn = -1;
  const put = (): void => {
    if (rows === columns.index.length) {
      if (rows < mostRows) columns = larger(columns);
      else {
        full.push(columns);
        before += rows;
        columns = newColumns(mostRows);
        rows = 0;
      }
    }
    columns.index[rows] = lastIndex;
    columns.pfn[rows] = lastPfn;
    columns.order[rows] = lastOrder;
    columns.count[rows] = lastCount;
    columns.flags[rows++] = lastFlags;
  };
  return {
    get length() {
      return before + rows + (lastCount > 0 ? 1 : 0);
    },
    push(i, p, o, f, c = 1) {
      const pages = 2 ** o * c;
      if (i === nextIndex && p === nextPfn && lastOrder === o && lastFlags === f) lastCount += c;
      else {
        if (lastCount > 0) put();
        [lastIndex, lastPfn, lastOrder, lastFlags, lastCount] = [i, p, o, f, c];
      }
      nextIndex = i + pages;
      nextPfn = p + pages;
    },
    finish() {
      if (lastCount > 0) put();
      const pieces = [...full, columns];
      const length = before + rows;
      const joined = newColumns(length);
      for (const [at, piece] of pieces.entries())
        for (const name of Object.keys(joined) as (keyof Columns)[])
          joined[name].set(at < full.length ? piece[name] : piece[name].subarray(0, rows), at * mostRows);
      return { length, ...joined };
    },
  };
}

type Columns = Omit<FolioRuns, "length">;

const newColumns = (rows: number): Columns => ({
  index: new Float64Array(rows),
  pfn: new Float64Array(rows),
  order: new Uint8Array(rows),
  count: new Float64Array(rows),
  flags: new Uint16Array(rows),
});

const larger = ({ index, pfn, order, count, flags }: Columns): Columns => ({
  index: grown(index),
  pfn: grown(pfn),
  order: grown(order),
  count: grown(count),
  flags: grown(flags),
});

/** Base pages that run `i` covers. */
export const pagesOf = (runs: FolioRuns, i: number): number => runs.count[i]! * 2 ** runs.order[i]!;

/** The runs in the order of the file. Writers list them so, which makes sorting the exception. */
export const byIndex = ({ index, length }: FolioRuns): Uint32Array => rankOf(index.subarray(0, length));
