import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { type Pass, type Plan, planOf } from "./column-plan.js";
import { requireBytes } from "./decode.js";
import { writeInWindows } from "./encode-column-kernels.js";
import { addBits, firstUnfit, rangeOf, writeDoubles, writePair, writeWords } from "./encode-column-loops.js";
import { resolve } from "./resolve.js";
import type { Fields, Struct } from "./types.js";
import { wordsAt } from "./words.js";

/**
 * Writes `count` structs to `bytes` from `offset` on, their integer members from one column each: the inverse of
 * {@link columns}, without a bigint. Members without a column, padding too, are zeros. Columns may be longer than `count`.
 * @throws KhoError `value-range`, with the path of the first value that its member cannot hold, that is no integer, or
 * that is beyond 2^53 and so perhaps not what was meant: rows may then be written in part. `bytes-short`;
 * `layout-malformed` for a member that is not an integer
 */
export function encodeColumns<F extends Fields, N extends keyof F & string>(
  layout: Struct<F>,
  columns: Readonly<Record<N, ArrayLike<number>>>,
  bytes: Uint8Array,
  offset: number,
  count: number,
  abi: Abi,
): void {
  const length = resolve(layout, abi).size * count;
  requireBytes(layout, bytes, offset, length);
  const plan = planOf(layout, Object.keys(columns), abi);
  const ins: ArrayLike<number>[] = [];
  for (let i = 0; i < plan.columns.length; i++) ins.push(columns[plan.columns[i]!.name as N]);
  const done = length === 0 ? count : writeInWindows(plan, bytes, offset, count, ins);
  if (done === count || write(plan, bytes, offset, done, count, ins)) return;
  // One of the values does not fit. The first one of the first such column is reported.
  for (const [k, { name, integer }] of plan.columns.entries()) {
    const bad = firstUnfit(ins[k]!, integer, count);
    if (bad < 0) continue;
    const { low, end } = rangeOf(integer);
    const path = `${layout.name}[${bad}].${name}`;
    const actual = String(ins[k]![bad]);
    const expected = `${low} to ${end - 1}`;
    throw new KhoError("value-range", `${path}: expected ${expected}, got ${actual}`, {
      path,
      expected,
      actual,
    });
  }
}

/** Bytes of rows that all passes go through before the next rows: they stay in the CPU's first cache. */
const window = 2 ** 14;

/** Writes the rows from `first` on. False if a value does not fit, some of them written or not. */
function write(
  { size, columns, passes, writesWords, fillsRows }: Plan,
  { buffer, byteOffset }: Uint8Array,
  offset: number,
  first: number,
  count: number,
  ins: readonly ArrayLike<number>[],
): boolean {
  const start = byteOffset + offset;
  const length = size * count;
  const words = writesWords ? wordsAt(buffer, start, length) : undefined;
  const view = words ? undefined : new DataView(buffer, start, length);
  if (!words || !fillsRows) new Uint8Array(buffer, start, length).fill(0, first * size);
  const rows = Math.max(1, Math.floor(window / size));
  for (let from = first; from < count; from += rows) {
    const to = Math.min(count, from + rows);
    for (let k = 0; k < passes.length; k++) {
      const pass = passes[k]!;
      if (words) {
        if (!writeInWords(pass, words, (from * size) / 4, size / 4, from, to, ins)) return false;
        continue;
      }
      for (let c = 0; c < pass.columns.length; c++) {
        const column = pass.columns[c]!;
        const { integer } = columns[column]!;
        if (!addBits(view!, from * size, size, from, to, integer, ins[column]!)) return false;
      }
    }
  }
  return true;
}

function writeInWords(
  { columns: [first, second], words: places }: Pass,
  words: Uint32Array,
  at: number,
  stride: number,
  from: number,
  to: number,
  ins: readonly ArrayLike<number>[],
): boolean {
  const [place, mate] = places!;
  const values = ins[first]!;
  if (mate) return writePair(words, at, stride, from, to, place, values, mate, ins[second!]!);
  const loop = place.low === place.high ? writeWords : writeDoubles;
  return loop(words, at, stride, from, to, place, values);
}
