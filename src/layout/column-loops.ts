import type { Column, InWords } from "./column-plan.js";
import { type Integer, maskOf } from "./integer.js";

/**
 * The loops that fill columns. Each fills rows `from` to `to`, of which the first begins at `at`, and the next one
 * `stride` further. In words, `at` and `stride` are 32-bit integers; four rows are handled in a turn, because engines
 * look at the types of arrays once a turn, and two arrays at a time, because more do not stay in registers.
 * What is made an integer first is not looked at in every turn whether it is one.
 */

/** A double that begins with its low word, and a narrower integer that shares the high one, as in little-endian rows. */
export function readPair(
  words: Uint32Array,
  at: number,
  stride: number,
  from: number,
  to: number,
  place: InWords,
  out: Float64Array,
  matePlace: InWords,
  mate: Column,
): void {
  const own = place.mask | 0;
  const shift = matePlace.shift | 0;
  const mask = matePlace.mask | 0;
  const step = stride | 0;
  const step2 = (step * 2) | 0;
  const step3 = (step * 3) | 0;
  const step4 = (step * 4) | 0;
  const end = to | 0;
  let l = (at + place.low) | 0;
  let h = (at + place.high) | 0;
  let i = from | 0;
  for (; i < end - 3; i += 4) {
    let high = words[h]!;
    out[i] = ((high & own) >>> 0) * 4294967296 + words[l]!;
    mate[i] = (high >>> shift) & mask;
    high = words[(h + step) | 0]!;
    out[i + 1] = ((high & own) >>> 0) * 4294967296 + words[(l + step) | 0]!;
    mate[i + 1] = (high >>> shift) & mask;
    high = words[(h + step2) | 0]!;
    out[i + 2] = ((high & own) >>> 0) * 4294967296 + words[(l + step2) | 0]!;
    mate[i + 2] = (high >>> shift) & mask;
    high = words[(h + step3) | 0]!;
    out[i + 3] = ((high & own) >>> 0) * 4294967296 + words[(l + step3) | 0]!;
    mate[i + 3] = (high >>> shift) & mask;
    l = (l + step4) | 0;
    h = (h + step4) | 0;
  }
  for (; i < end; i++) {
    const high = words[h]!;
    out[i] = ((high & own) >>> 0) * 4294967296 + words[l]!;
    mate[i] = (high >>> shift) & mask;
    l = (l + step) | 0;
    h = (h + step) | 0;
  }
}

/** A double by itself that begins with its low word. */
export function readLowDoubles(
  words: Uint32Array,
  at: number,
  stride: number,
  from: number,
  to: number,
  place: InWords,
  out: Float64Array,
): void {
  const own = place.mask | 0;
  const step = stride | 0;
  const step2 = (step * 2) | 0;
  const step3 = (step * 3) | 0;
  const step4 = (step * 4) | 0;
  const end = to | 0;
  let l = (at + place.low) | 0;
  let h = (at + place.high) | 0;
  let i = from | 0;
  for (; i < end - 3; i += 4) {
    out[i] = ((words[h]! & own) >>> 0) * 4294967296 + words[l]!;
    out[i + 1] = ((words[(h + step) | 0]! & own) >>> 0) * 4294967296 + words[(l + step) | 0]!;
    out[i + 2] = ((words[(h + step2) | 0]! & own) >>> 0) * 4294967296 + words[(l + step2) | 0]!;
    out[i + 3] = ((words[(h + step3) | 0]! & own) >>> 0) * 4294967296 + words[(l + step3) | 0]!;
    l = (l + step4) | 0;
    h = (h + step4) | 0;
  }
  for (; i < end; i++) {
    out[i] = ((words[h]! & own) >>> 0) * 4294967296 + words[l]!;
    l = (l + step) | 0;
    h = (h + step) | 0;
  }
}

