import { MEMFD_LUO_FOLIO_DIRTY, MEMFD_LUO_FOLIO_UPTODATE } from "../../../formats/memfd/layout.js";

/** Flags of a folio in the page cache: the same bits that are handed over, though the kernel's own differ. */
export const DIRTY = MEMFD_LUO_FOLIO_DIRTY;
/** Its pages hold the file's bytes. Without it the folio reads as zeros, whatever is in them. */
export const UPTODATE = MEMFD_LUO_FOLIO_UPTODATE;

/** Is told folios, one after the other, with the page of the file that each begins at. */
export type FolioVisitor<Result = void> = (
  index: number,
  pfn: number,
  order: number,
  flags: number,
) => Result;

/**
 * The page cache of one file: folios by their place in it. An index is in base pages, a multiple of the folio's pages,
 * and below 2^53, as a PFN is. A million folios are a few thousand columns, and each step costs a logarithm.
 */
export interface FolioTable {
  readonly length: number;
  /** Adds a folio; false, and nothing added, if it would cover what another one covers already. */
  insert(index: number, pfn: number, order: number, flags: number): boolean;
  /** Visits, ascending, the folios that cover any of the pages `[from, to)`. The visitor must not add or remove. */
  each(from: number, to: number, visit: FolioVisitor): void;
  /** As {@link each}; what is returned becomes the folio's flags. */
  mark(from: number, to: number, visit: FolioVisitor<number>): void;
  /** Takes out the folios that cover any of the pages `[from, to)`, and tells them, ascending, once all are out. */
  remove(from: number, to: number, removed: FolioVisitor): void;
  /**
   * Stretches that no folio covers and that have any of the pages `[from, to)`, ascending. Each is told in full, beyond
   * `from` and `to`, as pairs of its first page and the page behind it; the last may have no end.
   */
  gaps(from: number, to: number): number[];
}

/** Folios of one leaf. Leaves are full where a file was filled from its beginning. */
const perLeaf = 1024;

interface Leaf {
  length: number;
  readonly index: Float64Array;
  readonly pfn: Float64Array;
  readonly order: Uint8Array;
  readonly flags: Uint8Array;
}

const newLeaf = (): Leaf => ({
  length: 0,
  index: new Float64Array(perLeaf),
  pfn: new Float64Array(perLeaf),
  order: new Uint8Array(perLeaf),
  flags: new Uint8Array(perLeaf),
});

/** Moves the rows `[from, length)` of a leaf to row `to` of another, or of itself, where they become the last ones. */
function move(source: Leaf, from: number, target: Leaf, to: number): void {
  const count = source.length - from;
  // The usual case, a folio behind all others.
  if (count === 0) {
    target.length = to;
    return;
  }
  target.index.set(source.index.subarray(from, source.length), to);
  target.pfn.set(source.pfn.subarray(from, source.length), to);
  target.order.set(source.order.subarray(from, source.length), to);
  target.flags.set(source.flags.subarray(from, source.length), to);
  target.length = to + count;
}

/** The first page behind a folio. */
const endOf = ({ index, order }: Leaf, row: number): number => index[row]! + 2 ** order[row]!;

