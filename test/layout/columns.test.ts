import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Abi,
  array,
  be,
  bits,
  chars,
  columns,
  decode,
  type Field,
  le,
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

/** One column over rows of one 8-byte unit of three bit fields, of which `shift` bits are below the middle one. */
function bitColumn(words: bigint[], abi: Abi, shift: number, width: number, skew: number) {
  const parts: [string, number][] = [
    ["below", shift],
    ["it", width],
    ["above", 64 - shift - width],
  ];
  if (abi.byteOrder === "big") parts.reverse();
  const fields = Object.fromEntries(parts.filter(([, n]) => n > 0).map(([name, n]) => [name, bits(u64, n)]));
  const layout = struct("unit", fields, source) as Struct;
  const bytes = Uint8Array.from([
    ...new Array<number>(skew).fill(0xee),
    ...words.flatMap((word) => integerBytes(word, 8, abi.byteOrder)),
  ]);
  return columns(layout, bytes, skew, words.length, ["it"], abi).it!;
}

describe("hand-written rows", () => {
  it("little-endian", () => {
    const bytes = hexBytes(`56341200 00003000 1000000000000000  ffffffff ffffffff ffffffffffff1f00`);
    const { pfn, flags, index } = columns(folio, bytes, 0, 2, ["pfn", "flags", "index"], little);
    expect(pfn).toEqual(Float64Array.of(0x123456, 2 ** 52 - 1));
    expect(flags).toEqual(Uint16Array.of(3, 0xfff));
    expect(index).toEqual(Float64Array.of(16, 2 ** 53 - 1));
  });

  it("big-endian", () => {
    const bytes = hexBytes(`00000001 23456003 0000000000000010  ffffffff ffffffff 001fffffffffffff`);
    const { pfn, flags, index } = columns(folio, bytes, 0, 2, ["pfn", "flags", "index"], big);
    expect(pfn).toEqual(Float64Array.of(0x123456, 2 ** 52 - 1));
    expect(flags).toEqual(Uint16Array.of(3, 0xfff));
    expect(index).toEqual(Float64Array.of(16, 2 ** 53 - 1));
  });

  it("only the columns asked for, and none of no rows", () => {
    expect(Object.keys(columns(folio, new Uint8Array(16), 0, 1, ["flags"], little))).toEqual(["flags"]);
    expect(columns(folio, new Uint8Array(0), 0, 0, ["pfn"], little).pfn).toEqual(new Float64Array(0));
  });

  it("every scalar has the array of its width", () => {
    const all = struct(
      "all",
      { a: u8, b: s8, c: u16, d: s16, e: u32, f: s32, g: u64, h: s64, i: be.u32, j: le.s16, k: be.s64 },
      source,
    );
    const bytes = hexBytes(`80 80 0180 0180 01000080 01000080 0100000000000080 ffffffffffffffff
      80000001 fe ff fffffffffffffffe`);
    expect(
      columns(all, bytes, 0, 1, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"], little),
    ).toEqual({
      a: Uint8Array.of(0x80),
      b: Int8Array.of(-128),
      c: Uint16Array.of(0x8001),
      d: Int16Array.of(-32767),
      e: Uint32Array.of(0x80000001),
      f: Int32Array.of(-2147483647),
      g: Float64Array.of(2 ** 63),
      h: Float64Array.of(-1),
      i: Uint32Array.of(0x80000001),
      j: Int16Array.of(-2),
      k: Float64Array.of(-2),
    });
  });

  it("bit fields in signed units have no sign", () => {
    const layout = struct(
      "s",
      { a: bits(s32, 32), b: bits(s64, 64), c: bits(s8, 8), d: bits(s16, 16) },
      source,
    );
    const bytes = new Uint8Array(15).fill(0xff);
    expect(columns(layout, bytes, 0, 1, ["a", "b", "c", "d"], little)).toEqual({
      a: Uint32Array.of(0xffffffff),
      b: Float64Array.of(2 ** 64),
      c: Uint8Array.of(255),
      d: Uint16Array.of(65535),
    });
    expect(decode(layout, bytes, 0, little)).toEqual({ a: 0xffffffff, b: 2n ** 64n - 1n, c: 255, d: 65535 });
  });
});

describe.each([
  ["little", little],
  ["big", big],
] as const)("all shifts and widths in 64 bits, %s-endian", (_, abi) => {
  const words = [
    0n,
    (1n << 64n) - 1n,
    0x0123456789abcdefn,
    0xfedcba9876543210n,
    0xaaaaaaaaaaaaaaaan,
    0x5555555555555555n,
    0x8000000000000001n,
    0x00000000ffffffffn,
    0xffffffff00000000n,
  ];
  it.each([0, 1, 4])("rows from byte %d on", (skew) => {
    for (let shift = 0; shift < 64; shift++)
      for (let width = 1; width <= 64 - shift; width++) {
        const column = bitColumn(words, abi, shift, width, skew);
        for (const [i, word] of words.entries()) {
          const exact = (word >> BigInt(shift)) % (1n << BigInt(width));
          if (column[i] !== Number(exact))
            expect.fail(`${width} bits at ${shift} of ${word.toString(16)} are ${column[i]}, not ${exact}`);
        }
      }
  });
});

describe("values beyond 2^53", () => {
  const border = 1n << 53n;
  it.each([little, big])("are never rounded below it, smaller ones are exact", (abi) => {
    const near = [-3n, -2n, -1n, 0n, 1n, 2n, 3n].map((step) => border + step);
    const column = bitColumn([...near, (1n << 64n) - 1n, (1n << 54n) - 1n], abi, 0, 64, 0);
    expect([...column].map((value) => value >= 2 ** 53)).toEqual([
      ...[false, false, false, true, true, true, true],
      ...[true, true],
    ]);
    expect([...column].slice(0, 4)).toEqual([2 ** 53 - 3, 2 ** 53 - 2, 2 ** 53 - 1, 2 ** 53]);
  });

  it("any word, any field", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        fc.nat(63),
        fc.nat(63),
        fc.nat(8),
        fc.constantFrom(little, big),
        (word, shift, room, skew, abi) => {
          const width = 1 + (room % (64 - shift));
          const exact = (word >> BigInt(shift)) % (1n << BigInt(width));
          const got = bitColumn([word], abi, shift, width, skew)[0]!;
          if (exact < border) expect(BigInt(got)).toBe(exact);
          else expect(got).toBeGreaterThanOrEqual(2 ** 53);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("signed ones keep their sign and are exact to -2^53", () => {
    const layout = struct("s", { v: s64 }, source);
    const values = [-1n, -(1n << 32n), -border, -border + 1n, border - 1n, -(1n << 63n), (1n << 32n) - 1n];
    for (const abi of [little, big]) {
      const bytes = Uint8Array.from(values.flatMap((v) => integerBytes(v, 8, abi.byteOrder)));
      const { v } = columns(layout, bytes, 0, values.length, ["v"], abi);
      expect([...v].map(BigInt)).toEqual(values);
    }
  });
});

describe("columns and rows say the same", () => {
  it("of any struct, from any offset", () => {
    fc.assert(
      fc.property(
        anyStruct,
        fc.constantFrom(little, big),
        fc.nat(4),
        fc.nat(9),
        fc.infiniteStream(fc.nat(255)),
        ({ layout }, abi, count, at, stream) => {
          const size = sizeOf(layout, abi);
          const buffer = Uint8Array.from(
            { length: 3 + at + size * count },
            () => stream.next().value as number,
          );
          const bytes = buffer.subarray(3);
          const names = Object.entries(layout.fields)
            .filter(([, field]) => field.kind === "scalar" || field.kind === "bits")
            .map(([name]) => name);
          const table = columns(layout as Struct, bytes, at, count, names, abi);
          for (let i = 0; i < count; i++) {
            const row = decode(layout as Struct, bytes, at + i * size, abi) as Record<
              string,
              number | bigint
            >;
            for (const name of names) expect(table[name]![i], name).toBe(Number(row[name]));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("with a stride that is no multiple of 4", () => {
    const layout = struct("odd", { tag: u8, value: u64, low: bits(u32, 5), high: bits(u32, 27) }, source);
    for (const abi of [little, big]) {
      const bytes = Uint8Array.from({ length: 13 * 7 }, (_, i) => (i * 89 + 7) & 0x1f);
      const table = columns(layout, bytes, 0, 7, ["tag", "value", "low", "high"], abi);
      for (let i = 0; i < 7; i++) {
        const row = decode(layout, bytes, 13 * i, abi);
        expect([table.tag[i], table.value[i], table.low[i], table.high[i]]).toEqual([
          ...[row.tag, Number(row.value), row.low, row.high],
        ]);
      }
    }
  });
});

describe("errors", () => {
  it("bytes-short before anything is read, at the last row", () => {
    expect(failure(() => columns(folio, new Uint8Array(47), 0, 3, ["pfn"], little))).toMatchObject({
      code: "bytes-short",
      expected: "48 bytes",
    });
    expect(failure(() => columns(folio, new Uint8Array(48), 1, 3, ["pfn"], little)).code).toBe("bytes-short");
    expect(failure(() => columns(folio, new Uint8Array(48), 0, 2 ** 40, ["pfn"], little)).code).toBe(
      "bytes-short",
    );
    expect(failure(() => columns(folio, new Uint8Array(48), 0, -1, ["pfn"], little)).code).toBe(
      "bytes-short",
    );
  });

  it.each([chars(4), padding(4), array(u8, 4), struct("n", { a: u8 }, source)])(
    "%o is no column",
    (field) => {
      const layout = struct("x", { it: field as Field }, source);
      expect(failure(() => columns(layout, new Uint8Array(4), 0, 1, ["it"], little)).code).toBe(
        "layout-malformed",
      );
    },
  );
});
