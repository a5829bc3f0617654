import type { Image } from "../image/image.js";
import { type Memory, type MemoryRange, type PhysAddr, physAddr } from "../memory/index.js";
import { mergedRanges } from "../memory/ranges.js";

/** An image that keeps account of what is read from it. */
export interface Watched {
  readonly image: Image;
  /** The bytes that were read so far: ascending, neither overlapping nor touching. */
  reads(): MemoryRange[];
}

/** Reads are merged whenever there are this many more. */
const batch = 1 << 14;

/** Watches who reads an image. What is asked for and not there does not count. */
export function watched(image: Image): Watched {
  const { memory } = image;
  let ranges: MemoryRange[] = [];
  let next = batch;
  const note = (pa: PhysAddr, length: number): void => {
    ranges.push({ pa, size: BigInt(length) });
    if (ranges.length < next) return;
    ranges = mergedRanges(ranges);
    next = ranges.length + batch;
  };
  const view: Memory = {
    ranges: memory.ranges,
    has: memory.has,
    read(pa, length) {
      const bytes = memory.read(pa, length);
      note(pa, length);
      return bytes;
    },
  };
  return { image: { ...image, memory: view }, reads: () => mergedRanges(ranges) };
}

/** What of `ranges` is in none of `holes`. Both ascending and disjoint. O(n). */
export function rangesWithout(ranges: readonly MemoryRange[], holes: readonly MemoryRange[]): MemoryRange[] {
  const rest: MemoryRange[] = [];
  let first = 0;
  for (const { pa, size } of ranges) {
    const end = pa + size;
    let at: bigint = pa;
    while (first < holes.length && holes[first]!.pa + holes[first]!.size <= pa) first++;
    for (let i = first; i < holes.length && holes[i]!.pa < end; i++) {
      const hole = holes[i]!;
      if (hole.pa > at) rest.push({ pa: physAddr(at), size: hole.pa - at });
      if (hole.pa + hole.size > at) at = hole.pa + hole.size;
    }
    if (at < end) rest.push({ pa: physAddr(at), size: end - at });
  }
  return rest;
}
