import { hostIsLittle, littleWords } from "../../src/layout/index.js";
import { stretchesWasm } from "./stretches-wasm.js";

/** Bytes of the largest table that can be loaded: one of the largest granule. stretches.wat has its pairs behind it. */
export const largestTable = 0x10000;

/**
 * Splits a table into stretches of entries that continue each other: each is the one before with `step` more, in the bits of
 * `mask`. Entries without a bit of `present` belong to none.
 */
export interface Stretches {
  /** The words of a table of at most {@link largestTable} bytes, which {@link split} is about; valid until the next call. */
  load(bytes: Uint8Array): Int32Array;
  /** Number of stretches. `present` is of the low half; `step` is a positive 32-bit integer. */
  split(present: number, maskLo: number, maskHi: number, step: number): number;
  /** First index and length of each stretch, pair by pair. */
  readonly pairs: Int32Array;
}

/**
 * How many entries from `from` on, and before `end`, continue the first one. All numbers are 32-bit integers, `step` is
 * positive.
 */
export function following(
  words: Int32Array,
  from: number,
  end: number,
  step: number,
  maskLo: number,
  maskHi: number,
): number {
  let lo = words[2 * from]!;
  let hi = words[2 * from + 1]!;
  let p = 2 * from + 2;
  for (const stop = 2 * end; p < stop; p += 2) {
    const sum = (lo + step) | 0;
    if (sum >>> 0 < lo >>> 0) hi = (hi + 1) | 0;
    lo = sum;
    if (((words[p]! ^ lo) & maskLo) !== 0 || ((words[p + 1]! ^ hi) & maskHi) !== 0) break;
  }
  return (p >> 1) - from;
}

/** Stretches in plain JavaScript: where there is no WebAssembly with 128-bit vectors, and what the other is tested against. */
export function plainStretches(): Stretches {
  const pairs = new Int32Array(largestTable / 4);
  let words: Int32Array = new Int32Array(0);
  return {
    pairs,
    load(bytes) {
      words = littleWords(bytes);
      return words;
    },
    split(present, maskLo, maskHi, step) {
      const count = words.length / 2;
      let found = 0;
      for (let i = 0; i < count; ) {
        if ((words[2 * i]! & present) === 0) {
          i++;
          continue;
        }
        const length = following(words, i, count, step, maskLo, maskHi);
        pairs[2 * found] = i;
        pairs[2 * found + 1] = length;
        found++;
        i += length;
      }
      return found;
    },
  };
}

/** Stretches in WebAssembly, 1.5 to 3 times as fast; undefined where that cannot run. */
export function wasmStretches(): Stretches | undefined {
  if (!hostIsLittle || typeof WebAssembly === "undefined") return undefined;
  let exports: WebAssembly.Exports;
  try {
    const code = Uint8Array.from(atob(stretchesWasm), (character) => character.charCodeAt(0));
    exports = new WebAssembly.Instance(new WebAssembly.Module(code)).exports;
  } catch {
    // Vectors are missing, or a page's policy forbids it.
    return undefined;
  }
  const memory = exports.memory as WebAssembly.Memory;
  const stretches = exports.stretches as (
    count: number,
    present: number,
    maskLo: number,
    maskHi: number,
    step: number,
  ) => number;
  const bytesOfTable = new Uint8Array(memory.buffer, 0, largestTable);
  /** Views of tables by their length: there are as many as granules. */
  const views = new Map<number, Int32Array>();
  let count = 0;
  return {
    pairs: new Int32Array(memory.buffer, largestTable),
    load(bytes) {
      bytesOfTable.set(bytes);
      count = bytes.length >> 3;
      let view = views.get(count);
      if (!view) views.set(count, (view = new Int32Array(memory.buffer, 0, 2 * count)));
      return view;
    },
    split: (present, maskLo, maskHi, step) => stretches(count, present, maskLo, maskHi, step),
  };
}

let best: Stretches | undefined;

/** The fastest way there is. It is made once: its memory is as large as one table, and holds nothing between calls. */
export function fastestStretches(): Stretches {
  best ??= wasmStretches() ?? plainStretches();
  return best;
}
