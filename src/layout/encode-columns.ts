import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { requireBytes, viewOf } from "./decode.js";
import { isLittle, type Member, memberOf, resolve } from "./resolve.js";
import type { Fields, Struct } from "./types.js";
import { hostWords } from "./words.js";

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
  const { size } = resolve(layout, abi);
  requireBytes(layout, bytes, offset, size * count);
  bytes.fill(0, offset, offset + size * count);
  const data = viewOf(bytes);
  for (const name of Object.keys(columns) as N[]) {
    const bad = writeColumn(memberOf(layout, name, abi), columns[name], data, offset, size, count, abi);
    if (bad < 0) continue;
    const path = `${layout.name}[${bad}].${name}`;
    const actual = String(columns[name][bad]);
    const expected = rangeOf(memberOf(layout, name, abi));
    throw new KhoError("value-range", `${path}: expected ${expected}, got ${actual}`, {
      path,
      expected,
      actual,
    });
  }
}

/** How a member is stored. */
interface Place {
  /** Bits, and how many bits of its unit are below it. */
  readonly width: number;
  readonly shift: number;
  /** The least value, and the one that is too large; both exact as doubles. */
  readonly low: number;
  readonly end: number;
}

function placeOf({ name, layout, shift = 0 }: Member): Place {
  const of = layout.kind === "bits" ? layout.of : layout;
  if (of.kind !== "scalar") throw new KhoError("layout-malformed", `${name} is not an integer`);
  const width = layout.kind === "bits" ? layout.width : of.bytes * 8;
  // A bit field is unsigned whatever it is stored in.
  const signed = of.signed && layout.kind === "scalar";
  const span = 2 ** (signed ? width - 1 : width);
  return { width, shift, low: signed ? Math.max(-span, -(2 ** 53) + 1) : 0, end: Math.min(span, 2 ** 53) };
}

function rangeOf(member: Member): string {
  const { low, end } = placeOf(member);
  return `${low} to ${end - 1}`;
}

/** ORs one column into rows of zeros. Returns the index of the first value that does not fit, or -1. */
function writeColumn(
  member: Member,
  values: ArrayLike<number>,
  data: DataView,
  base: number,
  stride: number,
  count: number,
  abi: Abi,
): number {
  const { shift, low, end } = placeOf(member);
  const of = member.layout.kind === "bits" ? member.layout.of : member.layout;
  if (of.kind !== "scalar") return -1;
  const little = isLittle(of, abi);
  const at = base + member.offset;
  if (of.bytes === 8) return write64(values, data, at, stride, count, { little, shift, low, end });
  for (let i = 0, p = at; i < count; i++, p += stride) {
    const value = values[i]!;
    if (!(value >= low && value < end && Math.floor(value) === value)) return i;
    // Setters take the bits modulo their width, which is what a negative number's are.
    const bits = value << shift;
    if (of.bytes === 4) data.setUint32(p, data.getUint32(p, little) | bits, little);
    else if (of.bytes === 2) data.setUint16(p, data.getUint16(p, little) | bits, little);
    else data.setUint8(p, data.getUint8(p) | bits);
  }
  return -1;
}

/** The bits of values from `shift` on in 64-bit units, as two halves of 32 bits. */
function write64(
  values: ArrayLike<number>,
  data: DataView,
  at: number,
  stride: number,
  count: number,
  field: { little: boolean; shift: number; low: number; end: number },
): number {
  const { little, shift, low, end } = field;
  // Scaling by powers of two is exact, and ToInt32 of what comes out takes exactly its bits 0 to 31.
  const toLow = shift < 32 ? 2 ** shift : 0;
  const toHigh = 2 ** (shift - 32);
  const lowAt = little ? 0 : 1;
  const highAt = 1 - lowAt;
  if (count === 0) return -1;
  const words = hostWords(data, at, stride, little);
  const step = stride / 4;
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    if (!(value >= low && value < end && Math.floor(value) === value)) return i;
    const lower = (value * toLow) | 0;
    const upper = Math.floor(value * toHigh) | 0;
    if (words) {
      words[i * step + lowAt]! |= lower;
      words[i * step + highAt]! |= upper;
      continue;
    }
    const p = at + i * stride;
    data.setInt32(p + 4 * lowAt, data.getInt32(p + 4 * lowAt, little) | lower, little);
    data.setInt32(p + 4 * highAt, data.getInt32(p + 4 * highAt, little) | upper, little);
  }
  return -1;
}
