import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { requireBytes, viewOf } from "./decode.js";
import { extent, isLittle, resolve, sizeOf } from "./resolve.js";
import { bytesFromText } from "./text.js";
import type { Bits, Field, Layout, Scalar, Struct, ValueOf } from "./types.js";

/**
 * The bytes of one value of `layout`. Padding and the room behind strings are zeros.
 * @throws KhoError `value-range` if a value does not fit its field, with the field's path
 */
export function encode<L extends Layout>(layout: L, value: ValueOf<L>, abi: Abi): Uint8Array {
  const bytes = new Uint8Array(sizeOf(layout, abi));
  encodeInto(layout, value, bytes, 0, abi);
  return bytes;
}

/**
 * Writes one value of `layout` into `bytes` at offset `at`.
 * @throws KhoError `bytes-short` if there is no room, `value-range` if a value does not fit its field
 */
export function encodeInto<L extends Layout>(
  layout: L,
  value: ValueOf<L>,
  bytes: Uint8Array,
  at: number,
  abi: Abi,
): void {
  requireBytes(layout, bytes, at, sizeOf(layout, abi));
  write(layout, value, viewOf(bytes), at, abi, layout.kind === "struct" ? layout.name : "");
}

function write(layout: Field, value: unknown, view: DataView, at: number, abi: Abi, path: string): void {
  switch (layout.kind) {
    case "scalar":
      return writeScalar(layout, value as number | bigint, view, at, isLittle(layout, abi), path);
    case "chars":
      return writeRoom(bytesFromText(value as string), layout.length, view, at, path);
    case "bytes": {
      const room = extent(layout.length, abi);
      const source = value as Uint8Array;
      if (source.length !== room) throw outOfRange(path, `${room} bytes`, `${source.length} bytes`);
      return writeRoom(source, room, view, at, path);
    }
    case "array": {
      const count = extent(layout.length, abi);
      const elements = value as ArrayLike<unknown>;
      if (elements.length !== count) throw outOfRange(path, `${count} elements`, `${elements.length}`);
      const stride = sizeOf(layout.element, abi);
      for (let i = 0; i < count; i++)
        write(layout.element, elements[i], view, at + i * stride, abi, `${path}[${i}]`);
      return;
    }
    case "struct":
      return writeStruct(layout, value as Record<string, unknown>, view, at, abi, path);
    case "padding":
      return writeRoom(new Uint8Array(0), layout.length, view, at, path);
    case "bits":
      throw new KhoError("layout-malformed", "bits have no bytes outside of a struct", { path });
  }
}

function writeStruct(
  layout: Struct,
  value: Record<string, unknown>,
  view: DataView,
  at: number,
  abi: Abi,
  path: string,
): void {
  /** The bits gathered for the unit at this offset; units are written once the last field is in. */
  const units = new Map<number, bigint>();
  for (const member of resolve(layout, abi).members) {
    const memberPath = path ? `${path}.${member.name}` : member.name;
    if (member.layout.kind !== "bits") {
      write(member.layout, value[member.name], view, at + member.offset, abi, memberPath);
      continue;
    }
    const field = checkedBits(member.layout, value[member.name] as number | bigint, memberPath);
    const unit = (units.get(member.offset) ?? 0n) | (field << BigInt(member.shift!));
    units.set(member.offset, unit);
    const { of } = member.layout;
    const whole = of.bytes === 8 ? unit : Number(unit);
    writeScalar({ ...of, signed: false }, whole, view, at + member.offset, isLittle(of, abi), memberPath);
  }
}

function checkedBits(layout: Bits, value: number | bigint, path: string): bigint {
  if (typeof value === "bigint" || Number.isInteger(value)) {
    const exact = BigInt(value);
    if (exact >= 0n && exact >> BigInt(layout.width) === 0n) return exact;
  }
  throw outOfRange(path, `${layout.width} bits`, String(value));
}

function writeScalar(
  layout: Scalar,
  value: number | bigint,
  view: DataView,
  at: number,
  little: boolean,
  path: string,
): void {
  const width = layout.bytes * 8;
  const low = layout.signed ? -(2n ** BigInt(width - 1)) : 0n;
  const high = layout.signed ? 2n ** BigInt(width - 1) : 2n ** BigInt(width);
  const exact = typeof value === "bigint" || Number.isInteger(value) ? BigInt(value) : undefined;
  if (exact === undefined || exact < low || exact >= high)
    throw outOfRange(path, `${layout.name}, ${low} to ${high - 1n}`, String(value));
  // Setters take the value modulo their width, so the unsigned one serves both signs.
  if (layout.bytes === 8) view.setBigUint64(at, exact, little);
  else if (layout.bytes === 4) view.setUint32(at, Number(exact), little);
  else if (layout.bytes === 2) view.setUint16(at, Number(exact), little);
  else view.setUint8(at, Number(exact));
}

/** Text that fills its field to the last byte is written without a NUL: that is how an unterminated one decodes. */
function writeRoom(source: Uint8Array, room: number, view: DataView, at: number, path: string): void {
  if (source.length > room) throw outOfRange(path, `at most ${room} bytes`, `${source.length} bytes`);
  const target = new Uint8Array(view.buffer, view.byteOffset + at, room);
  target.set(source);
  target.fill(0, source.length);
}

const outOfRange = (path: string, expected: string, actual: string): KhoError =>
  new KhoError("value-range", `${path}: expected ${expected}, got ${actual}`, { path, expected, actual });
