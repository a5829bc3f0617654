import { newIntervals } from "../intervals.js";
import type { PageAllocator } from "../pages.js";

/** Pages of one file that devices use: they stay where they are, even when they leave the file. */
export interface Pins {
  /** One more user of these pages. */
  add(pfn: number, pages: number): void;
  /** One user less. What has left the file meanwhile is given back with its last user. */
  remove(pfn: number, pages: number): void;
  /** Gives back pages that leave the file: now, or once nobody uses them any more. */
  release(pfn: number, pages: number): void;
}

export function newPins(allocator: PageAllocator): Pins {
  /** Users, by PFN; absent where there are none. */
  const users = newIntervals<number>();
  const left = newIntervals<true>();
  const giveBack = (from: number, to: number): void => {
    if (from < to) allocator.release(from, to - from);
  };
  return {
    add(pfn, pages) {
      const used = users.pieces(pfn, pfn + pages);
      users.set(pfn, pfn + pages, 1);
      for (const { from, to, value } of used) users.set(from, to, value + 1);
    },
    remove(pfn, pages) {
      for (const { from, to, value } of users.pieces(pfn, pfn + pages)) {
        users.set(from, to, value > 1 ? value - 1 : undefined);
        if (value > 1) continue;
        for (const gone of left.pieces(from, to)) giveBack(gone.from, gone.to);
        left.set(from, to, undefined);
      }
    },
    release(pfn, pages) {
      let at = pfn;
      for (const { from, to } of users.pieces(pfn, pfn + pages)) {
        giveBack(at, from);
        left.set(from, to, true);
        at = to;
      }
      giveBack(at, pfn + pages);
    },
  };
}
