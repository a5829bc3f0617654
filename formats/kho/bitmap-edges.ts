import { hostIsLittle, littleWords } from "../../src/layout/index.js";
import { bitmapEdgesWasm } from "./bitmap-edges-wasm.js";

/** Bytes of the largest bitmap: a leaf with the largest pages. bitmap-edges.wat has room for as many. */
const largestBitmap = 0x10000;

/** Finds the runs of adjacent set bits of a bitmap. */
export interface BitmapEdges {
  /**
   * Looks for all places where bits change, and gives their number, which is even: a run that goes on to the end of the
   * bitmap ends there. Bit i is bit i mod 8 of byte i / 8. The length is a multiple of 4, and at most 64 KiB.
   */
  find(bitmap: Uint8Array): number;
  /** What was found last, ascending: where a run begins, then where it has ended, and so on. */
  readonly edges: Int32Array;
}

/**
 * Edges in plain JavaScript: where there is no WebAssembly with 128-bit vectors, and what the other is tested against.
 * Looks at transitions instead of bits: `x ^ (x << 1 | carry)` has a bit where a run starts or ends, and one
 * count-leading-zeros finds each.
 */
export function plainEdges(): BitmapEdges {
  const edges = new Int32Array(largestBitmap * 8 + 1);
  return {
    edges,
    find(bitmap) {
      const words = littleWords(bitmap);
      let found = 0;
      let carry = 0;
      for (let i = 0; i < words.length; ) {
        i = skipped(words, i, carry);
        // Up to the next place from which it can be skipped, or the end.
        for (const stop = Math.min(i + 8, words.length); i < stop; i++) {
          const word = words[i]!;
          let changes = word ^ ((word << 1) | carry);
          carry = word >>> 31;
          for (; changes !== 0; changes &= changes - 1)
            edges[found++] = i * 32 + 31 - Math.clz32(changes & -changes);
        }
      }
      if (carry === 1) edges[found++] = words.length * 32;
      return found;
    },
  };
}

/** The first word from `i` on that may have an edge: most are all zeros or all ones, and go on as the one before. */
function skipped(words: Int32Array, from: number, carry: number): number {
  let i = from;
  const end = words.length - 7;
  if (carry === 0) {
    while (
      i < end &&
      (words[i]! |
        words[i + 1]! |
        words[i + 2]! |
        words[i + 3]! |
        words[i + 4]! |
        words[i + 5]! |
        words[i + 6]! |
        words[i + 7]!) ===
        0
    )
      i += 8;
    return i;
  }
  while (
    i < end &&
    (words[i]! &
      words[i + 1]! &
      words[i + 2]! &
      words[i + 3]! &
      words[i + 4]! &
      words[i + 5]! &
      words[i + 6]! &
      words[i + 7]!) ===
      -1
  )
    i += 8;
  return i;
}

/** Edges in WebAssembly, 3 to 7 times as fast; undefined where that cannot run. */
export function wasmEdges(): BitmapEdges | undefined {
  if (!hostIsLittle || typeof WebAssembly === "undefined") return undefined;
  let exports: WebAssembly.Exports;
  try {
    const code = Uint8Array.from(atob(bitmapEdgesWasm), (character) => character.charCodeAt(0));
    exports = new WebAssembly.Instance(new WebAssembly.Module(code)).exports;
  } catch {
    // Vectors are missing, or a page's policy forbids it.
    return undefined;
  }
  const { buffer } = exports.memory as WebAssembly.Memory;
  const edges = exports.edges as (size: number) => number;
  const bytes = new Uint8Array(buffer, 64, largestBitmap);
  return {
    edges: new Int32Array(buffer, 0x16000, largestBitmap * 8 + 1),
    find(bitmap) {
      const { length } = bitmap;
      bytes.set(bitmap);
      const size = Math.ceil(length / 64) * 64;
      if (size > length) bytes.fill(0, length, size);
      return edges(size);
    },
  };
}

let best: BitmapEdges | undefined;

/**
 * The fastest way there is. It is made once: what it found is there until it looks at the next bitmap, so that nobody who is
 * told of a fault meanwhile may decode another map.
 */
export function fastestEdges(): BitmapEdges {
  best ??= wasmEdges() ?? plainEdges();
  return best;
}
