import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import wabt from "wabt";
import { kernelsFor } from "../../src/layout/column-kernels.js";
import { columnKernelsWasm } from "../../src/layout/column-kernels-wasm.js";
import { type Column, type ColumnArray, planOf } from "../../src/layout/column-plan.js";
import { stepsOf } from "../../src/layout/column-steps.js";
import {
  type Abi,
  bits,
  columns,
  encodeColumns,
  padding,
  type Struct,
  s16,
  s64,
  struct,
  u8,
  u16,
  u32,
  u64,
} from "../../src/layout/index.js";
import { anyShape, border, exactly, type Place, someBytes } from "./shapes.js";
import { failure, little, source } from "./support.js";

it("the embedded bytes are what the text assembles to", async () => {
  const text = new URL("../../src/layout/column-kernels.wat", import.meta.url);
  const { parseWat } = await wabt();
  const module = parseWat("column-kernels.wat", readFileSync(text, "utf8"), { simd: true });
  expect(Buffer.from(module.toBinary({}).buffer).toString("base64")).toBe(columnKernelsWasm);
});

interface Way {
  readonly columns: typeof columns;
  readonly encodeColumns: typeof encodeColumns;
}

const inWasm: Way = { columns, encodeColumns };

/** To the bit, and at once: columns are long. */
function sameColumns(got: object, wanted: object): void {
  const raw = (table: object) =>
    Object.entries(table as Record<string, Column>).map(([name, column]) => [
      name,
      column.constructor.name,
      column.length,
      Buffer.from(column.buffer, column.byteOffset, column.byteLength).toString("latin1"),
    ]);
  expect(raw(got)).toEqual(raw(wanted));
}

/** The same code where there is no WebAssembly: what it has found out once stays so. */
async function withoutWasm(): Promise<Way> {
  vi.stubGlobal("WebAssembly", undefined);
  vi.resetModules();
  const again = await import("../../src/layout/index.js");
  expect((await import("../../src/layout/column-kernels.js")).kernelsFor(1000)).toBeUndefined();
  vi.unstubAllGlobals();
  return again as Way;
}

const plain = await withoutWasm();

const folio = struct("folio", { pfn: bits(u64, 52), flags: bits(u64, 12), index: u64 }, source) as Struct;
/** Columns of every width, those that are ORed in as well as those that fill their rows, and rows of odd sizes. */
const layouts: [Struct, string[]][] = [
  [folio, ["pfn", "flags", "index"]],
  [folio, ["index", "flags"]],
  [folio, ["flags", "pfn"]],
  [struct("whole", { a: u64, b: u64 }, source) as Struct, ["b", "a"]],
  [struct("high", { low: bits(u64, 12), high: bits(u64, 52) }, source) as Struct, ["low", "high"]],
  [
    struct(
      "many",
      { a: u8, b: u16, c: u32, d: u64, e: bits(u64, 20), f: bits(u64, 30), g: bits(u64, 14) },
      source,
    ),
    ["a", "b", "c", "d", "e", "f", "g"],
  ],
  [struct("odd", { a: bits(u64, 48), b: bits(u64, 16), c: u8, gap: padding(2) }, source), ["a", "b", "c"]],
  [struct("byte", { a: u8 }, source), ["a"]],
  [struct("signs", { a: s16, b: s64, c: u32 }, source), ["a", "b", "c"]],
] as [Struct, string[]][];

const named = layouts.map(([layout, names]) => [`${layout.name} ${names}`, layout, names] as const);

const windowOf = (layout: Struct, names: string[]): number => planOf(layout, names, little).inKernels!.rows;

it("WebAssembly is there where Node is, and is used where it pays", () => {
  expect(kernelsFor(64)).toBeDefined();
  expect(kernelsFor(64)).toBe(kernelsFor(65));
  expect(kernelsFor(63)).toBeUndefined();
  for (const [layout, names] of layouts) expect(windowOf(layout, names)).toBeGreaterThanOrEqual(64);
  expect(planOf(folio, ["pfn", "flags", "index"], little).inKernels).toMatchObject({
    writes: true,
    fillsRows: true,
    steps: [
      { read: "readPairs", write: "putPairs" },
      { read: "readWhole", write: "putDoubles" },
    ],
  });
});

it("nobody copies large rows for a few of their bytes", () => {
  const { integer } = planOf(struct("one", { a: u64 }, source) as Struct, ["a"], little).columns[0]!;
  expect(stepsOf([integer], 16)).toBeDefined();
  expect(stepsOf([integer], 17)).toBeUndefined();
  expect(stepsOf(new Array(100).fill(integer), 1025)).toBeUndefined();
});

