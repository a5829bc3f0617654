import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { extent, isLittle, type Member, resolve, sizeOf } from "./resolve.js";
import { textFromBytes } from "./text.js";
import type { ArrayOf, Bits, Field, Layout, Scalar, Struct, ValueOf } from "./types.js";
import { hostIsLittle } from "./words.js";

/**
 * Reads one value of `layout` from `bytes` at offset `at`; the bytes need no alignment.
 * A {@link Bytes} field is a view of `bytes`, everything else is a copy.
 * @throws KhoError `bytes-short` if the bytes end before the structure
 */
export function decode<L extends Layout>(layout: L, bytes: Uint8Array, at: number, abi: Abi): ValueOf<L> {
  requireBytes(layout, bytes, at, sizeOf(layout, abi));
  return read(layout, viewOf(bytes), at, abi) as ValueOf<L>;
}

/** Throws `bytes-short` unless `size` bytes follow `at`. */
export function requireBytes(layout: Layout, bytes: Uint8Array, at: number, size: number): void {
  if (at >= 0 && size >= 0 && at + size <= bytes.length) return;
  const name = layout.kind === "struct" ? `struct ${layout.name}` : layout.kind;
  throw new KhoError(
    "bytes-short",
    `${name} needs ${size} bytes at offset ${at}, there are ${bytes.length}`,
    {
      length: size,
      expected: `${at + size} bytes`,
      actual: `${bytes.length} bytes`,
    },
  );
}

/** A DataView of the same bytes. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Reads without a bounds check of its own; `view` must hold the whole value. */
export function read(layout: Field, view: DataView, at: number, abi: Abi): unknown {
  switch (layout.kind) {
    case "scalar":
      return readScalar(layout, view, at, isLittle(layout, abi));
    case "chars":
      return readChars(view, at, layout.length);
    case "bytes":
      return new Uint8Array(view.buffer, view.byteOffset + at, extent(layout.length, abi));
    case "array":
      return readArray(layout, view, at, abi);
    case "struct":
      return readStruct(layout, view, at, abi);
    case "bits":
    case "padding":
      throw new KhoError("layout-malformed", `${layout.kind} has no value outside of a struct`);
  }
}

/** Reads one member of a struct that starts at `at`. */
export function readMember(member: Member, view: DataView, at: number, abi: Abi): unknown {
  return member.layout.kind === "bits"
    ? readBits(member.layout, member.shift!, view, at + member.offset, abi)
    : read(member.layout, view, at + member.offset, abi);
}

function readStruct(layout: Struct, view: DataView, at: number, abi: Abi): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const member of resolve(layout, abi).members)
    if (member.layout.kind !== "padding") value[member.name] = readMember(member, view, at, abi);
  return value;
}

function readScalar(layout: Scalar, view: DataView, at: number, little: boolean): number | bigint {
  switch (layout.bytes) {
    case 1:
      return layout.signed ? view.getInt8(at) : view.getUint8(at);
    case 2:
      return layout.signed ? view.getInt16(at, little) : view.getUint16(at, little);
    case 4:
      return layout.signed ? view.getInt32(at, little) : view.getUint32(at, little);
    case 8:
      return layout.signed ? view.getBigInt64(at, little) : view.getBigUint64(at, little);
  }
}

function readBits(layout: Bits, shift: number, view: DataView, at: number, abi: Abi): number | bigint {
  const unit = BigInt(readScalar(layout.of, view, at, isLittle(layout.of, abi)));
  const value = BigInt.asUintN(layout.width, unit >> BigInt(shift));
  return layout.width > 53 ? value : Number(value);
}

function readChars(view: DataView, at: number, length: number): string {
  const field = new Uint8Array(view.buffer, view.byteOffset + at, length);
  const end = field.indexOf(0);
  return textFromBytes(end < 0 ? field : field.subarray(0, end));
}

function readArray(layout: ArrayOf, view: DataView, at: number, abi: Abi): unknown {
  const count = extent(layout.length, abi);
  const { element } = layout;
  const stride = sizeOf(element, abi);
  if (element.kind !== "scalar")
    return Array.from({ length: count }, (_, i) => read(element, view, at + i * stride, abi));
  const little = isLittle(element, abi);
  const values = new (arrayType(element))(count);
  if (little === hostIsLittle) {
    const source = new Uint8Array(view.buffer, view.byteOffset + at, count * stride);
    new Uint8Array(values.buffer).set(source);
    return values;
  }
  for (let i = 0; i < count; i++) values[i] = readScalar(element, view, at + i * stride, little);
  return values;
}

type AnyTypedArray = {
  [index: number]: number | bigint;
  readonly length: number;
  readonly buffer: ArrayBuffer;
};

/** The typed array that holds a scalar's values exactly. */
export function arrayType(layout: Scalar): new (length: number) => AnyTypedArray {
  const unsigned = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array };
  const signed = { 1: Int8Array, 2: Int16Array, 4: Int32Array, 8: BigInt64Array };
  return (layout.signed ? signed : unsigned)[layout.bytes] as new (
    length: number,
  ) => AnyTypedArray;
}

/** True if a fixed-size string has a NUL within its bytes; the kernel's readers rely on it without looking. */
export const isTerminated = (bytes: Uint8Array, at: number, length: number): boolean =>
  bytes.subarray(at, at + length).includes(0);
