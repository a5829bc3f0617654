import type { Random } from "./random.js";

/** What mutators may draw from beside the input. */
export interface Material {
  readonly maxLength: number;
  /** Operands of comparisons that were not found in an input, as bytes. */
  readonly tokens: readonly Uint8Array[];
  /** Another input of the corpus. */
  readonly other: () => Uint8Array;
}

type Mutator = (data: Uint8Array, random: Random, material: Material) => Uint8Array;

/** A copy changed in one to eight places, without any notion of what the bytes mean. */
export function mutateBytes(data: Uint8Array, random: Random, material: Material): Uint8Array {
  let result: Uint8Array = data.slice();
  for (let rest = 1 << random.below(4); rest > 0; rest--) {
    const mutator = result.length === 0 ? insertRandom : random.pick(mutators);
    result = mutator(result, random, material);
  }
  return result.length > material.maxLength ? result.slice(0, material.maxLength) : result;
}

const flipBit: Mutator = (data, random) => {
  data[random.below(data.length)]! ^= 1 << random.below(8);
  return data;
};

const setByte: Mutator = (data, random) => {
  data[random.below(data.length)] = random.below(256);
  return data;
};

/** Values at the edges of widths, of signs and of pages. */
const interesting = [
  ...[0n, 1n, 2n, 7n, 8n, 0x10n, 0x20n, 0x40n, 0x7fn, 0x80n, 0xffn, 0x100n, 0x1ffn, 0x200n, 0x7fffn, 0x8000n],
  ...[0xffffn, 0xfffn, 0x1000n, 0x1001n, 0x1f_ffffn, 0x20_0000n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn],
  ...[1n << 32n, 1n << 47n, 1n << 52n, (1n << 53n) + 1n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n],
  (1n << 64n) - 0x1000n,
];

const setInteresting: Mutator = (data, random) => changeWord(data, random, () => random.pick(interesting));

const addToWord: Mutator = (data, random) => {
  // Also whole pages, as much of what is handed over is addresses.
  const amount = BigInt(1 + random.below(16)) << (random.chance(3) ? 12n : 0n);
  const signed = random.chance(2) ? amount : -amount;
  return changeWord(data, random, (value) => value + signed);
};

/** A word of 1 to 8 bytes in either byte order, mostly where a field of that width could be. */
function changeWord(data: Uint8Array, random: Random, change: (value: bigint) => bigint): Uint8Array {
  const width = Math.min(data.length, random.pick([1, 2, 4, 4, 8, 8]));
  const last = data.length - width;
  const anywhere = random.below(last + 1);
  const at = random.chance(4) ? anywhere : anywhere - (anywhere % width);
  const little = !random.chance(3);
  let value = 0n;
  for (let i = 0; i < width; i++) value = (value << 8n) | BigInt(data[little ? at + width - 1 - i : at + i]!);
  let rest = BigInt.asUintN(8 * width, change(value));
  for (let i = 0; i < width; i++) {
    data[little ? at + i : at + width - 1 - i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return data;
}

/** Mostly short, often a power of two. Precondition: `limit` is at least 1. */
function lengthUpTo(limit: number, random: Random): number {
  const most = random.chance(4) ? limit : Math.min(limit, 64);
  return random.chance(2) ? 1 + random.below(most) : Math.min(most, 1 << random.below(13));
}

function range(length: number, random: Random): readonly [start: number, end: number] {
  const size = lengthUpTo(length, random);
  const start = random.below(length - size + 1);
  return [start, start + size];
}

const removeRange: Mutator = (data, random) => {
  const [start, end] = range(data.length, random);
  return joined(data.subarray(0, start), data.subarray(end));
};

const truncate: Mutator = (data, random) => data.slice(0, random.below(data.length));

const repeatRange: Mutator = (data, random, { maxLength }) => {
  const [start, end] = range(data.length, random);
  if (data.length + end - start > maxLength) return data;
  const at = random.below(data.length + 1);
  return joined(data.subarray(0, at), data.subarray(start, end), data.subarray(at));
};

const copyRange: Mutator = (data, random) => {
  const [start, end] = range(data.length, random);
  data.copyWithin(random.below(data.length - (end - start) + 1), start, end);
  return data;
};

const fillRange: Mutator = (data, random) => {
  const [start, end] = range(data.length, random);
  return data.fill(random.pick([0, 0, 0xff, random.below(256)]), start, end);
};

const swapWords: Mutator = (data, random) => {
  const width = random.pick([4, 8, 8, 16]);
  const words = Math.floor(data.length / width);
  if (words < 2) return data;
  const [a, b] = [width * random.below(words), width * random.below(words)];
  const kept = data.slice(a, a + width);
  data.copyWithin(a, b, b + width);
  data.set(kept, b);
  return data;
};

const insertRandom: Mutator = (data, random, { maxLength }) => {
  const length = Math.min(maxLength - data.length, 1 << random.below(6));
  if (length <= 0) return data;
  const at = random.below(data.length + 1);
  const bytes = Uint8Array.from({ length }, () => random.below(256));
  return joined(data.subarray(0, at), bytes, data.subarray(at));
};

const placeToken: Mutator = (data, random, { tokens, maxLength }) => {
  if (tokens.length === 0) return setByte(data, random, { tokens, maxLength, other: () => data });
  const token = random.pick(tokens);
  const at = random.below(data.length);
  if (random.chance(4) && data.length + token.length <= maxLength)
    return joined(data.subarray(0, at), token, data.subarray(at));
  const aligned = random.chance(2) ? at - (at % 4) : at;
  data.set(token.subarray(0, data.length - aligned), aligned);
  return data;
};

/** A range of another input, at the same place or at another. */
const splice: Mutator = (data, random, { other, maxLength }) => {
  const from = other();
  if (from.length === 0) return data;
  const [start, end] = range(from.length, random);
  if (random.chance(4)) {
    const at = random.below(data.length + 1);
    if (at + from.length - start <= maxLength) return joined(data.subarray(0, at), from.subarray(start));
  }
  const at = random.chance(2) ? Math.min(start, data.length - 1) : random.below(data.length);
  data.set(from.subarray(start, Math.min(end, start + data.length - at)), at);
  return data;
};

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

const mutators: readonly Mutator[] = [
  flipBit,
  setByte,
  setInteresting,
  setInteresting,
  addToWord,
  addToWord,
  removeRange,
  truncate,
  repeatRange,
  copyRange,
  fillRange,
  swapWords,
  insertRandom,
  placeToken,
  placeToken,
  splice,
];
