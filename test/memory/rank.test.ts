import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rankOf } from "../../src/memory/index.js";

describe("the rank of keys", () => {
  const small = fc.nat(50);
  const frame = fc.integer({ min: 0, max: 2 ** 40 });
  // Page numbers of damaged files are rounded beyond 2^53.
  const any = fc.double({ min: 0, max: 2 ** 64, noNaN: true });
  it.each([
    ["few different ones", small],
    ["page frames", frame],
    ["anything", any],
  ])("is ascending, and stable where they are equal: %s", (_, key) => {
    fc.assert(
      fc.property(fc.array(fc.oneof(key, key, small), { maxLength: 300 }), (keys) => {
        const expected = keys
          .map((value, i) => ({ value, i }))
          .sort((a, b) => a.value - b.value || a.i - b.i)
          .map(({ i }) => i);
        expect([...rankOf(Float64Array.from(keys))]).toEqual(expected);
      }),
    );
  });
  it("leaves keys alone that ascend", () => {
    expect([...rankOf(Float64Array.of(0, 1, 1, 2 ** 60, 2 ** 63))]).toEqual([0, 1, 2, 3, 4]);
  });
  it("is exact up to the last integer that leaves room for an index", () => {
    const top = 2 ** 51 - 1;
    expect([...rankOf(Float64Array.of(top, top - 1, 0, top))]).toEqual([2, 1, 0, 3]);
    expect([...rankOf(Float64Array.of(2 ** 53, top, 2 ** 53, 1))]).toEqual([3, 1, 0, 2]);
  });
});
