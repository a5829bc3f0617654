import fc from "fast-check";
import { expect, it } from "vitest";
import { blocksOf, requireBlocks } from "../../../formats/kho/block-range.js";
import { isKhoError } from "../../../src/report/error.js";
import { abiOf } from "./support.js";

function refused(...about: Parameters<typeof requireBlocks>): boolean {
  try {
    requireBlocks(...about);
    return false;
  } catch (error) {
    return isKhoError(error, "value-range");
  }
}

const number = fc.oneof(
  fc.nat(64),
  fc
    .integer({ min: 0, max: 53 })
    .chain((power) => fc.integer({ min: -2, max: 2 }).map((near) => 2 ** power + near)),
  fc.constantFrom(-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, -0),
);

it("blocks that pass in a loop are those that are not refused by themselves", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(4096, 16384, 65536),
      fc.oneof(fc.integer({ min: -1, max: 64 }), fc.constantFrom(0.5, Number.NaN)),
      number,
      number,
      fc.boolean(),
      (pageSize, order, pfn, count, aligned) => {
        const abi = abiOf(pageSize);
        const at = aligned ? Math.floor(pfn / 2 ** order) * 2 ** order : pfn;
        expect(blocksOf(order, abi)(at, count)).toBe(!refused(order, at, count, abi));
      },
    ),
    { numRuns: 3000 },
  );
});
