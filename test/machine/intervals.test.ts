import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Intervals, newIntervals, type Piece } from "../../src/machine/intervals.js";

const room = 3000;

type Value = "a" | "b" | undefined;

/** The slow truth: neighbours of one value, from one value for each integer. */
function piecesOf(plain: readonly Value[], from = 0, to = plain.length): Piece<Value>[] {
  const pieces: { from: number; to: number; value: Value }[] = [];
  for (let i = from; i < to; i++) {
    const value = plain[i];
    const last = pieces.at(-1);
    if (value === undefined) continue;
    if (last?.value === value && last.to === i) last.to++;
    else pieces.push({ from: i, to: i + 1, value });
  }
  return pieces;
}

function expectSame(intervals: Intervals<Value>, plain: readonly Value[]): void {
  expect(intervals.pieces()).toEqual(piecesOf(plain));
  expect(intervals.first()).toBe(piecesOf(plain)[0]?.from);
}

const value = fc.constantFrom<Value>("a", "b", undefined);
const bounds = fc.tuple(fc.nat(room), fc.oneof(fc.nat(3), fc.nat(40), fc.nat(room)));
const change = fc.record({ bounds, value });
/** Every so many integers one value, so that there are more changes than fit one chunk. */
const comb = fc.record({ step: fc.integer({ min: 2, max: 9 }), value: fc.constantFrom<Value>("a", "b") });

describe("intervals", () => {
  it("agree with an array of values", () => {
    fc.assert(
      fc.property(comb, fc.array(change, { maxLength: 60 }), bounds, ({ step, value }, changes, window) => {
        const intervals = newIntervals<Value>();
        const plain = Array<Value>(room).fill(undefined);
        for (let i = 0; i < room; i += step) {
          intervals.set(i, i + 1, value);
          plain[i] = value;
        }
        for (const { bounds, value } of changes) {
          const [from, length] = bounds;
          const to = Math.min(from + length, room);
          intervals.set(from, to, value);
          if (from < to) plain.fill(value, from, to);
          for (const at of [from - 1, from, to - 1, to]) expect(intervals.get(at)).toBe(plain[at]);
        }
        expectSame(intervals, plain);
        const [from, length] = window;
        const to = Math.min(from + length, room);
        expect(intervals.pieces(from, to)).toEqual(piecesOf(plain, from, to));
      }),
      { numRuns: 300 },
    );
  });

  it("can be filled and emptied in any order", () => {
    const order = fc.shuffledSubarray([...Array(1200).keys()], { minLength: 1200 });
    fc.assert(
      fc.property(order, order, (filling, emptying) => {
        const intervals = newIntervals<Value>();
        const plain = Array<Value>(2400).fill(undefined);
        for (const i of filling) intervals.set(2 * i, 2 * i + 1, (plain[2 * i] = "a"));
        expectSame(intervals, plain);
        for (const i of emptying.slice(0, 900)) intervals.set(2 * i, 2 * i + 1, (plain[2 * i] = undefined));
        expectSame(intervals, plain);
        for (const i of emptying.slice(900)) intervals.set(2 * i, 2 * i + 1, undefined);
        expect(intervals.pieces()).toEqual([]);
        expect(intervals.first()).toBeUndefined();
      }),
      { numRuns: 20 },
    );
  });

  it("are independent of their copies", () => {
    const intervals = newIntervals<Value>();
    for (let i = 0; i < 1000; i++) intervals.set(2 * i, 2 * i + 1, "a");
    const copy = intervals.copy();
    copy.set(0, 5000, "b");
    intervals.set(10, 2000, undefined);
    expect(copy.pieces()).toEqual([{ from: 0, to: 5000, value: "b" }]);
    expect(intervals.pieces()).toHaveLength(5);
  });

  it("reach as far as integers are exact", () => {
    const intervals = newIntervals<Value>();
    const far = Number.MAX_SAFE_INTEGER;
    intervals.set(far - 1, far, "a");
    expect([far - 2, far - 1, far].map((at) => intervals.get(at))).toEqual([undefined, "a", undefined]);
  });
});
