import type { PhysAddr } from "../memory/address.js";
import type { Abi } from "./abi.js";

/**
 * The language that formats are described in. A layout is plain data; decoding, encoding, sizes, views, columns,
 * printing and walking are functions over it. Offsets are never written down: they follow from the order of the fields.
 */
export type Layout = Scalar | Chars | Bytes | ArrayOf | Struct;
/** What may stand as a member of a {@link Struct}. */
export type Field = Layout | Bits | Padding;

/** A length in elements or bytes that is fixed or follows from the page size. */
export type Extent = number | ((abi: Abi) => number);

/** Marks the type that a layout decodes to; it exists at compile time only. */
declare const value: unique symbol;
/** Marks the type that an array of a scalar decodes to. */
declare const elements: unique symbol;

/** What the bits of a scalar stand for, for annotation and fuzzing. */
export type Meaning = "number" | "address";

/** The typed arrays that hold one kind of value. */
type ArraysOf<V> = V extends bigint
  ? BigUint64Array | BigInt64Array
  : Uint8Array | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array;

/** An integer of 8 to 64 bits. `A` is the typed array that a run of them decodes to. */
export interface Scalar<V extends number | bigint = number | bigint, A = ArraysOf<V>> {
  readonly kind: "scalar";
  /** The kernel's name of the type: `u64`. */
  readonly name: string;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly signed: boolean;
  /** `native` takes the byte order of the {@link Abi}. */
  readonly order: "native" | "little" | "big";
  readonly meaning: Meaning;
  readonly [value]?: V;
  readonly [elements]?: A;
}

/**
 * A bit field, unsigned whatever it is stored in. Consecutive bit fields of one storage type share a unit and must
 * fill it exactly. The first takes the lowest bits of a little-endian unit and the highest of a big-endian one, as
 * compilers for Linux do in the machine's byte order.
 */
export interface Bits<V extends number | bigint = number | bigint> {
  readonly kind: "bits";
  readonly of: Scalar;
  readonly width: number;
  readonly [value]?: V;
}

/** A fixed array of bytes that holds text up to the first NUL. */
export interface Chars {
  readonly kind: "chars";
  /** Room in bytes, with the NUL. */
  readonly length: number;
  readonly [value]?: string;
}

/** Bytes without further structure. Decoded to a view, not a copy. */
export interface Bytes {
  readonly kind: "bytes";
  readonly length: Extent;
  readonly [value]?: Uint8Array;
}

/** A fixed number of equal elements. Scalars decode to a typed array, everything else to an array. */
export interface ArrayOf<E extends Layout = Layout> {
  readonly kind: "array";
  readonly element: E;
  readonly length: Extent;
  readonly [value]?: ArrayValue<E>;
}

/** Bytes that no member names; written as zeros and not decoded. */
export interface Padding {
  readonly kind: "padding";
  readonly length: number;
}

/** Where a layout is from. */
export interface Source {
  /** Header or source file of the kernel that defines it. */
  readonly header: string;
  /** First release that has it in this form. */
  readonly since: string;
  /** Last release that has it in this form; absent while it is current. */
  readonly until?: string;
}

/** Members one after another, packed: what the kernel's compiler would pad is an explicit {@link Padding}. */
export interface Struct<F extends Fields = Fields> {
  readonly kind: "struct";
  /** The kernel's name without `struct`. */
  readonly name: string;
  readonly fields: F;
  readonly source: Source;
  readonly [value]?: StructValue<F>;
}

export type Fields = { readonly [name: string]: Field };

type ArrayValue<E extends Layout> = E extends Scalar ? NonNullable<E[typeof elements]> : ValueOf<E>[];

type StructValue<F extends Fields> = {
  -readonly [K in keyof F as F[K] extends Padding ? never : K]: ValueOf<F[K]>;
};

/** The type that a layout decodes to. */
export type ValueOf<L> = L extends { readonly [value]?: infer V } ? NonNullable<V> : never;

const scalar = <V extends number | bigint, A>(
  name: string,
  bytes: Scalar["bytes"],
  signed: boolean,
  order: Scalar["order"],
): Scalar<V, A> => ({ kind: "scalar", name, bytes, signed, order, meaning: "number" });

const family = (order: Scalar["order"]) => ({
  u16: scalar<number, Uint16Array>("u16", 2, false, order),
  u32: scalar<number, Uint32Array>("u32", 4, false, order),
  u64: scalar<bigint, BigUint64Array>("u64", 8, false, order),
  s16: scalar<number, Int16Array>("s16", 2, true, order),
  s32: scalar<number, Int32Array>("s32", 4, true, order),
  s64: scalar<bigint, BigInt64Array>("s64", 8, true, order),
});

export const u8 = scalar<number, Uint8Array>("u8", 1, false, "native");
export const s8 = scalar<number, Int8Array>("s8", 1, true, "native");
/** Integers in the byte order of the machine that wrote them. */
export const { u16, u32, u64, s16, s32, s64 } = family("native");
/** Integers that are little-endian whatever the machine. */
export const le = family("little");
/** Integers that are big-endian whatever the machine. */
export const be = family("big");
/** A u64 that holds a physical address. */
export const pa = { ...u64, meaning: "address" } as Scalar<PhysAddr, BigUint64Array>;

/** A bit field of `width` bits in units of `of`. Up to 53 bits decode to a number, more to a bigint. */
export function bits<W extends number>(of: Scalar, width: W): Bits<W extends Wide ? bigint : number> {
  return { kind: "bits", of, width };
}
type Wide = 54 | 55 | 56 | 57 | 58 | 59 | 60 | 61 | 62 | 63 | 64;

/** Text in `length` bytes, up to the first NUL. */
export const chars = (length: number): Chars => ({ kind: "chars", length });
/** `length` bytes as they are. */
export const bytes = (length: Extent): Bytes => ({ kind: "bytes", length });
/** `length` times `element`. */
export const array = <E extends Layout>(element: E, length: Extent): ArrayOf<E> => ({
  kind: "array",
  element,
  length,
});
/** `length` bytes that no member names. */
export const padding = (length: number): Padding => ({ kind: "padding", length });

/** A structure with the kernel's name and the kernel's spelling of its members. */
export const struct = <F extends Fields>(name: string, fields: F, source: Source): Struct<F> => ({
  kind: "struct",
  name,
  fields,
  source,
});
