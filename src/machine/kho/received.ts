import { isAtLeast, type Kernel } from "../../../formats/kernels.js";
import { orderIn, type Runs } from "../../../formats/kho/runs.js";
import { isKhoError } from "../../report/error.js";
import { newIntervals } from "../intervals.js";
import type { PageAllocator } from "../pages.js";

/** The blocks that the previous kernel preserved. Each can be taken over once; what nobody takes stays reserved. */
export interface Received {
  readonly runs: Runs;
  /** Order of the block that begins here and was not taken yet, or -1. */
  orderOf(pfn: number): number;
  /** Takes over a block for `owner`; its order, or -1 if none begins here any more. */
  take(pfn: number, owner: string): number;
}

/** The blocks of a memory map as this kernel read it. Their pages are held in `pages` already, as far as they are RAM. */
export function newReceived(runs: Runs, kernel: Kernel, pages: PageAllocator): Received {
  const order = orderIn(runs);
  /** A page of two blocks that overlap goes with the first that is taken. Kernels would hand it out twice. */
  const taken = newIntervals<true>();
  // Until 7.0 what is restored goes through the page allocator's own limits.
  const largest = isAtLeast(kernel, "7.1") ? Number.POSITIVE_INFINITY : pages.largestOrder;
  const orderOf = (pfn: number): number => {
    if (taken.get(pfn)) return -1;
    const found = order(pfn);
    return found > largest ? -1 : found;
  };
  return {
    runs,
    orderOf,
    take(pfn, owner) {
      const found = orderOf(pfn);
      const end = pfn + 2 ** found;
      if (found < 0 || taken.pieces(pfn, end).length > 0) return -1;
      try {
        pages.recut(pfn, end - pfn, owner);
      } catch (error) {
        // Maps are not checked at boot: what is no RAM, or has been given to somebody else, cannot be had.
        if (!isKhoError(error, "machine-misuse")) throw error;
        return -1;
      }
      taken.set(pfn, end, true);
      return found;
    },
  };
}
