import { textFromBytes } from "../../src/layout/index.js";
import type { Block } from "./header.js";
import type { Faults } from "./problem.js";

/** Names are short: up to this many bytes, a loop beats a call of the decoder. */
const short = 32;

/**
 * The name that lies at `[start, end)` of a blob, losslessly. `all` are the bits that any of its bytes has: who has looked
 * for its end knows them.
 */
export const nameAt = (bytes: Uint8Array, start: number, end: number, all: number): string =>
  all < 0x80 && end - start <= short ? ascii(bytes, start, end) : textFromBytes(bytes.subarray(start, end));

/** Every call makes a string: one call for eight characters is twice as fast as one for each. */
function ascii(b: Uint8Array, at: number, end: number): string {
  const text = String.fromCharCode;
  switch (end - at) {
    case 0:
      return "";
    case 1:
      return text(b[at]!);
    case 2:
      return text(b[at]!, b[at + 1]!);
    case 3:
      return text(b[at]!, b[at + 1]!, b[at + 2]!);
    case 4:
      return text(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!);
    case 5:
      return text(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!);
    case 6:
      return text(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!);
    case 7:
      return text(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!);
    case 8:
      return text(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!);
    default:
      return ascii(b, at, at + 8) + ascii(b, at + 8, end);
  }
}

/** The names of a blob's properties. */
export interface Strings {
  /** By offset, names that were read before: a look here saves most calls. Not all of them need be there. */
  readonly known: readonly (string | undefined)[];
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

/** Strings blocks are hardly ever larger: up to this many bytes, a list beats a map. */
const mostListed = 4096;

/** Reads names from a strings block, each offset once. */
export function stringsBlock(bytes: Uint8Array, { start, end, limit }: Block, faults: Faults): Strings {
  const known = new Array<string | undefined>(Math.min(Math.max(0, limit - start), mostListed));
  const farther = new Map<number, string>();
  let budget = budgetFor(bytes);

  return {
    known,
    get spent() {
      return budget < 0;
    },
    name(nameoff, property, length) {
      const seen = nameoff < known.length ? known[nameoff] : farther.get(nameoff);
      if (seen !== undefined) return seen;
      const first = start + nameoff;
      let nul = first;
      const last = Math.min(limit, first + budget);
      let all = 0;
      for (; nul < last && bytes[nul] !== 0; nul++) all |= bytes[nul]!;
      budget -= nul - first + 1;
      if (nul < last) {
        const name = nameAt(bytes, first, nul, all);
        if (nameoff < known.length) known[nameoff] = name;
        else farther.set(nameoff, name);
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
