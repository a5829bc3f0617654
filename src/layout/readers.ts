import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { integerOf, maskOf } from "./integer.js";
import { extent, isLittle, type Member, resolve, sizeOf } from "./resolve.js";
import { textFromBytes } from "./text.js";
import type { ArrayOf, Bits, Field, Scalar, Struct } from "./types.js";
import { hostIsLittle } from "./words.js";

/** Reads one value. It has no bounds check of its own: the view must hold the whole value from `at` on. */
export type Reader = (view: DataView, at: number) => unknown;

/** A member of a struct with what reads it from where the struct begins. */
export interface ReadMember {
  readonly name: string;
  readonly read: Reader;
}

/** What reads a struct: worked out once, so that no record asks again where its members are. */
interface StructReader {
  readonly read: Reader;
  readonly members: readonly ReadMember[];
}

/** By page size, of which that of a big-endian ABI is negative here. */
const cache = new WeakMap<Struct, Map<number, StructReader>>();

/** What reads a value of `layout` that begins `offset` bytes behind where the reader is told. */
export function readerOf(layout: Field, abi: Abi, offset = 0): Reader {
  switch (layout.kind) {
    case "scalar":
      return scalarReader(layout, isLittle(layout, abi), offset);
    case "chars": {
      const { length } = layout;
      return (view, at) => readChars(view, at + offset, length);
    }
    case "bytes": {
      const length = extent(layout.length, abi);
      return (view, at) => new Uint8Array(view.buffer, view.byteOffset + at + offset, length);
    }
    case "array":
      return arrayReader(layout, abi, offset);
    case "struct": {
      const { read } = structReader(layout, abi);
      return offset === 0 ? read : (view, at) => read(view, at + offset);
    }
    case "bits":
    case "padding":
      return () => {
        throw new KhoError("layout-malformed", `${layout.kind} has no value outside of a struct`);
      };
  }
}

/** The members of a struct that have a value, in their order. */
export const memberReaders = (layout: Struct, abi: Abi): readonly ReadMember[] =>
  structReader(layout, abi).members;

/** What reads one member of a struct from where the struct begins. */
export const memberReader = (member: Member, abi: Abi): Reader =>
  member.layout.kind === "bits"
    ? bitsReader(member, member.layout, abi)
    : readerOf(member.layout, abi, member.offset);

function structReader(layout: Struct, abi: Abi): StructReader {
  let byAbi = cache.get(layout);
  if (!byAbi) cache.set(layout, (byAbi = new Map()));
  const key = abi.byteOrder === "little" ? abi.pageSize : -abi.pageSize;
  let reader = byAbi.get(key);
  if (!reader) byAbi.set(key, (reader = newStructReader(layout, abi)));
  return reader;
}

function newStructReader(layout: Struct, abi: Abi): StructReader {
  const members = resolve(layout, abi)
    .members.filter((member) => member.layout.kind !== "padding")
    .map((member) => ({ name: member.name, read: memberReader(member, abi) }));
  const names = members.map(({ name }) => name);
  const reads = members.map(({ read }) => read);
  // Plain objects, but made by a constructor of the layout's own: so engines know their shape from the start, and give
  // all of them the same one. With members added to a literal it takes twice as long.
  function Row(this: Record<string, unknown>, view: DataView, at: number): void {
    for (let k = 0; k < names.length; k++) this[names[k]!] = reads[k]!(view, at);
  }
  Row.prototype = Object.prototype;
  const Made = Row as unknown as new (view: DataView, at: number) => Record<string, unknown>;
  return { members, read: (view, at) => new Made(view, at) };
}

function scalarReader({ bytes, signed }: Scalar, little: boolean, offset: number): Reader {
  switch (bytes) {
    case 1:
      return signed ? (view, at) => view.getInt8(at + offset) : (view, at) => view.getUint8(at + offset);
    case 2:
      return signed
        ? (view, at) => view.getInt16(at + offset, little)
        : (view, at) => view.getUint16(at + offset, little);
    case 4:
      return signed
        ? (view, at) => view.getInt32(at + offset, little)
        : (view, at) => view.getUint32(at + offset, little);
    case 8:
      return signed
        ? (view, at) => view.getBigInt64(at + offset, little)
        : (view, at) => view.getBigUint64(at + offset, little);
  }
}

/** Up to 53 bits without a bigint on the way. */
function bitsReader(member: Member, layout: Bits, abi: Abi): Reader {
  const { offset, bytes, little, shift, width } = integerOf(member, abi);
  if (width > 53) {
    const below = BigInt(shift);
    return (view, at) => BigInt.asUintN(width, view.getBigUint64(at + offset, little) >> below);
  }
  const mask = maskOf(bytes === 8 ? shift + layout.width - 32 : width);
  if (bytes === 1) return (view, at) => (view.getUint8(at + offset) >>> shift) & mask;
  if (bytes === 2) return (view, at) => (view.getUint16(at + offset, little) >>> shift) & mask;
  if (bytes === 4) return (view, at) => ((view.getUint32(at + offset, little) >>> shift) & mask) >>> 0;
  const low = offset + (little ? 0 : 4);
  const high = offset + (little ? 4 : 0);
  const worth = 2 ** (32 - shift);
  return (view, at) =>
    ((view.getUint32(at + high, little) & mask) >>> 0) * worth + (view.getUint32(at + low, little) >>> shift);
}

/** Longest text that is read character by character, which is faster for short ones. */
const shortText = 24;

function readChars(view: DataView, at: number, length: number): string {
  let text = "";
  for (let i = 0; i < length && i < shortText; i++) {
    const code = view.getUint8(at + i);
    if (code === 0) return text;
    if (code >= 0x80) break;
    text += String.fromCharCode(code);
  }
  if (text.length === length) return text;
  const field = new Uint8Array(view.buffer, view.byteOffset + at, length);
  const end = field.indexOf(0);
  return textFromBytes(end < 0 ? field : field.subarray(0, end));
}

function arrayReader(layout: ArrayOf, abi: Abi, offset: number): Reader {
  const count = extent(layout.length, abi);
  const { element } = layout;
  const stride = sizeOf(element, abi);
  if (element.kind !== "scalar") {
    const read = readerOf(element, abi, offset);
    return (view, at) => Array.from({ length: count }, (_, i) => read(view, at + i * stride));
  }
  const little = isLittle(element, abi);
  const Elements = arrayType(element);
  if (little === hostIsLittle)
    return (view, at) => {
      const values = new Elements(count);
      new Uint8Array(values.buffer).set(
        new Uint8Array(view.buffer, view.byteOffset + at + offset, count * stride),
      );
      return values;
    };
  const read = scalarReader(element, little, offset) as (view: DataView, at: number) => number | bigint;
  return (view, at) => {
    const values = new Elements(count);
    for (let i = 0; i < count; i++) values[i] = read(view, at + i * stride);
    return values;
  };
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
