import {
  type Abi,
  type Bits,
  bits,
  decode,
  encode,
  type Fields,
  le,
  type Member,
  memberOf,
  resolve,
  type Source,
  type Struct,
  struct,
  type ValueOf,
} from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";

/**
 * Translation structures are little-endian whatever the CPU, and no layout of theirs depends on its page size. A table's
 * own granule is a matter of its format.
 */
export const iommuAbi: Abi = { byteOrder: "little", pageSize: 4096 };

/** Addresses of translation structures and of what they map are counted in frames of 4 KiB: 52 bits, exact as doubles. */
export const frameLg2 = 12;
/** The frame of an address. */
export const frameOf = (pa: bigint): number => Number(pa >> 12n);
/** The first byte of a frame. */
export const addressOfFrame = (frame: number): PhysAddr => (BigInt(frame) << 12n) as PhysAddr;

type Wide = 54 | 55 | 56 | 57 | 58 | 59 | 60 | 61 | 62 | 63 | 64;
type Widths = { readonly [name: string]: number };
type WordFields<W extends Widths> = { readonly [K in keyof W]: Bits<W[K] extends Wide ? bigint : number> };

/** Bit fields of one 64-bit word, lowest bits first, to be the fields of a struct. */
export function word<const W extends Widths>(widths: W): WordFields<W> {
  const fields = Object.entries(widths).map(([name, width]) => [name, bits(le.u64, width)] as const);
  return Object.fromEntries(fields) as unknown as WordFields<W>;
}

/**
 * One 64-bit word as a structure: an entry of a table. Fields whose name begins with `rsvd` have to be zero, those that
 * begin with `ign` nobody looks at.
 */
export const entry = <const W extends Widths>(
  name: string,
  widths: W,
  source: Source,
): Struct<WordFields<W>> => struct(name, word(widths), source);

/** A 64-bit word as two signed 32-bit halves: what loops compute with. */
export interface Halves {
  readonly lo: number;
  readonly hi: number;
}

export const halvesOf = (value: bigint): Halves => ({
  lo: Number(BigInt.asIntN(32, value)),
  hi: Number(BigInt.asIntN(32, value >> 32n)),
});
export const wordOf = (lo: number, hi: number): bigint =>
  (BigInt.asUintN(32, BigInt(hi)) << 32n) | BigInt.asUintN(32, BigInt(lo));

/** The bits of the named fields of a one-word structure. */
export const maskOf = <F extends Fields>(layout: Struct<F>, ...names: (keyof F & string)[]): bigint =>
  names.reduce((mask, name) => mask | maskOfMember(memberOf(layout, name, iommuAbi)), 0n);

/** True for the name of a member that has to be zero. */
export const isReserved = (name: string): boolean => name.startsWith("rsvd");

/** The bits of a one-word structure that have to be zero. */
export const reservedOf = (layout: Struct): bigint =>
  resolve(layout, iommuAbi)
    .members.filter(({ name }) => isReserved(name))
    .reduce((mask, member) => mask | maskOfMember(member), 0n);

const maskOfMember = ({ layout, size, shift = 0 }: Member): bigint => {
  const width = layout.kind === "bits" ? layout.width : size * 8;
  return ((1n << BigInt(width)) - 1n) << BigInt(shift);
};

/** A one-word structure as a word; members that are not given are zero. */
export function packWord<W extends Widths>(
  layout: Struct<WordFields<W>>,
  values: Partial<ValueOf<Struct<WordFields<W>>>>,
): bigint {
  const all = Object.fromEntries(
    resolve(layout, iommuAbi).members.map(({ name, layout: field }) => [
      name,
      field.kind === "bits" && field.width > 53 ? 0n : 0,
    ]),
  );
  const bytes = encode(layout, { ...all, ...values } as ValueOf<Struct<WordFields<W>>>, iommuAbi);
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
}

/** The members of a one-word structure. */
export function unpackWord<S extends Struct>(layout: S, value: bigint): ValueOf<S> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return decode(layout, bytes, 0, iommuAbi);
}

/**
 * Reads the frame from an address field, whose bit `shift` is the lowest of the frame number; `field` is the field's mask.
 * Frames are below 2^52.
 */
export function frameReader(field: bigint, shift: number): (lo: number, hi: number) => number {
  const mask = halvesOf(field);
  const scale = 2 ** (32 - shift);
  return (lo, hi) => ((hi & mask.hi) >>> 0) * scale + ((lo & mask.lo) >>> shift);
}

/** Masks put together, as halves. */
export const or = (...masks: readonly bigint[]): Halves =>
  halvesOf(masks.reduce((all, mask) => all | mask, 0n));
