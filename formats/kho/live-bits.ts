import type { PhysAddr } from "../../src/memory/index.js";
import { setBits } from "./bitmap.js";
import { requireRoom } from "./ranges.js";

/** Memory that is in use: what is written is read from then on. `write` copies the bytes. */
export interface LiveMemory {
  read(pa: PhysAddr, length: number): Uint8Array;
  write(pa: PhysAddr, bytes: Uint8Array): void;
}

/** Sets of integers below 2^53, one for each group, kept as bitmaps in memory. */
export interface LiveBits {
  /** Adds `[first, first + count)`. If a bitmap cannot be had, none of them is added and the error goes on. */
  set(group: number, first: number, count: number): void;
  /** Takes `[first, first + count)` out, as far as they are in. */
  clear(group: number, first: number, count: number): void;
  has(group: number, value: number): boolean;
}

/**
 * Bitmaps of `size` bits (a power of two, at most 2^19), each found, or made with all bits clear, by number. Memory is
 * always up to date, and nothing but bytes that change is written.
 */
export function liveBits(
  memory: LiveMemory,
  size: number,
  bitmapOf: (group: number, cell: number, make: boolean) => PhysAddr | undefined,
): LiveBits {
  const one = new Uint8Array(1);
  /** Changes bits `[from, to)` of a bitmap. */
  const changeBits = (bitmap: PhysAddr, from: number, to: number, value: boolean): void => {
    const at = from >>> 3;
    const length = ((to + 7) >>> 3) - at;
    const pa = (bitmap + BigInt(at)) as PhysAddr;
    const before = memory.read(pa, length);
    if (length === 1) {
      const byte = before[0]!;
      one[0] = byte;
      setBits(one, from - at * 8, to - at * 8, value);
      if (one[0] !== byte) memory.write(pa, one);
      return;
    }
    const after = before.slice();
    setBits(after, from - at * 8, to - at * 8, value);
    let begin = 0;
    let end = length;
    while (begin < end && before[begin] === after[begin]) begin++;
    while (begin < end && before[end - 1] === after[end - 1]) end--;
    if (begin < end) memory.write((pa + BigInt(begin)) as PhysAddr, after.subarray(begin, end));
  };
  const change = (group: number, first: number, count: number, value: boolean): void => {
    const end = first + count;
    for (let from = first; from < end; ) {
      const cell = Math.floor(from / size);
      const start = cell * size;
      const to = Math.min(end, start + size);
      const bitmap = bitmapOf(group, cell, value);
      if (bitmap !== undefined) changeBits(bitmap, from - start, to - start, value);
      from = to;
    }
  };
  return {
    set(group, first, count) {
      requireRoom(count / size);
      // All bitmaps first: once there are all, nothing can fail.
      const last = Math.floor((first + count - 1) / size);
      for (let cell = Math.floor(first / size); cell < last; cell++) bitmapOf(group, cell, true);
      if (count > 0) bitmapOf(group, last, true);
      change(group, first, count, true);
    },
    clear(group, first, count) {
      requireRoom(count / size);
      change(group, first, count, false);
    },
    has(group, value) {
      const cell = Math.floor(value / size);
      const bitmap = bitmapOf(group, cell, false);
      if (bitmap === undefined) return false;
      const bit = value - cell * size;
      return ((memory.read((bitmap + BigInt(bit >>> 3)) as PhysAddr, 1)[0]! >>> (bit & 7)) & 1) === 1;
    },
  };
}
