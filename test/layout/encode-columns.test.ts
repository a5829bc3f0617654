import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Abi,
  bits,
  chars,
  columns,
  encode,
  encodeColumns,
  padding,
  type Struct,
  s8,
  s16,
  s32,
  s64,
  sizeOf,
  struct,
  u8,
  u16,
  u32,
  u64,
} from "../../src/layout/index.js";
import { anyStruct, big, failure, hexBytes, integerBytes, little, source } from "./support.js";

const folio = struct("folio", { pfn: bits(u64, 52), flags: bits(u64, 12), index: u64 }, source);

const rows = <N extends string>(
  layout: Struct,
  table: Record<N, ArrayLike<number>>,
  count: number,
  abi: Abi,
): Uint8Array => {
  const bytes = new Uint8Array(sizeOf(layout, abi) * count).fill(0xee);
  encodeColumns(layout, table, bytes, 0, count, abi);
  return bytes;
};

describe("hand-written rows", () => {
  const table = {
    pfn: Float64Array.of(0x123456, 2 ** 52 - 1),
    flags: [3, 0xfff],
    index: Float64Array.of(16, 2 ** 53 - 1),
  };
  it("little-endian", () => {
    const bytes = hexBytes(`56341200 00003000 1000000000000000  ffffffff ffffffff ffffffffffff1f00`);
    expect(rows(folio, table, 2, little)).toEqual(bytes);
  });
  it("big-endian", () => {
    const bytes = hexBytes(`00000001 23456003 0000000000000010  ffffffff ffffffff 001fffffffffffff`);
    expect(rows(folio, table, 2, big)).toEqual(bytes);
  });
  it("members without a column, and padding, are zeros; bytes around the rows stay", () => {
    const layout = struct("some", { a: u8, gap: padding(2), name: chars(3), b: u16, c: u32 }, source);
    const bytes = new Uint8Array(30).fill(0xee);
    encodeColumns(layout, { b: [0x1234, 0x5678, 9] }, bytes, 3, 2, little);
    expect(bytes).toEqual(hexBytes("eeeeee 000000000000 3412 00000000 000000000000 7856 00000000 eeeeee"));
  });
});

/** A field of `width` bits at `shift` of one 8-byte unit. */
function unit(abi: Abi, shift: number, width: number): Struct {
  const parts: [string, number][] = [
    ["below", shift],
    ["it", width],
    ["above", 64 - shift - width],
  ];
  if (abi.byteOrder === "big") parts.reverse();
  return struct(
    "unit",
    Object.fromEntries(parts.filter(([, n]) => n > 0).map(([name, n]) => [name, bits(u64, n)])),
    source,
  ) as Struct;
}

describe.each([
  ["little", little],
  ["big", big],
] as const)("all shifts and widths in 64 bits, %s-endian", (_, abi) => {
  const values = [0n, 1n, 2n ** 53n - 1n, 0x15555555555555n, 0xabcdef01234567n, 0x100000000n, 0xffffffffn];
  it.each([0, 1, 4])("rows from byte %d on", (skew) => {
    for (let shift = 0; shift < 64; shift++)
      for (let width = 1; width <= 64 - shift; width++) {
        const cut = values.map((value) => value % 2n ** BigInt(Math.min(width, 53)));
        const bytes = new Uint8Array(skew + 8 * cut.length).fill(0xee);
        encodeColumns(unit(abi, shift, width), { it: cut.map(Number) }, bytes, skew, cut.length, abi);
        const expected = cut.flatMap((value) => integerBytes(value << BigInt(shift), 8, abi.byteOrder));
        if (!expected.every((byte, i) => bytes[skew + i] === byte)) expect.fail(`${width} bits at ${shift}`);
      }
  });
});

