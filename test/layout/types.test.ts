import { describe, expectTypeOf, it } from "vitest";
import {
  array,
  be,
  bits,
  bytes,
  type Column,
  chars,
  columns,
  decode,
  encode,
  le,
  pa,
  padding,
  rows,
  s8,
  s16,
  s32,
  s64,
  struct,
  u8,
  u16,
  u32,
  u64,
  type ValueOf,
  view,
} from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import { little, source } from "./support.js";

const inner = struct("inner", { a: u16, b: s64 }, source);
const all = struct(
  "all",
  {
    byte: u8,
    word: u32,
    long: u64,
    signed: s32,
    disk: le.u64,
    wire: be.u32,
    where: pa,
    pfn: bits(u64, 52),
    rest: bits(u64, 12),
    wide: bits(u64, 54),
    others: bits(u64, 10),
    name: chars(8),
    raw: bytes(4),
    pad: padding(4),
    longs: array(u64, 2),
    places: array(pa, 2),
    inner,
    many: array(inner, 2),
    names: array(chars(8), 2),
    grid: array(array(u32, 2), 2),
  },
  source,
);

interface All {
  byte: number;
  word: number;
  long: bigint;
  signed: number;
  disk: bigint;
  wire: number;
  where: PhysAddr;
  pfn: number;
  rest: number;
  wide: bigint;
  others: number;
  name: string;
  raw: Uint8Array;
  longs: BigUint64Array;
  places: BigUint64Array;
  inner: { a: number; b: bigint };
  many: { a: number; b: bigint }[];
  names: string[];
  grid: Uint32Array[];
}

const data = new Uint8Array(1024);

describe("what the compiler knows", () => {
  it("the members of a decoded struct", () => {
    const value = decode(all, data, 0, little);
    expectTypeOf(value).toEqualTypeOf<All>();
    expectTypeOf<ValueOf<typeof all>>().toEqualTypeOf<All>();
    expectTypeOf(value).not.toHaveProperty("pad");
  });

  it("the typed array of each scalar", () => {
    expectTypeOf(decode(array(u8, 1), data, 0, little)).toEqualTypeOf<Uint8Array>();
    expectTypeOf(decode(array(s8, 1), data, 0, little)).toEqualTypeOf<Int8Array>();
    expectTypeOf(decode(array(u16, 1), data, 0, little)).toEqualTypeOf<Uint16Array>();
    expectTypeOf(decode(array(s16, 1), data, 0, little)).toEqualTypeOf<Int16Array>();
    expectTypeOf(decode(array(be.u32, 1), data, 0, little)).toEqualTypeOf<Uint32Array>();
    expectTypeOf(decode(array(le.s32, 1), data, 0, little)).toEqualTypeOf<Int32Array>();
    expectTypeOf(decode(array(u64, 1), data, 0, little)).toEqualTypeOf<BigUint64Array>();
    expectTypeOf(decode(array(s64, 1), data, 0, little)).toEqualTypeOf<BigInt64Array>();
  });

  it("the members of a row, which cannot be written", () => {
    expectTypeOf(view(all, data, 0, little)).toEqualTypeOf<Readonly<All>>();
    expectTypeOf(rows(inner, data, 0, 1, little).row(0).b).toEqualTypeOf<bigint>();
  });

  it("the columns that were asked for", () => {
    expectTypeOf(columns(inner, data, 0, 1, ["a"], little)).toEqualTypeOf<Record<"a", Column>>();
    // @ts-expect-error no member of that name
    expectTypeOf(() => columns(inner, data, 0, 1, ["c"], little)).toBeFunction();
  });

  it("what encode takes", () => {
    expectTypeOf(encode<typeof inner>)
      .parameter(1)
      .toEqualTypeOf<{ a: number; b: bigint }>();
    // @ts-expect-error a bigint is wanted
    expectTypeOf(() => encode(inner, { a: 1, b: 1 }, little)).toBeFunction();
    // @ts-expect-error a member is missing
    expectTypeOf(() => encode(inner, { a: 1 }, little)).toBeFunction();
    // @ts-expect-error an address is wanted, not any integer
    expectTypeOf(() => encode(pa, 1n, little)).toBeFunction();
  });
});
