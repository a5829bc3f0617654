import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import type { Extent, Field, Fields, Layout, Scalar, Struct } from "./types.js";

/** A member of a struct with the place that follows from the members before it. */
export interface Member {
  readonly name: string;
  /** Bytes from the start of the struct; of a bit field: of the unit it is in. */
  readonly offset: number;
  /** Bytes; of a bit field: of its unit. */
  readonly size: number;
  readonly layout: Field;
  /** For bit fields, the number of bits below it in its unit read as one integer. */
  readonly shift?: number;
}

/** A struct's members and size under one ABI. */
export interface Resolved {
  readonly members: readonly Member[];
  readonly size: number;
}

/**
 * The number that an extent stands for.
 * @throws KhoError `layout-malformed` if it is no whole number: a page that is not filled up needs a `Math.floor`
 */
export function extent(length: Extent, abi: Abi): number {
  const whole = typeof length === "number" ? length : length(abi);
  if (Number.isSafeInteger(whole) && whole >= 0) return whole;
  throw new KhoError("layout-malformed", `a length of ${whole} with pages of ${abi.pageSize} bytes`);
}

/** Size in bytes. */
export function sizeOf(layout: Field, abi: Abi): number {
  switch (layout.kind) {
    case "scalar":
      return layout.bytes;
    case "bits":
      return layout.of.bytes;
    case "chars":
    case "padding":
      return layout.length;
    case "bytes":
      return extent(layout.length, abi);
    case "array":
      return extent(layout.length, abi) * sizeOf(layout.element, abi);
    case "struct":
      return resolve(layout, abi).size;
  }
}

/** Offset in bytes of the member `name`; of a bit field, of the unit that holds it. */
export function offsetOf<F extends Fields>(layout: Struct<F>, name: keyof F & string, abi: Abi): number {
  return memberOf(layout, name, abi).offset;
}

/** The member `name` with its place. */
export function memberOf<F extends Fields>(layout: Struct<F>, name: keyof F & string, abi: Abi): Member {
  const member = resolve(layout, abi).members.find((candidate) => candidate.name === name);
  if (!member) throw new KhoError("unknown-layout", `struct ${layout.name} has no member ${name}`);
  return member;
}

/** How many elements of `layout` fit into `room` bytes. */
export const capacity = (layout: Layout, room: number, abi: Abi): number =>
  Math.floor(room / sizeOf(layout, abi));

/** By page size, of which that of a big-endian ABI is negative here. */
const cache = new WeakMap<Struct, Map<number, Resolved>>();

/** Members with offsets, computed once per struct and ABI. */
export function resolve(layout: Struct, abi: Abi): Resolved {
  let byAbi = cache.get(layout);
  if (!byAbi) cache.set(layout, (byAbi = new Map()));
  const key = abi.byteOrder === "little" ? abi.pageSize : -abi.pageSize;
  let resolved = byAbi.get(key);
  if (!resolved) byAbi.set(key, (resolved = compute(layout, abi)));
  return resolved;
}

function compute(layout: Struct, abi: Abi): Resolved {
  const members: Member[] = [];
  let offset = 0;
  /** The unit that bit fields are being packed into, and how many of its bits are taken. */
  let unit: Scalar | undefined;
  let taken = 0;
  const malformed = (name: string, why: string) =>
    new KhoError("layout-malformed", `struct ${layout.name}, member ${name}: ${why}`);

  for (const [name, field] of Object.entries(layout.fields)) {
    // Objects put keys that are numbers first, whatever the order they are written in, and __proto__ is no key.
    if (/^\d+$|^__proto__$/.test(name)) throw malformed(name, "this name cannot be a member");
    if (field.kind !== "bits") {
      if (unit) throw malformed(name, `only ${taken} of ${unit.bytes * 8} bits before it are named`);
      const size = sizeOf(field, abi);
      members.push({ name, offset, size, layout: field });
      offset += size;
      continue;
    }
    if (unit && unit !== field.of) throw malformed(name, "shares a unit with a bit field of another type");
    unit = field.of;
    const width = unit.bytes * 8;
    if (!Number.isInteger(field.width) || field.width < 1 || taken + field.width > width)
      throw malformed(name, `does not fit into ${width} bits`);
    // The first bit field takes the low bits of a little-endian unit, the high bits of a big-endian one.
    const shift = isLittle(unit, abi) ? taken : width - taken - field.width;
    members.push({ name, offset, size: unit.bytes, layout: field, shift });
    taken += field.width;
    if (taken === width) {
      offset += unit.bytes;
      unit = undefined;
      taken = 0;
    }
  }
  if (unit) throw malformed("(last)", `only ${taken} of ${unit.bytes * 8} bits are named`);
  return { members, size: offset };
}

/** True if a scalar is stored with its low byte first. */
export const isLittle = (layout: Scalar, abi: Abi): boolean =>
  (layout.order === "native" ? abi.byteOrder : layout.order) === "little";