export function newFolioTable(): FolioTable {
  /** Ascending; none is empty. */
  const leaves: Leaf[] = [];
  let length = 0;

  /** The last leaf that begins at or before a page; -1 if all begin behind it. */
  const leafOf = (page: number): number => {
    let low = 0;
    let high = leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (leaves[middle]!.index[0]! <= page) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };
  /** The first row whose folio ends behind a page: it covers the page, or is the next one. */
  const rowOf = (leaf: Leaf, page: number): number => {
    let low = 0;
    let high = leaf.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (endOf(leaf, middle) <= page) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  /** Room for one more row at `row` of leaf `at`, which is split if it is full. */
  const open = (at: number, row: number): readonly [leaf: Leaf, row: number] => {
    const leaf = leaves[at]!;
    if (leaf.length < perLeaf) {
      move(leaf, row, leaf, row + 1);
      return [leaf, row];
    }
    const next = newLeaf();
    leaves.splice(at + 1, 0, next);
    // Files are mostly filled upwards: whoever comes behind all rows begins a leaf, and leaves the old one full.
    const half = row === perLeaf ? perLeaf : perLeaf / 2;
    move(leaf, half, next, 0);
    leaf.length = half;
    return row < half || (row === half && half < perLeaf) ? open(at, row) : open(at + 1, row - half);
  };

  /** Visits the rows whose folios cover any of the pages `[from, to)`. */
  const walk = (from: number, to: number, visit: (leaf: Leaf, row: number) => void): void => {
    for (let at = Math.max(leafOf(from), 0); from < to && at < leaves.length; at++) {
      const leaf = leaves[at]!;
      for (let row = rowOf(leaf, from); row < leaf.length; row++) {
        if (leaf.index[row]! >= to) return;
        visit(leaf, row);
      }
    }
  };

  return {
    get length() {
      return length;
    },
    insert(index, pfn, order, flags) {
      const end = index + 2 ** order;
      const at = Math.max(leafOf(index), 0);
      if (leaves.length === 0) leaves.push(newLeaf());
      const leaf = leaves[at]!;
      const row = rowOf(leaf, index);
      const next = row < leaf.length ? leaf.index[row] : leaves[at + 1]?.index[0];
      if (next !== undefined && next < end) return false;
      const [target, place] = open(at, row);
      target.index[place] = index;
      target.pfn[place] = pfn;
      target.order[place] = order;
      target.flags[place] = flags;
      length++;
      return true;
    },
    each(from, to, visit) {
      walk(from, to, ({ index, pfn, order, flags }, row) =>
        visit(index[row]!, pfn[row]!, order[row]!, flags[row]!),
      );
    },
    mark(from, to, visit) {
      walk(from, to, ({ index, pfn, order, flags }, row) => {
        flags[row] = visit(index[row]!, pfn[row]!, order[row]!, flags[row]!);
      });
    },
    remove(from, to, removed) {
      const out: Leaf[] = [];
      for (let at = Math.max(leafOf(from), 0); from < to && at < leaves.length; ) {
        const leaf = leaves[at]!;
        const first = rowOf(leaf, from);
        let behind = first;
        while (behind < leaf.length && leaf.index[behind]! < to) behind++;
        const isLast = behind < leaf.length;
        if (behind > first) {
          const taken = newLeaf();
          move(leaf, first, taken, 0);
          taken.length = behind - first;
          out.push(taken);
          length -= taken.length;
          move(leaf, behind, leaf, first);
        }
        if (leaf.length > 0) at++;
        else leaves.splice(at, 1);
        if (isLast) break;
      }
      for (const leaf of out)
        for (let row = 0; row < leaf.length; row++)
          removed(leaf.index[row]!, leaf.pfn[row]!, leaf.order[row]!, leaf.flags[row]!);
    },
    gaps(from, to) {
      const found: number[] = [];
      if (from >= to) return found;
      const before = leaves[leafOf(from)];
      // The end of the last folio that begins at or before `from`; it may cover `from`.
      let end = 0;
      if (before) {
        let row = rowOf(before, from);
        if (row < before.length && before.index[row]! <= from) row++;
        end = endOf(before, row - 1);
      }
      for (let at = Math.max(leafOf(from), 0); at < leaves.length; at++) {
        const leaf = leaves[at]!;
        for (let row = rowOf(leaf, from); row < leaf.length; row++) {
          const start = leaf.index[row]!;
          if (start > end && end < to) found.push(end, start);
          if (start >= to) return found;
          end = Math.max(end, endOf(leaf, row));
        }
      }
      if (end < to) found.push(end, Number.POSITIVE_INFINITY);
      return found;
    },
  };
}
