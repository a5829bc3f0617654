import { littleWords } from "../../src/layout/index.js";

/**
 * Calls `emit(first, count)` for each run of adjacent set bits, ascending. Bit i is bit i mod 8 of byte i / 8.
 * Looks at transitions instead of bits: `x ^ (x << 1 | carry)` has a bit where a run starts or ends, and one
 * count-trailing-zeros finds each. Takes whole 32-bit words: the length must be a multiple of 4.
 */
export function forEachRun(bitmap: Uint8Array, emit: (first: number, count: number) => void): void {
  const words = littleWords(bitmap);
  let start = -1;
  let carry = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    // Most words are all zeros or all ones and go on as the one before.
    if (word === -carry) continue;
    let edges = word ^ ((word << 1) | carry);
    while (edges !== 0) {
      const bit = 31 - Math.clz32(edges & -edges);
      const at = i * 32 + bit;
      if (start < 0) start = at;
      else {
        emit(start, at - start);
        start = -1;
      }
      edges &= edges - 1;
    }
    carry = word >>> 31;
  }
  if (start >= 0) emit(start, words.length * 32 - start);
}

/** Sets or clears the bits `[from, to)`, whole bytes at once. The bits are there, and `from` is below `to`. */
export function setBits(bitmap: Uint8Array, from: number, to: number, value = true): void {
  const first = from >>> 3;
  const last = (to - 1) >>> 3;
  const head = (0xff << (from & 7)) & 0xff;
  const tail = 0xff >>> (7 - ((to - 1) & 7));
  if (first === last) {
    changeByte(bitmap, first, head & tail, value);
    return;
  }
  changeByte(bitmap, first, head, value);
  bitmap.fill(value ? 0xff : 0, first + 1, last);
  changeByte(bitmap, last, tail, value);
}

function changeByte(bitmap: Uint8Array, at: number, mask: number, value: boolean): void {
  bitmap[at] = value ? bitmap[at]! | mask : bitmap[at]! & ~mask;
}
