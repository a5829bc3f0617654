import type { InWords } from "./column-plan.js";
import type { Integer } from "./integer.js";

/** The least value of an integer, and the one that is too large; both exact as doubles. */
export function rangeOf({ width, signed }: Integer): { low: number; end: number } {
  const span = 2 ** (signed ? width - 1 : width);
  return { low: signed ? Math.max(-span, -(2 ** 53) + 1) : 0, end: Math.min(span, 2 ** 53) };
}

const fits = (value: number, low: number, end: number): boolean =>
  value >= low && value < end && Math.floor(value) === value;

/** The index of the first of `count` values that the integer cannot hold, or -1. */
export function firstUnfit(values: ArrayLike<number>, integer: Integer, count: number): number {
  const { low, end } = rangeOf(integer);
  for (let i = 0; i < count; i++) if (!fits(values[i]!, low, end)) return i;
  return -1;
}

/** ORs an integer into rows of zeros, anywhere. */
export function addBits(
  view: DataView,
  at: number,
  stride: number,
  from: number,
  to: number,
  integer: Integer,
  values: ArrayLike<number>,
): boolean {
  const { offset, bytes, little, shift } = integer;
  const { low, end } = rangeOf(integer);
  const lowAt = offset + (bytes === 8 && !little ? 4 : 0);
  const highAt = offset + (little ? 4 : 0);
  const toHigh = 2 ** (shift - 32);
  for (let i = from, p = at; i < to; i++, p += stride) {
    const value = values[i]!;
    if (!fits(value, low, end)) return false;
    // Shifting takes an integer modulo 2^32, and setters the bits modulo their width, of negative ones too.
    const bits = value << shift;
    if (bytes === 1) view.setInt8(p + lowAt, view.getInt8(p + lowAt) | bits);
    else if (bytes === 2) view.setInt16(p + lowAt, view.getInt16(p + lowAt, little) | bits, little);
    else view.setInt32(p + lowAt, view.getInt32(p + lowAt, little) | bits, little);
    // Scaling by powers of two is exact, and OR takes of what comes out its bits 0 to 31.
    if (bytes === 8)
      view.setInt32(p + highAt, view.getInt32(p + highAt, little) | Math.floor(value * toHigh), little);
  }
  return true;
}

/** The first value that does not fit; all from 0 on do. */
const endOf = ({ mask, worth }: InWords): number => Math.min(((mask >>> 0) + 1) * worth, 2 ** 53);

/**
 * Writes both words of a double that begins with its low word, and a narrower integer in the high one; what is left of
 * them becomes zeros. As in the loops that read, places in words are 32-bit integers.
 */
export function writePair(
  words: Uint32Array,
  at: number,
  stride: number,
  from: number,
  to: number,
  place: InWords,
  values: ArrayLike<number>,
  matePlace: InWords,
  mates: ArrayLike<number>,
): boolean {
  const end = endOf(place);
  const mateEnd = endOf(matePlace);
  const shift = matePlace.shift | 0;
  const step = stride | 0;
  const step2 = (step * 2) | 0;
  const step3 = (step * 3) | 0;
  const step4 = (step * 4) | 0;
  const stop = to | 0;
  let l = (at + place.low) | 0;
  let h = (at + place.high) | 0;
  let value: number;
  let mate: number;
  let i = from | 0;
  for (; i < stop - 3; i += 4) {
    value = values[i]!;
    mate = mates[i]!;
    if (!(fits(value, 0, end) && fits(mate, 0, mateEnd))) return false;
    words[l] = value;
    words[h] = (value * 2 ** -32) | (mate << shift);
    value = values[i + 1]!;
    mate = mates[i + 1]!;
    if (!(fits(value, 0, end) && fits(mate, 0, mateEnd))) return false;
    words[(l + step) | 0] = value;
    words[(h + step) | 0] = (value * 2 ** -32) | (mate << shift);
    value = values[i + 2]!;
    mate = mates[i + 2]!;
    if (!(fits(value, 0, end) && fits(mate, 0, mateEnd))) return false;
    words[(l + step2) | 0] = value;
    words[(h + step2) | 0] = (value * 2 ** -32) | (mate << shift);
    value = values[i + 3]!;
    mate = mates[i + 3]!;
    if (!(fits(value, 0, end) && fits(mate, 0, mateEnd))) return false;
    words[(l + step3) | 0] = value;
    words[(h + step3) | 0] = (value * 2 ** -32) | (mate << shift);
    l = (l + step4) | 0;
    h = (h + step4) | 0;
  }
  for (; i < stop; i++) {
    value = values[i]!;
    mate = mates[i]!;
    if (!(fits(value, 0, end) && fits(mate, 0, mateEnd))) return false;
    words[l] = value;
    words[h] = (value * 2 ** -32) | (mate << shift);
    l = (l + step) | 0;
    h = (h + step) | 0;
  }
  return true;
}

/** Writes both words of a double; what is left of them becomes zeros. */
export function writeDoubles(
  words: Uint32Array,
  at: number,
  stride: number,
  from: number,
  to: number,
  place: InWords,
  values: ArrayLike<number>,
): boolean {
  const end = endOf(place);
  const toHigh = 1 / place.worth;
  const shift = place.shift | 0;
  const step = stride | 0;
  const step2 = (step * 2) | 0;
  const step3 = (step * 3) | 0;
  const step4 = (step * 4) | 0;
  const stop = to | 0;
  let l = (at + place.low) | 0;
  let h = (at + place.high) | 0;
  let value: number;
  let i = from | 0;
  for (; i < stop - 3; i += 4) {
    value = values[i]!;
    if (!fits(value, 0, end)) return false;
    words[l] = value << shift;
    words[h] = value * toHigh;
    value = values[i + 1]!;
    if (!fits(value, 0, end)) return false;
    words[(l + step) | 0] = value << shift;
    words[(h + step) | 0] = value * toHigh;
    value = values[i + 2]!;
    if (!fits(value, 0, end)) return false;
    words[(l + step2) | 0] = value << shift;
    words[(h + step2) | 0] = value * toHigh;
    value = values[i + 3]!;
    if (!fits(value, 0, end)) return false;
    words[(l + step3) | 0] = value << shift;
    words[(h + step3) | 0] = value * toHigh;
    l = (l + step4) | 0;
    h = (h + step4) | 0;
  }
  for (; i < stop; i++) {
    value = values[i]!;
    if (!fits(value, 0, end)) return false;
    words[l] = value << shift;
    words[h] = value * toHigh;
    l = (l + step) | 0;
    h = (h + step) | 0;
  }
  return true;
}

/** Writes the word of a narrower integer; what is left of it becomes zeros. */
export function writeWords(
  words: Uint32Array,
  at: number,
  stride: number,
  from: number,
  to: number,
  place: InWords,
  values: ArrayLike<number>,
): boolean {
  const end = endOf(place);
  const shift = place.shift | 0;
  for (let i = from, w = (at + place.low) | 0; i < to; i++, w = (w + stride) | 0) {
    const value = values[i]!;
    if (!fits(value, 0, end)) return false;
    words[w] = value << shift;
  }
  return true;
}