describe("rows to columns", () => {
  it("are what their bits say, as without WebAssembly", () => {
    fc.assert(
      fc.property(
        anyShape,
        fc.constantFrom(63, 64, 65, 66, 67, 130),
        fc.nat(9),
        fc.integer(),
        fc.integer({ min: 1, max: 255 }),
        ({ layout, abi, size, places }, count, skew, seed, chosen) => {
          const bytes = someBytes(skew + size * count, seed);
          const some = places.filter((_, k) => ((chosen >> k) & 1) !== 0);
          const names = some.map(({ name }) => name);
          const table = inWasm.columns(layout, bytes, skew, count, names, abi);
          sameColumns(table, plain.columns(layout, bytes, skew, count, names, abi));
          for (const place of some)
            for (let i = 0; i < count; i++) {
              const got = table[place.name]![i]!;
              const exact = Number(exactly(bytes, skew + i * size, place));
              if (!Object.is(got, exact)) expect.fail(`${place.name}[${i}] is ${got}, not ${exact}`);
            }
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each(named)("%s, in windows of every length", (_, layout, names) => {
    const { size } = planOf(layout, names, little);
    const window = windowOf(layout, names);
    const bytes = someBytes(1 + size * (2 * window + 3), 77);
    for (const count of [0, 1, 63, 64, window - 1, window, window + 1, window + 64, 2 * window + 3])
      for (const skew of [0, 1])
        sameColumns(
          inWasm.columns(layout, bytes, skew, count, names, little),
          plain.columns(layout, bytes, skew, count, names, little),
        );
  });

  it("round what is 2^53 or more, and never to below that", () => {
    const values = [
      ...[-2n, -1n, 0n, 1n, 2n, 3n].flatMap((near) => [52n, 53n, 54n, 63n].map((bit) => 2n ** bit + near)),
      2n ** 64n - 1n,
      2n ** 64n - 1024n,
      2n ** 64n - 1025n,
      2n ** 63n + 1024n,
      2n ** 63n + 1025n,
      2n ** 63n + 3072n,
    ];
    const units = BigUint64Array.from([...values, ...values, ...values]);
    const bytes = new Uint8Array(units.buffer);
    for (const whole of [u64, s64]) {
      const layout = struct("unit", { a: whole }, source) as Struct;
      const { a } = inWasm.columns(layout, bytes, 0, units.length, ["a"], little);
      const sized = (value: bigint) => (whole === s64 ? BigInt.asIntN(64, value) : value);
      expect([...a!]).toEqual([...units].map((value) => Number(sized(value))));
    }
  });

  it("go into views, behind which nothing changes", () => {
    const bytes = someBytes(16 * 100, 5);
    const around = new Float64Array(104).fill(7);
    const flags = new Uint16Array(101).fill(7);
    const into = { pfn: around.subarray(2, 102), flags, index: new Float64Array(100) };
    columns(folio, bytes, 0, 99, ["pfn", "flags", "index"], little, into);
    expect([...around.subarray(0, 2), ...around.subarray(101)]).toEqual([7, 7, 7, 7, 7]);
    expect([...flags.subarray(99)]).toEqual([7, 7]);
    expect(around.subarray(2, 101)).toEqual(plain.columns(folio, bytes, 0, 99, ["pfn"], little).pfn);
  });
});

/** Columns of the types that rows are read to, cut off where a double would not hold them. */
function columnsOf(bytes: Uint8Array, skew: number, count: number, size: number, places: readonly Place[]) {
  const table: Record<string, Column> = {};
  for (const place of places) {
    const most = place.width > 32 ? new Float64Array(count) : undefined;
    const bytesEach = place.width <= 8 ? 1 : place.width <= 16 ? 2 : 4;
    const arrays = place.signed
      ? [Int8Array, Int16Array, Int32Array]
      : [Uint8Array, Uint16Array, Uint32Array];
    const column = most ?? new (arrays[bytesEach >> 1] as ColumnArray)(count);
    for (let i = 0; i < count; i++) column[i] = Number(exactly(bytes, skew + i * size, place) % border);
    table[place.name] = column;
  }
  return table;
}

/** What comes of writing: the bytes as characters, which are compared at once, or what is wrong. */
function written(
  way: Way,
  layout: Struct,
  table: object,
  size: number,
  skew: number,
  count: number,
  abi: Abi,
) {
  const bytes = new Uint8Array(skew + size * count + 9).fill(0xee);
  try {
    way.encodeColumns(layout, table as never, bytes, skew, count, abi);
    return Buffer.from(bytes).toString("latin1");
  } catch {
    const { code, message, path, expected, actual } = failure(() =>
      way.encodeColumns(layout, table as never, bytes, skew, count, abi),
    );
    return {
      code,
      message,
      path,
      expected,
      actual,
      around: [...bytes.subarray(0, skew), ...bytes.slice(-9)],
    };
  }
}

describe("columns to rows", () => {
  it("are read back, and are the same without WebAssembly", () => {
    fc.assert(
      fc.property(
        anyShape,
        fc.constantFrom(63, 64, 65, 66, 67, 130),
        fc.nat(9),
        fc.integer(),
        fc.integer({ min: 1, max: 255 }),
        ({ layout, abi, size, places }, count, skew, seed, chosen) => {
          const some = places.filter((_, k) => ((chosen >> k) & 1) !== 0);
          const table = columnsOf(someBytes(skew + size * count, seed), skew, count, size, some);
          const text = written(inWasm, layout, table, size, skew, count, abi);
          expect(text).toEqual(written(plain, layout, table, size, skew, count, abi));
          const got = Uint8Array.from(Buffer.from(text as string, "latin1"));
          sameColumns(plain.columns(layout, got, skew, count, Object.keys(table), abi), table);
          expect([...got.subarray(0, skew), ...got.slice(-9)].every((byte) => byte === 0xee)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each(named)("%s, in windows of every length", (_, layout, names) => {
    const { size } = planOf(layout, names, little);
    const window = windowOf(layout, names);
    const most = 2 * window + 3;
    const all = plain.columns(layout, someBytes(size * most, 78), 0, most, names, little) as Record<
      string,
      Column
    >;
    for (const column of Object.values(all))
      if (column instanceof Float64Array) column.set(column.map((value) => value % 2 ** 53));
    for (const count of [0, 1, 63, 64, window - 1, window, window + 1, window + 64, most])
      for (const skew of [0, 1]) {
        const exact = Object.fromEntries(names.map((name) => [name, all[name]!.slice(0, count)]));
        const expected = written(plain, layout, exact, size, skew, count, little);
        expect(expected).toBeTypeOf("string");
        for (const table of [exact, all])
          expect(written(inWasm, layout, table, size, skew, count, little)).toEqual(expected);
      }
  });

  const odd = [
    -1,
    -0,
    0.5,
    2 ** 51 + 0.5,
    2 ** 52 - 1,
    2 ** 52 - 0.5,
    2 ** 52,
    2 ** 52 + 1,
    2 ** 53 - 1,
    2 ** 53,
    2 ** 63,
    2 ** 64,
    -(2 ** 52),
    -(2 ** 53),
    5e-324,
    Number.MAX_VALUE,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    4095,
    4096,
    65535,
    2 ** 20,
    2 ** 30 - 1,
    2 ** 30,
    2 ** 48,
  ];
  it.each(named)("%s: one odd number in any row of any column", (_, layout, names) => {
    const { size, columns: members } = planOf(layout, names, little);
    const window = windowOf(layout, names);
    const count = window + 70;
    const table = Object.fromEntries(
      members.map(({ name, array }) => [name, new array(count).fill(1) as Column]),
    );
    for (const name of names)
      for (const row of [0, 3, window - 1, window, window + 69])
        for (const value of odd) {
          table[name]![row] = value;
          expect(
            written(inWasm, layout, table, size, 0, count, little),
            `${name}[${row}] = ${value}`,
          ).toEqual(written(plain, layout, table, size, 0, count, little));
          table[name]![row] = 1;
        }
  });

  it("columns of other kinds are as good, and short ones have no value behind their end", () => {
    const exact = columns(folio, someBytes(16 * 70, 3).fill(0x0f), 0, 70, ["pfn", "flags", "index"], little);
    const expected = written(plain, folio, exact, 16, 0, 70, little);
    for (const flags of [[...exact.flags!], Uint32Array.from(exact.flags!), Float64Array.from(exact.flags!)])
      expect(written(inWasm, folio, { ...exact, flags }, 16, 0, 70, little)).toEqual(expected);
    const short = written(inWasm, folio, { ...exact, flags: new Uint16Array(69) }, 16, 0, 70, little);
    expect(short).toMatchObject({ code: "value-range", path: "folio[69].flags", actual: "undefined" });
  });
});