/** A double by itself, with other bits below it. */
export function readHighDoubles(
  words: Uint32Array,
  at: number,
  stride: number,
  from: number,
  to: number,
  place: InWords,
  out: Float64Array,
): void {
  const own = place.mask | 0;
  const shift = place.shift | 0;
  const worth = +place.worth;
  const step = stride | 0;
  const step2 = (step * 2) | 0;
  const step3 = (step * 3) | 0;
  const step4 = (step * 4) | 0;
  const end = to | 0;
  let l = (at + place.low) | 0;
  let h = (at + place.high) | 0;
  let i = from | 0;
  for (; i < end - 3; i += 4) {
    out[i] = ((words[h]! & own) >>> 0) * worth + (words[l]! >>> shift);
    out[i + 1] = ((words[(h + step) | 0]! & own) >>> 0) * worth + (words[(l + step) | 0]! >>> shift);
    out[i + 2] = ((words[(h + step2) | 0]! & own) >>> 0) * worth + (words[(l + step2) | 0]! >>> shift);
    out[i + 3] = ((words[(h + step3) | 0]! & own) >>> 0) * worth + (words[(l + step3) | 0]! >>> shift);
    l = (l + step4) | 0;
    h = (h + step4) | 0;
  }
  for (; i < end; i++) {
    out[i] = ((words[h]! & own) >>> 0) * worth + (words[l]! >>> shift);
    l = (l + step) | 0;
    h = (h + step) | 0;
  }
}

/** An integer of up to 32 bits in one word. */
export function readWords(
  words: Uint32Array,
  at: number,
  stride: number,
  from: number,
  to: number,
  place: InWords,
  out: Column,
): void {
  const shift = place.shift | 0;
  const mask = place.mask | 0;
  const step = stride | 0;
  const step2 = (step * 2) | 0;
  const step3 = (step * 3) | 0;
  const step4 = (step * 4) | 0;
  const end = to | 0;
  let w = (at + place.low) | 0;
  let i = from | 0;
  for (; i < end - 3; i += 4) {
    out[i] = (words[w]! >>> shift) & mask;
    out[i + 1] = (words[(w + step) | 0]! >>> shift) & mask;
    out[i + 2] = (words[(w + step2) | 0]! >>> shift) & mask;
    out[i + 3] = (words[(w + step3) | 0]! >>> shift) & mask;
    w = (w + step4) | 0;
  }
  for (; i < end; i++) {
    out[i] = (words[w]! >>> shift) & mask;
    w = (w + step) | 0;
  }
}

/** An integer in a unit of up to 4 bytes, anywhere. Typed arrays take it modulo their width, which restores the sign. */
export function readNarrow(
  view: DataView,
  at: number,
  stride: number,
  from: number,
  to: number,
  { offset, bytes, little, shift, width }: Integer,
  out: Column,
): void {
  const mask = maskOf(width);
  let p = at + offset;
  if (bytes === 1) for (let i = from; i < to; i++, p += stride) out[i] = (view.getUint8(p) >>> shift) & mask;
  else if (bytes === 2)
    for (let i = from; i < to; i++, p += stride) out[i] = (view.getUint16(p, little) >>> shift) & mask;
  else for (let i = from; i < to; i++, p += stride) out[i] = (view.getUint32(p, little) >>> shift) & mask;
}

/** An integer that reaches into both halves of 8 bytes, anywhere. */
export function readDoubles(
  view: DataView,
  at: number,
  stride: number,
  from: number,
  to: number,
  { offset, little, shift, width, signed }: Integer,
  out: Column,
): void {
  const low = offset + (little ? 0 : 4);
  const high = offset + (little ? 4 : 0);
  const mask = maskOf(shift + width - 32);
  const worth = 2 ** (32 - shift);
  for (let i = from, p = at; i < to; i++, p += stride) {
    const bits = view.getUint32(p + high, little) & mask;
    // Below 2^32 if the column is of 32 bits, so that nothing is lost.
    out[i] = (signed ? bits : bits >>> 0) * worth + (view.getUint32(p + low, little) >>> shift);
  }
}
