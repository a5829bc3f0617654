import { textFromBytes } from "../../src/layout/index.js";
import type { Block } from "./header.js";
import type { Faults } from "./problem.js";

/** Names are short: up to this many bytes, a loop beats a call of the decoder. */
const short = 32;

/** The name that lies at `[start, end)` of a blob, losslessly. */
export function nameAt(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > short) return textFromBytes(bytes.subarray(start, end));
  let text = "";
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x80) return textFromBytes(bytes.subarray(start, end));
    text += String.fromCharCode(byte);
  }
  return text;
}

/** The names of a blob's properties. */
export interface Strings {
  /**
   * The name at `nameoff` of the strings block, or `undefined` if it is not all there. `property` and `length` are
   * the bytes of the property that wants it: those are what a report names.
   */
  name(nameoff: number, property: number, length: number): string | undefined;
  /** True once names asked for more work than is allowed; reading should stop. */
  readonly spent: boolean;
}

/**
 * Names may share tails, so names of many offsets can overlap, and n overlapping names in n bytes would be n^2 bytes
 * of text. All names of one blob together may have at most this many bytes, which no writer comes near.
 */
const budgetFor = (bytes: Uint8Array): number => 2 ** 16 + 8 * bytes.length;

/** Reads names from a strings block, each offset once. */
export function stringsBlock(bytes: Uint8Array, { start, end, limit }: Block, faults: Faults): Strings {
  const known = new Map<number, string>();
  let budget = budgetFor(bytes);
  return {
    get spent() {
      return budget < 0;
    },
    name(nameoff, property, length) {
      const seen = known.get(nameoff);
      if (seen !== undefined) return seen;
      const first = start + nameoff;
      let nul = first;
      const last = Math.min(limit, first + budget);
      while (nul < last && bytes[nul] !== 0) nul++;
      budget -= nul - first + 1;
      if (nul < last) {
        const name = nameAt(bytes, first, nul);
        known.set(nameoff, name);
        return name;
      }
      const size = Math.max(0, end - start);
      if (budget < 0 && nul < limit)
        faults.add("limit-exceeded", property, length, "the property names overlap too much");
      else if (first >= end)
        faults.add(
          "fdt-bad-string",
          property,
          length,
          `no property name at ${nameoff} of the strings block`,
          {
            expected: `below ${size}`,
            actual: `${nameoff}`,
          },
        );
      else if (limit >= end)
        faults.add("fdt-bad-string", property, length, `the property name at ${nameoff} has no end`);
      return undefined;
    },
  };
}

/**
 * Where libfdt finds a name, given with its NUL, in a strings block: at the first place that has these bytes, also
 * within a longer name. -1 if there is none.
 */
export function findString(strings: Uint8Array, name: Uint8Array): number {
  const last = strings.length - name.length;
  for (let at = strings.indexOf(name[0]!); at >= 0 && at <= last; at = strings.indexOf(name[0]!, at + 1))
    if (name.every((byte, i) => strings[at + i] === byte)) return at;
  return -1;
}
