import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { requireBytes, viewOf } from "./decode.js";
import { isLittle, type Member, memberOf, resolve } from "./resolve.js";
import type { Fields, Scalar, Struct } from "./types.js";

/** A column of integers. 8 to 32 bits have the array of that width, more are doubles. */
export type Column =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Float64Array;

/**
 * The integer members `names` of `count` structs from `offset` on, one typed array each, in one pass per column
 * and without a bigint. Members of more than 32 bits become doubles: exact below 2^53, and a value of 2^53 or more
 * is rounded but never to below 2^53, so `value >= 2 ** 53` finds every inexact one.
 * @throws KhoError `bytes-short`; `layout-malformed` for a member that is not an integer
 */
export function columns<F extends Fields, N extends keyof F & string>(
  layout: Struct<F>,
  bytes: Uint8Array,
  offset: number,
  count: number,
  names: readonly N[],
  abi: Abi,
): Record<N, Column> {
  const { size } = resolve(layout, abi);
  requireBytes(layout, bytes, offset, size * count);
  const data = viewOf(bytes);
  const result = {} as Record<N, Column>;
  for (const name of names)
    result[name] = column(memberOf(layout, name, abi), data, offset, size, count, abi);
  return result;
}

function column(m: Member, data: DataView, base: number, stride: number, count: number, abi: Abi): Column {
  const of = m.layout.kind === "bits" ? m.layout.of : m.layout;
  if (of.kind !== "scalar") throw new KhoError("layout-malformed", `${m.name} is not an integer`);
  const width = m.layout.kind === "bits" ? m.layout.width : of.bytes * 8;
  const out = allocate(of, width, count);
  const little = isLittle(of, abi);
  const at = base + m.offset;
  if (of.bytes === 8) {
    fill64(out, data, at, stride, { little, shift: m.shift ?? 0, width, signed: of.signed });
    return out;
  }
  const shift = m.shift ?? 0;
  const mask = width === 32 ? 0xffffffff : 2 ** width - 1;
  const signed = of.signed && m.layout.kind === "scalar";
  for (let i = 0, p = at; i < count; i++, p += stride) {
    const unit =
      of.bytes === 4
        ? data.getUint32(p, little)
        : of.bytes === 2
          ? data.getUint16(p, little)
          : data.getUint8(p);
    // A signed column's array takes the bits modulo its width, which restores the sign.
    out[i] = signed ? unit : ((unit >>> shift) & mask) >>> 0;
  }
  return out;
}

function allocate(of: Scalar, width: number, count: number): Column {
  if (of.signed && width === of.bytes * 8 && width <= 32)
    return new { 1: Int8Array, 2: Int16Array, 4: Int32Array, 8: Int32Array }[of.bytes](count);
  if (width <= 8) return new Uint8Array(count);
  if (width <= 16) return new Uint16Array(count);
  if (width <= 32) return new Uint32Array(count);
  return new Float64Array(count);
}

/** The bits `[shift, shift + width)` of 64-bit units, from their two halves as u32. */
function fill64(
  out: Column,
  data: DataView,
  at: number,
  stride: number,
  field: { little: boolean; shift: number; width: number; signed: boolean },
): void {
  const { little, shift, width } = field;
  const lowAt = little ? 0 : 4;
  const highAt = little ? 4 : 0;
  const top = shift + width;
  /** Bits of the low half that belong to the field, and what the high half's are worth behind them. */
  const lowDivisor = 2 ** Math.min(shift, 32);
  const lowMask = top >= 32 ? 0xffffffff : 2 ** top - 1;
  const highShift = Math.max(shift - 32, 0);
  const highMask = top >= 64 ? 0xffffffff : top > 32 ? 2 ** (top - 32) - 1 : 0;
  const highWorth = 2 ** Math.max(32 - shift, 0);
  const signed = field.signed && width === 64;
  for (let i = 0, p = at; i < out.length; i++, p += stride) {
    const low = (data.getUint32(p + lowAt, little) & lowMask) >>> 0;
    const high = signed
      ? data.getInt32(p + highAt, little)
      : ((data.getUint32(p + highAt, little) & highMask) >>> 0) >>> highShift;
    out[i] = high * highWorth + (shift >= 32 ? 0 : Math.floor(low / lowDivisor));
  }
}
