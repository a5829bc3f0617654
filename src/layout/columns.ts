import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { requireBytes, viewOf } from "./decode.js";
import { isLittle, type Member, memberOf, resolve } from "./resolve.js";
import type { Fields, Struct } from "./types.js";
import { hostWords } from "./words.js";

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
  const shift = m.shift ?? 0;
  // A bit field is unsigned whatever it is stored in.
  const signed = of.signed && m.layout.kind === "scalar";
  const out = allocate(width, signed, count);
  const little = isLittle(of, abi);
  const at = base + m.offset;
  if (of.bytes === 8) {
    fill64(out, data, at, stride, { little, shift, width, signed });
    return out;
  }
  const mask = width === 32 ? 0xffffffff : 2 ** width - 1;
  for (let i = 0, p = at; i < count; i++, p += stride) {
    const unit =
      of.bytes === 4
        ? data.getUint32(p, little)
        : of.bytes === 2
          ? data.getUint16(p, little)
          : data.getUint8(p);
    // A signed column's array takes the bits modulo its width, which restores the sign.
    out[i] = ((unit >>> shift) & mask) >>> 0;
  }
  return out;
}

function allocate(width: number, signed: boolean, count: number): Column {
  if (width <= 8) return signed ? new Int8Array(count) : new Uint8Array(count);
  if (width <= 16) return signed ? new Int16Array(count) : new Uint16Array(count);
  if (width <= 32) return signed ? new Int32Array(count) : new Uint32Array(count);
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
  const { little, shift, width, signed } = field;
  const top = shift + width;
  /** The bits of each half that belong to the field, once they are shifted down, and what the high ones are worth. */
  const lowShift = Math.min(shift, 31);
  const lowMask = shift >= 32 ? 0 : 2 ** (Math.min(top, 32) - shift) - 1;
  const highShift = Math.max(shift - 32, 0);
  const highMask = top <= 32 ? 0 : 2 ** (top - Math.max(shift, 32)) - 1;
  const highWorth = 2 ** Math.max(32 - shift, 0);
  const lowAt = little ? 0 : 1;
  const highAt = 1 - lowAt;
  // Without rows the first field may lie behind the end of the bytes.
  if (out.length === 0) return;
  const words = hostWords(data, at, stride, little);
  const step = stride / 4;
  for (let i = 0; i < out.length; i++) {
    const low = words ? words[i * step + lowAt]! : data.getUint32(at + i * stride + 4 * lowAt, little);
    const high = words ? words[i * step + highAt]! : data.getUint32(at + i * stride + 4 * highAt, little);
    const worth = signed ? high | 0 : ((high >>> highShift) & highMask) >>> 0;
    out[i] = worth * highWorth + (((low >>> lowShift) & lowMask) >>> 0);
  }
}
