import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { fillInWindows } from "./column-kernels.js";
import {
  readDoubles,
  readHighDoubles,
  readLowDoubles,
  readNarrow,
  readPair,
  readWords,
} from "./column-loops.js";
import { type Column, type ColumnArray, type Pass, type Plan, planOf } from "./column-plan.js";
import { requireBytes } from "./decode.js";
import { resolve } from "./resolve.js";
import type { Fields, Struct } from "./types.js";
import { wordsAt } from "./words.js";

export type { Column } from "./column-plan.js";

/**
 * The integer members `names` of `count` structs from `offset` on, one typed array each, without a bigint. Members of
 * more than 32 bits become doubles: exact below 2^53, and a value of 2^53 or more is rounded but never to below 2^53, so
 * `value >= 2 ** 53` finds every inexact one.
 *
 * With `into`, columns of an earlier call are filled anew and returned, which saves allocating them: what is behind
 * `count` stays as it is.
 * @throws KhoError `bytes-short`; `layout-malformed` for a member that is not an integer; `usage` for a column in
 * `into` that is missing, shorter than `count`, or of another type than its member has
 */
export function columns<F extends Fields, N extends keyof F & string>(
  layout: Struct<F>,
  bytes: Uint8Array,
  offset: number,
  count: number,
  names: readonly N[],
  abi: Abi,
  into?: Record<N, Column>,
): Record<N, Column> {
  const length = resolve(layout, abi).size * count;
  requireBytes(layout, bytes, offset, length);
  const plan = planOf(layout, names, abi);
  const result = into ?? ({} as Record<N, Column>);
  const outs: Column[] = [];
  for (let i = 0; i < plan.columns.length; i++) {
    const { name, array } = plan.columns[i]!;
    if (into) {
      const given = into[name as N];
      if (!(isOf(array, given) && given.length >= count)) throw unfit(name, array, count, given);
    } else result[name as N] = new array(count);
    outs.push(result[name as N]);
  }
  if (length > 0 && !fillInWindows(plan, bytes, offset, count, outs)) fill(plan, bytes, offset, count, outs);
  return result;
}

/** The constructor is looked at first, which is cheap; subclasses are as good. */
const isOf = (array: ColumnArray, given: Column | undefined): given is Column =>
  given?.constructor === array || given instanceof array;

function unfit(name: string, array: ColumnArray, count: number, given: Column | undefined): KhoError {
  const expected = `${array.name} of at least ${count}`;
  const actual = given === undefined ? "nothing" : `${given.constructor.name} of ${given.length}`;
  return new KhoError("usage", `column ${name}: expected ${expected}, got ${actual}`, { expected, actual });
}

/** Bytes of rows that all passes go through before the next rows: they stay in the CPU's first cache. */
const window = 2 ** 14;

/** Fills columns from rows that begin at `offset`. */
function fill(
  { size, columns: members, passes, someInWords, allInWords }: Plan,
  { buffer, byteOffset }: Uint8Array,
  offset: number,
  count: number,
  outs: readonly Column[],
): void {
  const start = byteOffset + offset;
  const length = size * count;
  const words = someInWords ? wordsAt(buffer, start, length) : undefined;
  const view = words && allInWords ? undefined : new DataView(buffer, start, length);
  const rows = Math.max(1, Math.floor(window / size));
  for (let from = 0; from < count; from += rows) {
    const to = Math.min(count, from + rows);
    for (let k = 0; k < passes.length; k++) {
      const pass = passes[k]!;
      if (words && pass.words) {
        fillFromWords(pass, words, (from * size) / 4, size / 4, from, to, outs);
        continue;
      }
      for (let c = 0; c < pass.columns.length; c++) {
        const column = pass.columns[c]!;
        const { integer } = members[column]!;
        const loop = integer.bytes === 8 ? readDoubles : readNarrow;
        loop(view!, from * size, size, from, to, integer, outs[column]!);
      }
    }
  }
}

function fillFromWords(
  { columns: [first, second], words: places }: Pass,
  words: Uint32Array,
  at: number,
  stride: number,
  from: number,
  to: number,
  outs: readonly Column[],
): void {
  const [place, mate] = places!;
  const out = outs[first]!;
  if (mate) readPair(words, at, stride, from, to, place, out as Float64Array, mate, outs[second!]!);
  else if (place.low === place.high) readWords(words, at, stride, from, to, place, out);
  else if (place.shift === 0) readLowDoubles(words, at, stride, from, to, place, out as Float64Array);
  else readHighDoubles(words, at, stride, from, to, place, out as Float64Array);
}
