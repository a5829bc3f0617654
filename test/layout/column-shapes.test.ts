import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bits,
  type Column,
  columns,
  decode,
  encodeColumns,
  sizeOf,
  struct,
  u32,
  u64,
} from "../../src/layout/index.js";
import { anyShape, arrayName, border, exactly, someBytes } from "./shapes.js";
import { big, failure, little, source } from "./support.js";

describe("any integers of any struct", () => {
  it("are read as their bits say, aligned or not", () => {
    fc.assert(
      fc.property(
        anyShape,
        fc.constantFrom(0, 1, 3, 4, 7, 2000),
        fc.nat(9),
        fc.integer(),
        fc.boolean(),
        ({ layout, abi, size, places }, count, skew, seed, reversed) => {
          expect(sizeOf(layout, abi)).toBe(size);
          const rows = size > 12 ? Math.min(count, 60) : count;
          const bytes = someBytes(skew + size * rows + 5, seed);
          const names = places.map(({ name }) => name);
          if (reversed) names.reverse();
          const table = columns(layout, bytes, skew, rows, names, abi);
          for (const place of places) {
            const column = table[place.name]!;
            expect(column.constructor.name).toBe(arrayName(place));
            expect(column.length).toBe(rows);
            for (let i = 0; i < rows; i++) {
              const exact = exactly(bytes, skew + i * size, place);
              const got = column[i]!;
              const isRight =
                exact < border && exact > -border ? BigInt(got) === exact : got === Number(exact);
              if (!isRight) expect.fail(`${place.name}[${i}] is ${got}, not ${exact}`);
            }
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it("come back from columns to the same bytes", () => {
    fc.assert(
      fc.property(
        anyShape,
        fc.integer({ min: 1, max: 9 }),
        fc.nat(9),
        fc.integer(),
        fc.boolean(),
        fc.oneof(fc.constant(-1), fc.nat()),
        ({ layout, abi, size, places: all }, count, skew, seed, plain, chosen) => {
          // Members without a column are zeros.
          const places = all.filter((_, k) => ((chosen >> k) & 1) !== 0);
          const bytes = someBytes(skew + size * count, seed);
          // Numbers that a double does not hold are refused: cut them off. What no member names is zeros.
          const wanted = new Uint8Array(bytes.length).fill(0xee);
          wanted.fill(0, skew);
          const table: Record<string, ArrayLike<number>> = {};
          for (const place of places) {
            const column: number[] = [];
            for (let i = 0; i < count; i++) {
              const exact = exactly(bytes, skew + i * size, place) % border;
              column.push(Number(exact));
              const unit = wanted.subarray(skew + i * size + place.offset).subarray(0, place.bytes);
              let rest = (exact < 0n ? exact + 2n ** BigInt(place.width) : exact) << BigInt(place.shift);
              for (let b = 0; b < place.bytes; b++) {
                unit[place.order === "little" ? b : place.bytes - 1 - b]! |= Number(rest % 256n);
                rest /= 256n;
              }
            }
            table[place.name] = plain ? column : Float64Array.from(column);
          }
          const got = new Uint8Array(bytes.length).fill(0xee);
          encodeColumns(layout, table, got, skew, count, abi);
          expect(got).toEqual(wanted);
        },
      ),
      { numRuns: 800 },
    );
  });

  it("are refused where one does not fit: the first of the first such column", () => {
    const bad = fc.constantFrom(
      -1,
      0.5,
      Number.NaN,
      2 ** 64,
      -(2 ** 64),
      Number.POSITIVE_INFINITY,
      undefined,
    );
    fc.assert(
      fc.property(
        anyShape,
        fc.array(fc.tuple(fc.nat(), fc.nat(8), bad), { minLength: 1, maxLength: 3 }),
        ({ layout, abi, size, places }, faults) => {
          fc.pre(places.length > 0);
          const table: Record<string, number[]> = {};
          for (const { name } of places) table[name] = new Array<number>(9).fill(0);
          const expected: { column: number; row: number; value: unknown }[] = [];
          for (const [at, row, value] of faults) {
            const column = at % places.length;
            const { name, signed } = places[column]!;
            if (signed && value === -1) continue;
            table[name]![row] = value as number;
            expected.push({ column, row, value });
          }
          fc.pre(expected.length > 0);
          const rank = ({ column, row }: { column: number; row: number }) => column * 9 + row;
          const first = expected.reduce((a, b) => (rank(b) < rank(a) ? b : a));
          const path = `shape[${first.row}].${places[first.column]!.name}`;
          expect(
            failure(() => encodeColumns(layout, table, new Uint8Array(size * 9), 0, 9, abi)),
          ).toMatchObject({
            code: "value-range",
            path,
            actual: String(table[places[first.column]!.name]![first.row]),
          });
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("the largest value of every field of 64 bits fits, the next one does not", () => {
  it.each([little, big])("%o", (abi) => {
    for (let width = 1; width < 64; width++)
      for (const first of [true, false]) {
        const parts = first ? [width, 64 - width] : [64 - width, width];
        const layout = struct("unit", { a: bits(u64, parts[0]!), b: bits(u64, parts[1]!) }, source);
        const name = first ? "a" : "b";
        const most = 2 ** Math.min(width, 53) - 1;
        const bytes = new Uint8Array(16);
        const table = (value: number) => ({ a: [0, 0], b: [0, 0], [name]: [0, value] }) as never;
        encodeColumns(layout, table(most), bytes, 0, 2, abi);
        expect(Number(decode(layout, bytes, 8, abi)[name])).toBe(most);
        expect(failure(() => encodeColumns(layout, table(most + 1), bytes, 0, 2, abi)).path).toBe(
          `unit[1].${name}`,
        );
      }
  });
});

it("a value that does not fit is found in every row of every column", () => {
  const layout = struct(
    "row",
    {
      pfn: bits(u64, 52),
      flags: bits(u64, 12),
      index: u64,
      low: bits(u64, 12),
      high: bits(u64, 52),
      note: u32,
      tag: u32,
    },
    source,
  );
  const ends = {
    pfn: 2 ** 52,
    flags: 4096,
    index: 2 ** 53,
    low: 4096,
    high: 2 ** 52,
    note: 2 ** 32,
    tag: 2 ** 32,
  };
  type Name = keyof typeof ends;
  // All, and those of which none or one is in each word.
  const sets: Name[][] = [
    Object.keys(ends) as Name[],
    ["pfn", "flags", "index", "note", "tag"],
    ["high", "tag"],
  ];
  for (const abi of [little, big])
    for (const skew of [0, 4, 1])
      for (const names of sets)
        for (const name of names)
          for (let row = 0; row < 11; row++)
            for (const value of [ends[name], -1, 0.5, Number.NaN]) {
              const table = Object.fromEntries(
                names.map((column) => [column, new Float64Array(11).fill(ends[column] - 1)]),
              ) as Record<Name, Float64Array>;
              table[name][row] = value;
              const out = new Uint8Array(skew + 32 * 11);
              const error = failure(() => encodeColumns(layout, table, out, skew, 11, abi));
              expect(error).toMatchObject({ code: "value-range", path: `row[${row}].${name}` });
            }
});

describe("columns that are there already", () => {
  const folio = struct("folio", { pfn: bits(u64, 52), flags: bits(u64, 12), index: u64, note: u32 }, source);
  const names = ["pfn", "flags", "index", "note"] as const;
  const bytes = someBytes(20 * 300, 3);
  const fresh = columns(folio, bytes, 0, 300, names, little);
  const given = (length = 300): Record<(typeof names)[number], Column> => ({
    pfn: new Float64Array(length).fill(7),
    flags: new Uint16Array(length).fill(7),
    index: new Float64Array(length).fill(7),
    note: new Uint32Array(length).fill(7),
  });

  it("are filled and returned", () => {
    const into = Object.freeze(given());
    expect(columns(folio, bytes, 0, 300, names, little, into)).toBe(into);
    expect(into).toEqual(fresh);
  });
  it("may be longer than needed, keep what is behind, and take further members that are not asked for", () => {
    const into = given(301);
    const result = columns(folio, bytes, 20, 2, ["pfn", "flags"], little, into);
    expect(result).toBe(into);
    for (const name of ["pfn", "flags"] as const)
      expect([...into[name].subarray(0, 3)]).toEqual([fresh[name][1], fresh[name][2], 7]);
    expect(into.index.every((value) => value === 7)).toBe(true);
  });
  it("may be views of larger buffers", () => {
    const whole = new Uint8Array(8 * 400).fill(0xaa);
    const into = { ...given(), pfn: new Float64Array(whole.buffer, 8, 300) };
    columns(folio, bytes, 0, 300, names, little, into);
    expect(into.pfn).toEqual(fresh.pfn);
    expect([whole[7], whole[8 + 8 * 300]]).toEqual([0xaa, 0xaa]);
  });
  it.each<[string, Partial<Record<(typeof names)[number], Column>>]>([
    ["too short", { flags: new Uint16Array(299) }],
    ["of another type", { flags: new Uint32Array(300) }],
    ["of doubles where integers belong", { flags: new Float64Array(300) }],
    ["missing", { flags: undefined as never }],
  ])("are refused if one is %s, and nothing is filled", (_, wrong) => {
    const into = { ...given(), ...wrong };
    const error = failure(() => columns(folio, bytes, 0, 300, names, little, into));
    expect(error).toMatchObject({ code: "usage", expected: "Uint16Array of at least 300" });
    expect(error.message).toContain("flags");
    expect(into.pfn.every((value) => value === 7)).toBe(true);
  });
});
