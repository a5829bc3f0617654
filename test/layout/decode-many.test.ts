import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bits,
  bytes,
  chars,
  decode,
  decodeMany,
  encode,
  rows,
  type Struct,
  sizeOf,
  struct,
  u16,
  u32,
  u64,
} from "../../src/layout/index.js";
import { anySample, anyStruct, big, failure, hexBytes, little, source } from "./support.js";

describe("many values", () => {
  it("are what was worked out by hand, of any layout", () => {
    fc.assert(
      fc.property(
        anySample,
        fc.constantFrom(little, big),
        fc.nat(4),
        fc.nat(5),
        (sample, abi, count, offset) => {
          const one = sample.bytes(abi.byteOrder);
          const all = Uint8Array.from([
            ...new Array<number>(offset).fill(0xee),
            ...new Array<number[]>(count).fill(one).flat(),
          ]);
          const values = decodeMany(sample.layout, all, offset, count, abi);
          expect(values).toStrictEqual(new Array<unknown>(count).fill(sample.value));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("are those that decode gives one by one, of any bytes", () => {
    fc.assert(
      fc.property(
        anyStruct,
        fc.constantFrom(little, big),
        fc.integer({ min: 1, max: 5 }),
        fc.infiniteStream(fc.nat(255)),
        ({ layout }, abi, count, stream) => {
          const size = sizeOf(layout, abi);
          const all = Uint8Array.from({ length: 3 + size * count }, () => stream.next().value as number);
          const values = decodeMany(layout, all, 3, count, abi);
          expect(values.length).toBe(count);
          const lazily = rows(layout, all, 3, count, abi);
          for (const [i, value] of values.entries()) {
            expect(value).toStrictEqual(decode(layout, all, 3 + i * size, abi));
            expect(Object.keys(value)).toEqual(
              Object.entries(layout.fields).flatMap(([name, { kind }]) => (kind === "padding" ? [] : [name])),
            );
            for (const [name, member] of Object.entries(value))
              expect((lazily.row(i) as Record<string, unknown>)[name]).toStrictEqual(member);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it("are plain objects that can be changed, spread and encoded again", () => {
    const layout = struct("file", { name: chars(4), data: u64 }, source);
    const all = hexBytes("61620000 0100000000000000 63646566 0000000000000080");
    const values = decodeMany(layout, all, 0, 2, little);
    expect(values).toStrictEqual([
      { name: "ab", data: 1n },
      { name: "cdef", data: 2n ** 63n },
    ]);
    for (const value of values) {
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      expect(value.constructor).toBe(Object);
      expect({ ...value }).toStrictEqual(value);
    }
    values[0]!.data = 5n;
    expect(encode(layout, values[0]!, little)).toEqual(hexBytes("61620000 0500000000000000"));
    expect(decodeMany(layout, all, 0, 1, little)[0]!.data).toBe(1n);
  });

  it("may have members of any name", () => {
    const layout = struct("names", { constructor: u16, toString: u16, a: u32 }, source) as unknown as Struct;
    expect(decodeMany(layout, hexBytes("0100 0200 03000000"), 0, 1, little)).toEqual([
      Object.fromEntries([
        ["constructor", 1],
        ["toString", 2],
        ["a", 3],
      ]),
    ]);
  });

  it("of bit fields are numbers up to 53 bits, and bigints above", () => {
    const layout = struct(
      "bits",
      { low: bits(u64, 11), high: bits(u64, 53), all: bits(u64, 64), a: bits(u32, 31), b: bits(u32, 1) },
      source,
    );
    const all = new Uint8Array(20).fill(0xff);
    expect(decodeMany(layout, all, 0, 1, little)).toStrictEqual([
      { low: 0x7ff, high: 2 ** 53 - 1, all: 2n ** 64n - 1n, a: 0x7fffffff, b: 1 },
    ]);
  });

  it("keep their bytes in place", () => {
    const all = Uint8Array.of(1, 2, 3, 4);
    const [, second] = decodeMany(struct("raw", { raw: bytes(2) }, source), all, 0, 2, little);
    all[3] = 9;
    expect(second!.raw).toEqual(Uint8Array.of(3, 9));
  });
});

it("text of every length comes out as it was put in, terminated or not", () => {
  for (let length = 0; length <= 70; length++)
    for (const room of [length, length + 1, 80])
      for (const ending of ["", "é", "\udcff"]) {
        const layout = struct("text", { text: chars(room + 3), next: u16 }, source);
        const text = "abcdefghij".repeat(7).slice(0, length) + ending;
        const written = encode(layout, { text, next: 0x4141 }, little);
        expect(decode(layout, written, 0, little)).toStrictEqual({ text, next: 0x4141 });
      }
});

it("bytes-short before anything is read", () => {
  const layout = struct("two", { a: u32 }, source);
  for (const [offset, count] of [
    [0, 3],
    [1, 2],
    [-1, 1],
    [0, -1],
    [0, 2 ** 40],
    [0, Number.NaN],
  ] as const)
    expect(failure(() => decodeMany(layout, new Uint8Array(8), offset, count, little)).code).toBe(
      "bytes-short",
    );
  expect(decodeMany(layout, new Uint8Array(0), 0, 0, little)).toEqual([]);
});
