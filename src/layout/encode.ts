import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { requireBytes, viewOf } from "./decode.js";
import { arrayType } from "./readers.js";
import { extent, isLittle, resolve, sizeOf } from "./resolve.js";
import { bytesFromText } from "./text.js";
import type { ArrayOf, Bits, Field, Layout, Scalar, Struct, ValueOf } from "./types.js";
import { hostIsLittle } from "./words.js";

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
 * Writes one value of `layout` into `bytes` at offset `at`. A value that is refused may be written in part.
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
  if ((value === undefined || value === null) && layout.kind !== "padding")
    throw outOfRange(path, `a ${layout.kind}`, "nothing");
  switch (layout.kind) {
    case "scalar":
      writeScalar(layout, value as number | bigint, view, at, isLittle(layout, abi), path);
      break;
    case "chars":
      if (!writeAscii(value as string, layout.length, view, at))
        writeRoom(checkedText(value as string, path), layout.length, view, at, path);
      break;
    case "bytes": {
      const room = extent(layout.length, abi);
      const source = value as Uint8Array;
      if (source.length !== room) throw outOfRange(path, `${room} bytes`, `${source.length} bytes`);
      writeRoom(source, room, view, at, path);
      break;
    }
    case "array": {
      const count = extent(layout.length, abi);
      const elements = value as ArrayLike<unknown>;
      if (elements.length !== count) throw outOfRange(path, `${count} elements`, `${elements.length}`);
      writeArray(layout, elements, view, at, abi, path);
      break;
    }
    case "struct":
      writeStruct(layout, value as Record<string, unknown>, view, at, abi, path);
      break;
    case "padding":
      writeRoom(new Uint8Array(0), layout.length, view, at, path);
      break;
    case "bits":
      throw new KhoError("layout-malformed", "bits have no bytes outside of a struct", { path });
  }
}

function writeArray(
  layout: ArrayOf,
  elements: ArrayLike<unknown>,
  view: DataView,
  at: number,
  abi: Abi,
  path: string,
): void {
  const { element } = layout;
  const stride = sizeOf(element, abi);
  // Scalars take the short way: no string is built for the path of an element that fits.
  if (element.kind === "scalar") {
    const little = isLittle(element, abi);
    // What is stored like that already fits, and is copied as it is.
    if (little === hostIsLittle && isArrayOf(element, elements)) {
      const source = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
      new Uint8Array(view.buffer, view.byteOffset + at, source.length).set(source);
      return;
    }
    for (let i = 0; i < elements.length; i++) {
      const value = elements[i] as number | bigint;
      if (!fits(element, value)) throw scalarOutOfRange(element, value, `${path}[${i}]`);
      setScalar(element.bytes, value, view, at + i * stride, little);
    }
    return;
  }
  for (let i = 0; i < elements.length; i++)
    write(element, elements[i], view, at + i * stride, abi, `${path}[${i}]`);
}

/** True for the typed array that decoding makes of a run of these scalars. */
const isArrayOf = (element: Scalar, elements: unknown): elements is BigUint64Array =>
  elements instanceof arrayType(element);

/** What would not come back: text behind a NUL, and surrogates that stand for neither a character nor a byte. */
function checkedText(text: string, path: string): Uint8Array {
  if (text.includes("\0")) throw outOfRange(path, "text without NUL", `NUL at ${text.indexOf("\0")}`);
  if (/[\ud800-\udc7f\udd00-\udfff]/u.test(text))
    throw outOfRange(path, "well-formed text", "a lone surrogate");
  return bytesFromText(text);
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
  let units: Map<number, bigint> | undefined;
  for (const member of resolve(layout, abi).members) {
    const memberPath = path ? `${path}.${member.name}` : member.name;
    if (member.layout.kind !== "bits") {
      write(member.layout, value[member.name], view, at + member.offset, abi, memberPath);
      continue;
    }
    const field = checkedBits(member.layout, value[member.name] as number | bigint, memberPath);
    units ??= new Map();
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
  if (!fits(layout, value)) throw scalarOutOfRange(layout, value, path);
  setScalar(layout.bytes, value, view, at, little);
}

/** Stores a value that was checked. Setters take it modulo their width, so the unsigned one serves both signs. */
function setScalar(
  size: Scalar["bytes"],
  value: number | bigint,
  view: DataView,
  at: number,
  little: boolean,
): void {
  if (size === 8) view.setBigUint64(at, BigInt(value), little);
  else if (size === 4) view.setUint32(at, Number(value), little);
  else if (size === 2) view.setUint16(at, Number(value), little);
  else view.setUint8(at, Number(value));
}

/** True for an integer that the scalar can hold. */
function fits({ bytes, signed }: Scalar, value: number | bigint): boolean {
  if (typeof value !== "bigint" && !Number.isInteger(value)) return false;
  // Powers of two are exact as doubles, and a bigint compares with a double by value.
  const span = 2 ** (bytes * 8);
  return signed ? value >= -span / 2 && value < span / 2 : value >= 0 && value < span;
}

function scalarOutOfRange({ name, bytes, signed }: Scalar, value: unknown, path: string): KhoError {
  const span = 1n << BigInt(bytes * 8);
  const low = signed ? -span / 2n : 0n;
  return outOfRange(path, `${name}, ${low} to ${low + span - 1n}`, String(value));
}

/** Short text of ASCII alone, which is what names are: several times faster than an encoder of UTF-8. False for other. */
function writeAscii(text: string, room: number, view: DataView, at: number): boolean {
  if (typeof text !== "string" || text.length > Math.min(room, 80)) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0 || code >= 0x80) return false;
    view.setUint8(at + i, code);
  }
  for (let i = text.length; i < room; i++) view.setUint8(at + i, 0);
  return true;
}

/** Text that fills its field to the last byte is written without a NUL: that is how an unterminated one decodes. */
function writeRoom(source: Uint8Array, room: number, view: DataView, at: number, path: string): void {
  if (source.length > room) throw outOfRange(path, `at most ${room} bytes`, `${source.length} bytes`);
  const target = new Uint8Array(view.buffer, view.byteOffset + at, room);
  target.set(source);
  target.fill(0, source.length);
}

const outOfRange = (path: string, expected: string, actual: string): KhoError =>
  new KhoError("value-range", `${path && `${path}: `}expected ${expected}, got ${actual}`, {
    path,
    expected,
    actual,
  });
