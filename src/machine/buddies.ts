import { type Intervals, newIntervals } from "./intervals.js";

/**
 * The free pages of one NUMA node, as the naturally aligned blocks that they form. Two halves of a block are never both
 * free on their own, so that the blocks depend on which pages are free, not on how they became it.
 */
export interface Buddies {
  /** The smallest order from `order` on of which there is a block; undefined if there is none. */
  smallest(order: number): number | undefined;
  /** Where the lowest block of exactly this order is; there must be one. */
  lowest(order: number): number;
  /** Takes the lower end of the lowest block of order `from`; what is left of it stays free. `order <= from`. */
  split(from: number, order: number): number;
  /** Takes pages that are all free. */
  remove(pfn: number, pages: number): void;
  /** Adds pages of which none is free. */
  add(pfn: number, pages: number): void;
}

/** Buddies of up to `2 ** largestOrder` pages; none is free at first. PFNs are below 2^52. */
export function newBuddies(largestOrder: number): Buddies {
  /** By order: free blocks, numbered in units of their size. */
  const blocks: Intervals<true>[] = Array.from({ length: largestOrder + 1 }, () => newIntervals());

  /** Calls `each` for the largest blocks that fill `[pfn, end)`; runs of the largest order come as one call. */
  const cut = (
    pfn: number,
    end: number,
    each: (order: number, index: number, count: number) => void,
  ): void => {
    for (let at = pfn; at < end; ) {
      let order = 0;
      let size = 1;
      for (; order < largestOrder && at % (2 * size) === 0 && at + 2 * size <= end; order++) size *= 2;
      const count = order === largestOrder ? Math.floor((end - at) / size) : 1;
      each(order, at / size, count);
      at += count * size;
    }
  };
  const keep = (order: number, index: number, count: number): void =>
    blocks[order]!.set(index, index + count, true);
  const drop = (order: number, index: number): void => blocks[order]!.set(index, index + 1, undefined);

  const merge = (order: number, index: number, count: number): void => {
    for (; order < largestOrder; order++) {
      const buddy = index % 2 === 0 ? index + 1 : index - 1;
      if (!blocks[order]!.get(buddy)) break;
      drop(order, buddy);
      index = Math.floor(index / 2);
    }
    keep(order, index, count);
  };

  /** Lets no free block lie on both sides of `pfn`. */
  const cutAt = (pfn: number): void => {
    for (let order = 1; order <= largestOrder; order++) {
      const size = 2 ** order;
      const index = Math.floor(pfn / size);
      if (index * size === pfn || !blocks[order]!.get(index)) continue;
      drop(order, index);
      cut(index * size, pfn, keep);
      cut(pfn, (index + 1) * size, keep);
      return;
    }
  };

  return {
    smallest(order) {
      for (; order <= largestOrder; order++) if (blocks[order]!.first() !== undefined) return order;
      return undefined;
    },
    lowest: (order) => blocks[order]!.first()! * 2 ** order,
    split(from, order) {
      let index = blocks[from]!.first()!;
      drop(from, index);
      while (from > order) {
        from--;
        index *= 2;
        keep(from, index + 1, 1);
      }
      return index * 2 ** order;
    },
    remove(pfn, pages) {
      if (pages === 0) return;
      const end = pfn + pages;
      cutAt(pfn);
      cutAt(end);
      for (let order = 0; order <= largestOrder; order++)
        if (blocks[order]!.first() !== undefined)
          blocks[order]!.set(Math.ceil(pfn / 2 ** order), Math.floor(end / 2 ** order), undefined);
    },
    add: (pfn, pages) => cut(pfn, pfn + pages, merge),
  };
}
