import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FolioTable, newFolioTable } from "../../src/machine/memfd/folios.js";

type Row = readonly [index: number, pfn: number, order: number, flags: number];

function rows(table: FolioTable, from = 0, to = Number.POSITIVE_INFINITY): Row[] {
  const found: Row[] = [];
  table.each(from, to, (...row) => void found.push(row));
  return found;
}

const covers = ([index, , order]: Row, from: number, to: number): boolean =>
  from < to && index < to && index + 2 ** order > from;

/** Gaps between rows that are sorted. */
function gapsOf(sorted: readonly Row[], from: number, to: number): number[] {
  const gaps: number[] = [];
  let end = 0;
  for (const [index, , order] of [...sorted, [Number.POSITIVE_INFINITY, 0, 0, 0] as Row]) {
    if (index > end && end < to && index > from) gaps.push(end, index);
    end = index + 2 ** order;
  }
  return from < to ? gaps : [];
}

const step = fc.oneof(
  fc.record({ do: fc.constant("insert" as const), at: fc.nat(300), order: fc.nat(4) }),
  fc.record({ do: fc.constant("remove" as const), at: fc.nat(300), to: fc.nat(320) }),
  fc.record({ do: fc.constant("look" as const), at: fc.nat(300), to: fc.nat(320) }),
);

it("is a sorted list of folios that do not overlap", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = newFolioTable();
      let model: Row[] = [];
      for (const [i, s] of steps.entries()) {
        if (s.do === "insert") {
          const row: Row = [s.at - (s.at % 2 ** s.order), 1000 + i, s.order, i % 4];
          const free = !model.some((other) => covers(other, row[0], row[0] + 2 ** s.order));
          expect(table.insert(...row)).toBe(free);
          if (free) model = [...model, row].sort((a, b) => a[0] - b[0]);
        } else if (s.do === "remove") {
          const out: Row[] = [];
          table.remove(s.at, s.to, (...row) => void out.push(row));
          expect(out).toEqual(model.filter((row) => covers(row, s.at, s.to)));
          model = model.filter((row) => !out.some(([index]) => index === row[0]));
        } else {
          expect(table.gaps(s.at, s.to)).toEqual(gapsOf(model, s.at, s.to));
          expect(rows(table, s.at, s.to)).toEqual(model.filter((row) => covers(row, s.at, s.to)));
        }
        expect(table.length).toBe(model.length);
      }
      expect(rows(table)).toEqual(model);
    }),
  );
});

describe("a table of many leaves", () => {
  const count = 20_011;
  const orders = {
    upwards: (i: number) => i,
    downwards: (i: number) => count - 1 - i,
    // Each once, since the number is a prime.
    scattered: (i: number) => (i * 7919) % count,
  };
  it.each(Object.entries(orders))("filled %s", (_, place) => {
    const table = newFolioTable();
    let inserted = 0;
    for (let i = 0; i < count; i++) if (table.insert(2 * place(i), place(i), 0, 1)) inserted++;
    expect(inserted).toBe(count);
    expect(table.length).toBe(count);
    let next = 0;
    table.mark(0, 2 * count, (index, pfn, _order, flags) => {
      if (index === 2 * next && pfn === next && flags === 1) next++;
      return 3;
    });
    expect(next).toBe(count);
    expect(table.gaps(0, 2 * count).length).toBe(2 * count);
    expect(table.insert(0, 5, 12, 0)).toBe(false);
    let removed = 0;
    table.remove(10, 2 * count - 10, (_index, _pfn, _order, flags) => {
      if (flags === 3) removed++;
    });
    expect(removed).toBe(count - 10);
    expect(rows(table).map(([index]) => index)).toEqual([
      ...[0, 2, 4, 6, 8],
      ...[5, 4, 3, 2, 1].map((i) => 2 * (count - i)),
    ]);
  });
});
