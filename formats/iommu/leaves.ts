import { type Domain, type Node, writeEntries } from "./domain.js";
import { halvesOf } from "./entry.js";

/** Leaves of one size that follow each other on both sides. Addresses are in frames. */
export interface Leaves {
  readonly pa: number;
  /** Base-2 logarithm of the frames of one. */
  readonly size: number;
  readonly count: number;
  readonly prot: number;
}

/** Writes leaves into a table from `index` on; each has the same word in all of its slots. */
export function writeLeaves(domain: Domain, node: Node, index: number, slots: number, leaves: Leaves): void {
  if (leaves.count === 0) return;
  const words = leafWords(domain, leaves);
  if (slots === 1) writeEntries(domain, node, index, words);
  else {
    const all = new Int32Array(words.length * slots);
    for (let i = 0; i < all.length; i += 2) {
      const leaf = 2 * Math.floor(i / 2 / slots);
      all[i] = words[leaf]!;
      all[i + 1] = words[leaf + 1]!;
    }
    writeEntries(domain, node, index, all);
  }
}

/** The word of each leaf. Formats count addresses up in one stretch of bits, almost always: then no word needs a bigint. */
function leafWords({ format }: Domain, { pa, size, count, prot }: Leaves): Int32Array {
  const { frameStep } = format;
  const lg2 = size + 12;
  const first = format.leafWord(pa, lg2, prot);
  const last = format.leafWord(pa + (count - 1) * 2 ** size, lg2, prot);
  const step = frameStep * 2 ** size;
  const words = new Int32Array(2 * count);
  const isEven = last - first === BigInt(step) * BigInt(count - 1);
  let { lo, hi } = halvesOf(first);
  for (let i = 0; i < count; i++) {
    if (!isEven) ({ lo, hi } = halvesOf(format.leafWord(pa + i * 2 ** size, lg2, prot)));
    words[2 * i] = lo;
    words[2 * i + 1] = hi;
    const sum = (lo >>> 0) + step;
    lo = sum | 0;
    hi += Math.floor(sum / 2 ** 32);
  }
  return words;
}
