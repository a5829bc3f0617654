import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { median, missedBy, overFloor, partsOf, quantile, ratiosOf } from "../../bench/ratios.js";

const times = fc.array(fc.double({ min: 1e-9, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 40 });

describe("quantile", () => {
  test("lies between two values where it falls there", () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([10, 0], 0.25)).toBe(2.5);
    expect(quantile([5, 1, 3], 0.5)).toBe(3);
    expect(quantile([7], 0.75)).toBe(7);
  });

  test("has as many values on its one side as on the other, when it is the median", () => {
    fc.assert(
      fc.property(times, (values) => {
        const middle = median(values);
        const below = values.filter((value) => value < middle).length;
        const above = values.filter((value) => value > middle).length;
        expect(below).toBeLessThanOrEqual(values.length / 2);
        expect(above).toBeLessThanOrEqual(values.length / 2);
      }),
    );
  });

  test("leaves its values as they are", () => {
    const values = [3, 1, 2];
    quantile(values, 0.5);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe("ratiosOf", () => {
  test("compares times of the same round, not medians", () => {
    // In every round ours takes twice as long, though one round was ten times as slow for both.
    expect(ratiosOf([2, 20, 4], [1, 10, 2])).toEqual({ ratio: 2, spread: [2, 2], quartiles: [2, 2] });
  });

  test("gives the least and the most", () => {
    const { ratio, spread } = ratiosOf([1, 6, 3], [1, 2, 2]);
    expect(ratio).toBe(1.5);
    expect(spread).toEqual([1, 3]);
  });

  test("has quartiles within the spread, around the median", () => {
    fc.assert(
      fc.property(times, (values) => {
        const { ratio, spread, quartiles } = ratiosOf(
          values,
          values.map((_, i) => 1 + (i % 3)),
        );
        const ascending = [spread[0], quartiles[0], ratio, quartiles[1], spread[1]];
        expect(ascending).toEqual([...ascending].sort((a, b) => a - b));
      }),
    );
  });
});

describe("goals and floors", () => {
  test("a goal that is just met is met", () => {
    expect(missedBy({ ratio: 2, goal: 2 })).toBe(0);
    expect(missedBy({ ratio: 3, goal: 2 })).toBe(0.5);
    expect(missedBy({ ratio: 1000, goal: null })).toBe(0);
  });

  test("a floor is broken where every round is above it", () => {
    const row = (least: number, most: number, floor: number | null) => ({
      spread: [least, most] as const,
      floor,
    });
    const slow = row(7, 9, 6);
    expect(overFloor([row(1, 9, 6), row(6, 6, 6), slow, row(7, 9, null)])).toEqual([slow]);
  });
});

test("a row's name is a subject and one of our ways", () => {
  const row = { against: "C", ratio: 1, spread: [1, 1] as const, goal: null };
  expect(partsOf({ ...row, name: "read, all of it: readFdt" })).toEqual({
    subject: "read, all of it",
    ours: "readFdt",
  });
  expect(partsOf({ ...row, name: "nothing else" })).toEqual({ subject: "nothing else", ours: "" });
});
