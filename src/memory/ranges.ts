import { physAddr } from "./address.js";
import type { MemoryRange } from "./memory.js";

/** The same addresses as ascending ranges that neither overlap nor touch. O(n log n). */
export function mergedRanges(ranges: readonly MemoryRange[]): MemoryRange[] {
  const sorted = ranges.filter(({ size }) => size > 0n);
  sorted.sort((a, b) => (a.pa < b.pa ? -1 : a.pa > b.pa ? 1 : 0));
  const merged: { -readonly [K in "pa" | "size"]: MemoryRange[K] }[] = [];
  for (const { pa, size } of sorted) {
    const last = merged.at(-1);
    if (!last || last.pa + last.size < pa) merged.push({ pa, size });
    else if (last.pa + last.size < pa + size) last.size = pa + size - last.pa;
  }
  return merged;
}

/** The pages of `page` bytes that a range touches. */
export function wholePages({ pa, size }: MemoryRange, page: bigint): MemoryRange {
  const start = pa - (pa % page);
  return { pa: physAddr(start), size: ((pa + size - start + page - 1n) / page) * page };
}

/** What of `ranges` a memory has, ascending, with what it says of zeros. Both lists ascending and disjoint. O(n). */
export function rangesIn(ranges: readonly MemoryRange[], memory: readonly MemoryRange[]): MemoryRange[] {
  const found: MemoryRange[] = [];
  let first = 0;
  for (const range of ranges) {
    while (first < memory.length && endOf(memory[first]!) <= range.pa) first++;
    for (let i = first; i < memory.length && memory[i]!.pa < endOf(range); i++) {
      const there = memory[i]!;
      const begin = there.pa > range.pa ? there : range;
      const end = endOf(there) < endOf(range) ? there : range;
      found.push({ pa: begin.pa, size: endOf(end) - begin.pa, ...(there.zeros && { zeros: true }) });
    }
  }
  return found;
}

const endOf = ({ pa, size }: MemoryRange): bigint => pa + size;
