import type { Abi } from "./abi.js";
import { type Steps, stepsOf } from "./column-steps.js";
import { type Integer, integerOf, maskOf } from "./integer.js";
import { memberOf, resolve } from "./resolve.js";
import type { Struct } from "./types.js";
import { hostIsLittle } from "./words.js";

/** A column of integers. 8 to 32 bits have the array of that width, more are doubles. */
export type Column =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Float64Array;

export type ColumnArray = new (length: number) => Column;

/** An unsigned integer of a row that is whole words of 32 bits in this CPU's order. */
export interface InWords {
  /** The words with its low and its high bits, counted from the row's first; both the same for one of up to 32 bits. */
  readonly low: number;
  readonly high: number;
  /** Bits of the low word below it; if there is a high one too, all that are above are its own. */
  readonly shift: number;
  /** The bits that are its own of the high word, for narrow ones once that is shifted; as a 32-bit integer. */
  readonly mask: number;
  /** What the lowest bit of the high word is worth, as a power of two; 1 for one of up to 32 bits. */
  readonly worth: number;
}

/**
 * What one loop over the rows handles: a column, or two that share a word. Of these the first is a double that begins
 * with its low word, and the second is in its high one.
 */
export interface Pass {
  /** Places in {@link Plan.columns}. */
  readonly columns: readonly [number] | readonly [number, number];
  /** Undefined where words cannot be read: the numbers have a sign, another byte order, or no alignment. */
  readonly words: readonly [InWords, InWords | undefined] | undefined;
}

/** How some columns of a struct are gone through. */
export interface Plan {
  readonly size: number;
  readonly columns: readonly {
    readonly name: string;
    readonly integer: Integer;
    readonly array: ColumnArray;
  }[];
  readonly passes: readonly Pass[];
  /** True if passes have words, and if all have. */
  readonly someInWords: boolean;
  readonly allInWords: boolean;
  /** True if rows can be written word by word, each by one pass, and if no word of a row is left. */
  readonly writesWords: boolean;
  readonly fillsRows: boolean;
  /** How the kernels of column-kernels.wat go through the rows, if they can. */
  readonly inKernels: Steps | undefined;
}

interface Known {
  readonly abi: Abi;
  readonly names: readonly string[];
  readonly plan: Plan;
}

/** Plans of each struct, up to so many: programs ask for the same columns over and over. */
const known = new WeakMap<Struct, Known[]>();
const mostKnown = 8;

/**
 * The plan for the columns `names` of a struct.
 * @throws KhoError `layout-malformed` for a member that is not an integer
 */
export function planOf(layout: Struct, names: readonly string[], abi: Abi): Plan {
  let plans = known.get(layout);
  if (!plans) known.set(layout, (plans = []));
  for (let i = 0; i < plans.length; i++) if (isFor(plans[i]!, names, abi)) return plans[i]!.plan;
  const plan = newPlan(layout, names, abi);
  if (plans.length >= mostKnown) plans.length = 0;
  plans.push({ names: [...names], abi: { ...abi }, plan });
  return plan;
}

function isFor(candidate: Known, names: readonly string[], abi: Abi): boolean {
  if (candidate.abi.byteOrder !== abi.byteOrder || candidate.abi.pageSize !== abi.pageSize) return false;
  if (candidate.names.length !== names.length) return false;
  for (let i = 0; i < names.length; i++) if (candidate.names[i] !== names[i]) return false;
  return true;
}

function newPlan(layout: Struct, names: readonly string[], abi: Abi): Plan {
  const { size } = resolve(layout, abi);
  const columns = names.map((name) => {
    const integer = integerOf(memberOf(layout, name, abi), abi);
    return { name, integer, array: arrayOf(integer) };
  });
  const integers = columns.map(({ integer }) => integer);
  const passes = passesOf(integers, size);
  const inWords = passes.flatMap(({ words }) => (words ? [words[0]] : []));
  const allInWords = inWords.length === passes.length;
  const written = inWords.flatMap(({ low, high }) => (low === high ? [low] : [low, high]));
  const distinct = new Set(written).size;
  return {
    size,
    columns,
    passes,
    someInWords: inWords.length > 0,
    allInWords,
    writesWords: allInWords && distinct === written.length,
    fillsRows: distinct * 4 === size,
    inKernels: stepsOf(integers, size),
  };
}

function arrayOf({ width, signed }: Integer): ColumnArray {
  if (width <= 8) return signed ? Int8Array : Uint8Array;
  if (width <= 16) return signed ? Int16Array : Uint16Array;
  if (width <= 32) return signed ? Int32Array : Uint32Array;
  return Float64Array;
}

/** Pairs doubles with narrower integers of their high words: reading that word once saves a third of the time. */
function passesOf(integers: readonly Integer[], size: number): Pass[] {
  const places = integers.map((integer) => inWords(integer, size));
  const passes: Pass[] = [];
  const mates = new Set<number>();
  for (const [k, place] of places.entries()) {
    if (!place || place.low === place.high) continue;
    const m = places.findIndex((mate, j) => mate && !mates.has(j) && isPair(place, mate));
    if (m < 0) continue;
    mates.add(k).add(m);
    passes.push({ columns: [k, m], words: [place, places[m]] });
  }
  for (const [k, place] of places.entries())
    if (!mates.has(k)) passes.push({ columns: [k], words: place && [place, undefined] });
  return passes;
}

const isPair = (double: InWords, mate: InWords): boolean =>
  double.shift === 0 && mate.low === mate.high && mate.low === double.high;

function inWords(
  { offset, bytes, little, shift, width, signed }: Integer,
  size: number,
): InWords | undefined {
  // Rows of other sizes begin anywhere.
  if (signed || little !== hostIsLittle || size % 4 !== 0) return undefined;
  const word = Math.floor(offset / 4);
  const rest = offset % 4;
  if (bytes === 8) {
    if (rest !== 0 || width <= 32) return undefined;
    const mask = maskOf(shift + width - 32);
    const [low, high] = little ? [word, word + 1] : [word + 1, word];
    return { low, high, shift, mask, worth: 2 ** (32 - shift) };
  }
  if (rest + bytes > 4) return undefined;
  const below = 8 * (little ? rest : 4 - rest - bytes);
  return { low: word, high: word, shift: shift + below, mask: maskOf(width), worth: 1 };
}
