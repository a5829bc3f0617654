/** Changes of bytes that know nothing of what they mean. All give a copy. */
import type { Random } from "../../src/fuzz/random.js";

/** Longest result: inputs are to stay small. */
const longest = 1 << 20;

/** Integers at which code goes wrong. */
export const edges: readonly bigint[] = [
  0n,
  1n,
  2n,
  7n,
  8n,
  0x7fn,
  0x80n,
  0xffn,
  0xfffn,
  0x1000n,
  0xffffn,
  0x10000n,
  (1n << 31n) - 1n,
  1n << 31n,
  (1n << 32n) - 1n,
  1n << 32n,
  1n << 51n,
  1n << 52n,
  (1n << 53n) - 1n,
  1n << 53n,
  1n << 61n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 4096n,
  (1n << 64n) - 1n,
];

/** Writes the low `size` bytes of a number. */
export function put(bytes: Uint8Array, at: number, value: bigint, size: number, little: boolean): void {
  for (let i = 0; i < size; i++)
    bytes[at + (little ? i : size - 1 - i)] = Number((value >> BigInt(8 * i)) & 0xffn);
}

/** Reads a number of `size` bytes; what lies behind the end counts as zeros. */
export function get(bytes: Uint8Array, at: number, size: number, little: boolean): bigint {
  let value = 0n;
  for (let i = size - 1; i >= 0; i--)
    value = (value << 8n) | BigInt(bytes[at + (little ? i : size - 1 - i)] ?? 0);
  return value;
}

type Change = (bytes: Uint8Array, random: Random) => Uint8Array;

const changes: readonly Change[] = [
  (bytes, random) => {
    const at = random.below(bytes.length);
    bytes[at] = bytes[at]! ^ (1 << random.below(8));
    return bytes;
  },
  (bytes, random) => {
    bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  },
  (bytes, random) => {
    const size = random.pick([1, 2, 4, 8]);
    const at = random.below(bytes.length);
    put(bytes, at, random.pick(edges), Math.min(size, bytes.length - at), random.chance(2));
    return bytes;
  },
  (bytes, random) => {
    const size = random.pick([1, 2, 4, 8]);
    const at = random.below(bytes.length);
    const little = random.chance(2);
    const width = Math.min(size, bytes.length - at);
    const step = BigInt(1 + random.below(16)) * (random.chance(2) ? 1n : -1n);
    put(bytes, at, BigInt.asUintN(64, get(bytes, at, width, little) + step), width, little);
    return bytes;
  },
  (bytes, random) => {
    const from = random.below(bytes.length);
    const count = 1 + random.below(Math.min(64, bytes.length - from));
    const to = random.below(bytes.length);
    bytes.copyWithin(to, from, from + count);
    return bytes;
  },
  (bytes, random) => {
    const at = random.below(bytes.length);
    const count = 1 + random.below(32);
    return joined(bytes.subarray(0, at), bytes.subarray(at + count));
  },
  (bytes, random) => {
    const at = random.below(bytes.length + 1);
    const from = random.below(bytes.length);
    const more = random.chance(2)
      ? bytes.slice(from, from + 1 + random.below(32))
      : new Uint8Array(1 + random.below(16)).fill(random.pick([0, 0xff, 0x20, random.below(256)]));
    return joined(bytes.subarray(0, at), more, bytes.subarray(at));
  },
  (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
];

/** One to a few changes of any kind. */
export function mutateBytes(data: Uint8Array, random: Random): Uint8Array {
  let bytes: Uint8Array = data.slice();
  for (let left = 1 + random.below(random.chance(4) ? 8 : 2); left > 0; left--)
    bytes = bytes.length === 0 ? Uint8Array.of(random.below(256)) : random.pick(changes)(bytes, random);
  return bytes.length > longest ? bytes.slice(0, longest) : bytes;
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