describe("what rows say", () => {
  it("comes out of the columns of any struct as its encoder writes it", () => {
    fc.assert(
      fc.property(
        anyStruct,
        fc.constantFrom(little, big),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(4),
        ({ layout, value }, abi, count, at) => {
          const integers = Object.entries(layout.fields).filter(
            ([, { kind }]) => kind === "scalar" || kind === "bits",
          );
          const row = value as Record<string, number | bigint>;
          // What a double cannot hold is refused, as the next test says.
          fc.pre(integers.every(([name]) => BigInt(row[name]!) ** 2n < 2n ** 106n));
          const only = struct("only", Object.fromEntries(integers), source) as Struct;
          const size = sizeOf(only, abi);
          const expected = encode(only, row as never, abi);
          const buffer = new Uint8Array(3 + at + size * count).fill(0xee);
          const table = Object.fromEntries(
            integers.map(([name]) => [name, new Array<number>(count).fill(Number(row[name]))]),
          );
          encodeColumns(only, table, buffer.subarray(3), at, count, abi);
          for (let i = 0; i < count; i++)
            expect(buffer.subarray(3 + at + i * size, 3 + at + (i + 1) * size)).toEqual(expected);
          expect([...buffer.subarray(0, 3 + at)].every((byte) => byte === 0xee)).toBe(true);
        },
      ),
      { numRuns: 300, seed: 3 },
    );
  });

  it("is read back by columns", () => {
    const signed = struct(
      "signed",
      { a: s8, b: s16, c: s32, d: s64, e: bits(s32, 7), f: bits(s32, 25) },
      source,
    );
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.integer({ min: -128, max: 127 }),
            fc.integer({ min: -32768, max: 32767 }),
            fc.integer(),
            fc.maxSafeInteger(),
            fc.nat(127),
            fc.nat(2 ** 25 - 1),
          ),
          { maxLength: 9 },
        ),
        fc.constantFrom(little, big),
        (list, abi) => {
          const names = ["a", "b", "c", "d", "e", "f"] as const;
          const table = Object.fromEntries(names.map((name, k) => [name, list.map((row) => row[k]!)]));
          const bytes = rows(signed as Struct, table, list.length, abi);
          const back = columns(signed, bytes, 0, list.length, names, abi);
          for (const name of names) expect([...back[name]]).toEqual(table[name]);
        },
      ),
    );
  });
});

describe("errors", () => {
  const refused = (table: Record<string, ArrayLike<number>>) =>
    failure(() => rows(folio as Struct, table, 3, little));
  it.each([
    ["pfn", 2 ** 52, "0 to 4503599627370495"],
    ["pfn", -1, "0 to 4503599627370495"],
    ["pfn", 0.5, "0 to 4503599627370495"],
    ["pfn", Number.NaN, "0 to 4503599627370495"],
    ["flags", 4096, "0 to 4095"],
    ["index", 2 ** 53, "0 to 9007199254740991"],
    ["index", Number.POSITIVE_INFINITY, "0 to 9007199254740991"],
  ])("%s cannot be %d", (name, value, expected) => {
    expect(refused({ [name]: [0, 1, value] })).toMatchObject({
      code: "value-range",
      path: `folio[2].${name}`,
      expected,
      actual: String(value),
    });
  });
  it("a column that is too short", () => {
    expect(refused({ pfn: [1, 2] })).toMatchObject({ code: "value-range", path: "folio[2].pfn" });
  });
  it.each([
    [s8, -129],
    [s8, 128],
    [u8, 256],
    [s16, -32769],
    [u32, 2 ** 32],
    [s32, 2 ** 31],
    [s64, -(2 ** 53)],
  ])("%o cannot be %d", (scalar, value) => {
    const layout = struct("one", { it: scalar }, source) as Struct;
    expect(failure(() => rows(layout, { it: [value] }, 1, big)).code).toBe("value-range");
  });
  it("no room, no integer", () => {
    expect(failure(() => encodeColumns(folio, { pfn: [1] }, new Uint8Array(15), 0, 1, little)).code).toBe(
      "bytes-short",
    );
    const layout = struct("text", { it: chars(4) }, source);
    expect(failure(() => encodeColumns(layout, { it: [1] }, new Uint8Array(4), 0, 1, little)).code).toBe(
      "layout-malformed",
    );
  });
});
