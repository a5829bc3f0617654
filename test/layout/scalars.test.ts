import { describe, expect, it } from "vitest";
import {
  array,
  be,
  decode,
  encode,
  le,
  pa,
  type Scalar,
  s8,
  s16,
  s32,
  s64,
  u8,
  u16,
  u32,
  u64,
} from "../../src/layout/index.js";
import { big, failure, hexBytes, little } from "./support.js";

/** Layout, value, bytes on a little-endian and on a big-endian machine. */
const cases: [Scalar, number | bigint, string, string][] = [
  [u8, 0xfe, "fe", "fe"],
  [s8, -2, "fe", "fe"],
  [s8, -128, "80", "80"],
  [u16, 0x1234, "34 12", "12 34"],
  [u16, 0xffff, "ff ff", "ff ff"],
  [s16, -2, "fe ff", "ff fe"],
  [s16, -32768, "00 80", "80 00"],
  [u32, 0x89abcdef, "ef cd ab 89", "89 ab cd ef"],
  [s32, -2, "fe ff ff ff", "ff ff ff fe"],
  [s32, -2147483648, "00 00 00 80", "80 00 00 00"],
  [u64, 0x0123456789abcdefn, "ef cd ab 89 67 45 23 01", "01 23 45 67 89 ab cd ef"],
  [u64, 0xffffffffffffffffn, "ff ff ff ff ff ff ff ff", "ff ff ff ff ff ff ff ff"],
  [u64, (1n << 53n) + 1n, "01 00 00 00 00 00 20 00", "00 20 00 00 00 00 00 01"],
  [s64, -2n, "fe ff ff ff ff ff ff ff", "ff ff ff ff ff ff ff fe"],
  [s64, -(1n << 63n), "00 00 00 00 00 00 00 80", "80 00 00 00 00 00 00 00"],
  [pa, 0x103e50000n, "00 00 e5 03 01 00 00 00", "00 00 00 01 03 e5 00 00"],
  [le.u16, 0x1234, "34 12", "34 12"],
  [le.u32, 0x89abcdef, "ef cd ab 89", "ef cd ab 89"],
  [le.u64, 0x0123456789abcdefn, "ef cd ab 89 67 45 23 01", "ef cd ab 89 67 45 23 01"],
  [le.s16, -2, "fe ff", "fe ff"],
  [le.s32, -2, "fe ff ff ff", "fe ff ff ff"],
  [le.s64, -2n, "fe ff ff ff ff ff ff ff", "fe ff ff ff ff ff ff ff"],
  [be.u16, 0x1234, "12 34", "12 34"],
  [be.u32, 0x89abcdef, "89 ab cd ef", "89 ab cd ef"],
  [be.u64, 0x0123456789abcdefn, "01 23 45 67 89 ab cd ef", "01 23 45 67 89 ab cd ef"],
  [be.s16, -2, "ff fe", "ff fe"],
  [be.s32, -2, "ff ff ff fe", "ff ff ff fe"],
  [be.s64, -2n, "ff ff ff ff ff ff ff fe", "ff ff ff ff ff ff ff fe"],
];

describe.each(cases)("%o as %s", (layout, value, onLittle, onBig) => {
  it.each([
    ["little", little, onLittle],
    ["big", big, onBig],
  ] as const)("%s-endian bytes, at every alignment, also in a part of a buffer", (_, abi, text) => {
    const wanted = hexBytes(text);
    expect(encode(layout, value, abi)).toEqual(wanted);
    for (let shift = 0; shift < 9; shift++)
      for (let at = 0; at < 9; at++) {
        const around = new Uint8Array(32).fill(0xa5);
        around.set(wanted, shift + at);
        expect(decode(layout, around.subarray(shift), at, abi)).toBe(value);
      }
  });
});

const refused: [Scalar, unknown][] = [
  [u8, 256],
  [u8, -1],
  [u8, 1.5],
  [u8, Number.NaN],
  [u8, "1"],
  [u8, undefined],
  [u8, null],
  [u8, 256n],
  [s8, 128],
  [s8, -129],
  [u16, 65536],
  [s16, 32768],
  [s16, -32769],
  [u32, 2 ** 32],
  [u32, Number.POSITIVE_INFINITY],
  [s32, 2 ** 31],
  [s32, -(2 ** 31) - 1],
  [u64, 1n << 64n],
  [u64, -1n],
  [u64, 2 ** 64],
  [s64, 1n << 63n],
  [s64, -(1n << 63n) - 1n],
  [pa, 1n << 64n],
];

describe("values that do not fit", () => {
  it.each(refused)("%o refuses %s", (layout, value) => {
    const error = failure(() => encode(layout, value as never, little));
    expect(error.code).toBe("value-range");
    const inArray = failure(() => encode(array(layout, 3), [0n, 0, value] as never, little));
    expect(inArray).toMatchObject({ code: "value-range", path: "[2]" });
  });

  it("says what would have fitted", () => {
    expect(failure(() => encode(s16, 40000, little))).toMatchObject({
      expected: "s16, -32768 to 32767",
      actual: "40000",
      message: "expected s16, -32768 to 32767, got 40000",
    });
    expect(failure(() => encode(u64, -1n, little)).expected).toBe("u64, 0 to 18446744073709551615");
  });

  it("takes a number where it is exact", () => {
    expect(encode(u64, 3 as never, little)).toEqual(hexBytes("03 00 00 00 00 00 00 00"));
    expect(encode(u8, -0, little)).toEqual(hexBytes("00"));
  });
});
