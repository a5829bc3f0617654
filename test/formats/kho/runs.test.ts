import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newRuns, type Runs } from "../../../formats/kho/runs.js";

type Row = [order: number, pfn: number, count: number];

const rowsOf = (runs: Runs): Row[] =>
  Array.from({ length: runs.length }, (_, i) => [runs.order[i]!, runs.pfn[i]!, runs.count[i]!]);

/** Sorted as a list of objects, then merged. */
function plainly(rows: readonly Row[]): Row[] {
  const merged: Row[] = [];
  for (const [order, pfn, count] of [...rows].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const last = merged.at(-1);
    if (last && last[0] === order && last[1] + last[2] * 2 ** order === pfn) last[2] += count;
    else merged.push([order, pfn, count]);
  }
  return merged;
}

/** What `push` does at once. */
function pushed(rows: readonly Row[]): Row[] {
  const kept: Row[] = [];
  for (const [order, pfn, count] of rows) {
    const last = kept.at(-1);
    if (last && last[0] === order && last[1] + last[2] * 2 ** order === pfn) last[2] += count;
    else kept.push([order, pfn, count]);
  }
  return kept;
}

const row = fc
  .tuple(fc.constantFrom(0, 1, 9, 51), fc.nat(30), fc.nat(4))
  .map(([order, block, count]): Row => [order, block * 2 ** order, count]);
/** Runs that ascend, of one order, as a piece of a map has them. */
const piece = fc
  .tuple(
    fc.constantFrom(0, 4, 9),
    fc.nat(1000),
    fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 5 }))),
  )
  .map(([order, start, steps]) => {
    let block = start;
    return steps.map(([gap, count]): Row => {
      const at = block + gap;
      block = at + count;
      return [order, at * 2 ** order, count];
    });
  });
const lists = fc.oneof(
  fc.array(row, { maxLength: 60 }),
  fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.flat()),
);

describe("runs that are finished", () => {
  it("are sorted and merged as a plain list would be, whatever order they come in", () => {
    fc.assert(
      fc.property(lists, (rows) => {
        const builder = newRuns();
        for (const [order, pfn, count] of rows) builder.push(order, pfn, count);
        const once = pushed(rows);
        expect(builder.length).toBe(once.length);
        const runs = builder.finish();
        expect(rowsOf(runs)).toEqual(plainly(once));
        expect([runs.order.length, runs.pfn.length, runs.count.length]).toEqual(
          new Array(3).fill(runs.length),
        );
        // A builder may go on: what it gave stays as it was.
        builder.push(3, 8, 1);
        expect(rowsOf(runs)).toEqual(plainly(once));
        expect(rowsOf(builder.finish())).toEqual(plainly([...once, [3, 8, 1]]));
      }),
      { numRuns: 1000 },
    );
  });

  it("are sorted where thousands come backwards, and in two that alternate", () => {
    const backwards = Array.from({ length: 5000 }, (_, i): Row => [0, 3 * (5000 - i), 1]);
    const twice = Array.from({ length: 5000 }, (_, i): Row => [i % 2, 4 * (i % 7) * 1000 + 4 * i, 1]);
    for (const rows of [backwards, twice]) {
      const builder = newRuns();
      for (const [order, pfn, count] of rows) builder.push(order, pfn, count);
      expect(rowsOf(builder.finish())).toEqual(plainly(rows));
    }
  });
});

it("goes on with the last run, however many there are before it", () => {
  const builder = newRuns();
  for (let i = 0; i < 5000; i++) {
    builder.push(0, 10 * i, 1);
    builder.push(0, 10 * i + 1, 2);
    builder.pushEdges(0, 10 * i, Int32Array.of(3, 5), 2);
    expect(builder.length).toBe(i + 1);
  }
  expect(rowsOf(builder.finish())).toEqual(Array.from({ length: 5000 }, (_, i) => [0, 10 * i, 5]));
});

describe("runs from the edges of a bitmap", () => {
  it("are those that are pushed one by one", () => {
    const edges = fc
      .uniqueArray(fc.nat(32768), { maxLength: 700 })
      .map((all) => all.slice(0, all.length & ~1).sort((a, b) => a - b));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(0, 9), fc.constantFrom(0, 1, 2), edges), { maxLength: 6 }),
        (bitmaps) => {
          const bulk = newRuns();
          const single = newRuns();
          for (const [order, number, places] of bitmaps) {
            const base = number * 32768 * 2 ** order;
            // Behind the last one that counts is what an earlier bitmap left.
            bulk.pushEdges(order, base, Int32Array.of(...places, 7, 9), places.length);
            for (let i = 0; i < places.length; i += 2)
              single.push(order, base + places[i]! * 2 ** order, places[i + 1]! - places[i]!);
            expect(bulk.length).toBe(single.length);
          }
          expect(rowsOf(bulk.finish())).toEqual(rowsOf(single.finish()));
        },
      ),
    );
  });
});
