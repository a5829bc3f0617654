import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  be,
  bits,
  decode,
  encode,
  le,
  memberOf,
  type Scalar,
  s32,
  sizeOf,
  struct,
  u8,
  u16,
  u32,
  u64,
} from "../../src/layout/index.js";
import { big, bitFieldBytes, failure, fullUnit, hexBytes, little, source } from "./support.js";

const folio = struct("memfd_luo_folio_ser", { pfn: bits(u64, 52), flags: bits(u64, 12), index: u64 }, source);

describe("pfn:52, flags:12", () => {
  it.each([
    ["56 34 12 00 00 00 30 00 10 00 00 00 00 00 00 00", { pfn: 0x123456, flags: 3, index: 16n }],
    ["00 00 12 00 00 00 30 00 00 00 00 00 00 00 00 00", { pfn: 0x120000, flags: 3, index: 0n }],
    ["00 36 13 00 00 00 30 00 00 02 00 00 00 00 00 00", { pfn: 0x133600, flags: 3, index: 512n }],
    ["ff ff ff ff ff ff 0f 00 00 00 00 00 00 00 00 00", { pfn: 2 ** 52 - 1, flags: 0, index: 0n }],
    ["00 00 00 00 00 00 f0 ff 00 00 00 00 00 00 00 00", { pfn: 0, flags: 0xfff, index: 0n }],
  ])("little-endian %s", (text, value) => {
    expect(decode(folio, hexBytes(text), 0, little)).toEqual(value);
    expect(encode(folio, value, little)).toEqual(hexBytes(text));
  });

  it.each([
    ["00 00 00 01 23 45 60 03 00 00 00 00 00 00 00 10", { pfn: 0x123456, flags: 3, index: 16n }],
    ["ff ff ff ff ff ff f0 00 00 00 00 00 00 00 00 00", { pfn: 2 ** 52 - 1, flags: 0, index: 0n }],
    ["00 00 00 00 00 00 0f ff 00 00 00 00 00 00 00 00", { pfn: 0, flags: 0xfff, index: 0n }],
  ])("big-endian %s: the first field has the high bits", (text, value) => {
    expect(decode(folio, hexBytes(text), 0, big)).toEqual(value);
    expect(encode(folio, value, big)).toEqual(hexBytes(text));
  });

  it("is placed in its unit", () => {
    expect(memberOf(folio, "pfn", little)).toMatchObject({ offset: 0, size: 8, shift: 0 });
    expect(memberOf(folio, "flags", little)).toMatchObject({ offset: 0, size: 8, shift: 52 });
    expect(memberOf(folio, "pfn", big)).toMatchObject({ offset: 0, size: 8, shift: 12 });
    expect(memberOf(folio, "flags", big)).toMatchObject({ offset: 0, size: 8, shift: 0 });
    expect(sizeOf(folio, little)).toBe(16);
  });

  it("refuses what does not fit", () => {
    expect(failure(() => encode(folio, { pfn: 2 ** 52, flags: 0, index: 0n }, little))).toMatchObject({
      code: "value-range",
      path: "memfd_luo_folio_ser.pfn",
      expected: "52 bits",
    });
    expect(failure(() => encode(folio, { pfn: 0, flags: 0x1000, index: 0n }, big)).path).toBe(
      "memfd_luo_folio_ser.flags",
    );
  });
});

describe("any widths", () => {
  it.each([u8, u16, u32, u64, le.u32, be.u32, le.u64, be.u64, s32] as Scalar[])("in %o", (unit) => {
    fc.assert(
      fc.property(fullUnit(unit.bytes * 8), fc.constantFrom(little, big), (fields, abi) => {
        const layout = struct(
          "packed",
          Object.fromEntries(fields.map(({ width }, i) => [`f${i}`, bits(unit, width)])),
          source,
        );
        const order = unit.order === "native" ? abi.byteOrder : unit.order;
        const wanted = Uint8Array.from(bitFieldBytes(fields, order));
        const value = Object.fromEntries(
          fields.map(({ width, value }, i) => [`f${i}`, width > 53 ? value : Number(value)]),
        );
        expect(decode(layout, wanted, 0, abi)).toEqual(value);
        expect(encode(layout, value as never, abi)).toEqual(wanted);
      }),
    );
  });

  it("several units in a row, and of several types", () => {
    const layout = struct(
      "units",
      { a: bits(u8, 3), b: bits(u8, 5), c: bits(u8, 8), d: bits(u16, 15), e: bits(u16, 1) },
      source,
    );
    expect(sizeOf(layout, little)).toBe(4);
    expect(decode(layout, hexBytes("0f a5 01 80"), 0, little)).toEqual({ a: 7, b: 1, c: 0xa5, d: 1, e: 1 });
    expect(decode(layout, hexBytes("e1 a5 00 03"), 0, big)).toEqual({ a: 7, b: 1, c: 0xa5, d: 1, e: 1 });
  });
});

describe("units that are not filled", () => {
  it.each([
    ["too few bits at the end", { a: bits(u64, 52) }],
    ["too few bits before another member", { a: bits(u64, 52), b: u8, c: bits(u64, 12) }],
    ["too many bits", { a: bits(u64, 52), b: bits(u64, 13) }],
    ["another type within a unit", { a: bits(u64, 52), b: bits(u16, 12) }],
    ["another byte order within a unit", { a: bits(u64, 52), b: bits(le.u64, 12) }],
    ["no bits", { a: bits(u8, 0), b: bits(u8, 8) }],
    ["fewer than no bits", { a: bits(u8, -1), b: bits(u8, 9) }],
    ["half bits", { a: bits(u8, 3.5), b: bits(u8, 4.5) }],
    ["more bits than the type has", { a: bits(u8, 9) }],
  ])("%s", (_, fields) => {
    expect(failure(() => sizeOf(struct("bad", fields as never, source), little)).code).toBe(
      "layout-malformed",
    );
  });
});
