import fc from "fast-check";
import { expect, it } from "vitest";
import {
  type DmaAllocation,
  decodeDmaAllocation,
  encodeDmaAllocation,
} from "../../../../formats/proposed/iommu/dma-alloc.js";
import { physAddr, type SparseMemory, sparseMemory } from "../../../../src/memory/index.js";
import { failure, hexBytes } from "../../../layout/support.js";
import { targetOf } from "../../target.js";
import { codesOf, differences, reading } from "./support.js";

const at = physAddr(0x20000);
const memoryOf = (text: string): SparseMemory => {
  const memory = sparseMemory();
  memory.write(at, hexBytes(text));
  return memory;
};

// Its addresses begin at byte 18.
const block = "00f0ffff00000000 0200000000000000 01 00  0010050100000000 0030050100000000";
const allocation: DmaAllocation = {
  iova: 0xfffff000n,
  isFolio: 1,
  isContiguous: 0,
  pages: BigUint64Array.of(0x1051000n, 0x1053000n),
};

it("reads, and is written", () => {
  const { ctx, findings } = reading(memoryOf(block));
  expect(decodeDmaAllocation(ctx, at, "dma")).toEqual(allocation);
  expect(findings).toEqual([]);
  const target = targetOf();
  encodeDmaAllocation(target, at, allocation);
  expect(differences(target.memory, memoryOf(block))).toEqual([]);
});

it("any allocation comes back", () => {
  const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const any = fc.record({
    iova: u64,
    isFolio: fc.nat(255),
    isContiguous: fc.nat(255),
    pages: fc.array(u64, { maxLength: 1200 }).map((list) => BigUint64Array.from(list)),
  });
  fc.assert(
    fc.property(any, (one) => {
      const target = targetOf();
      encodeDmaAllocation(target, at, one);
      expect(decodeDmaAllocation(reading(target.memory).ctx, at, "dma")).toEqual(one);
    }),
    { numRuns: 20 },
  );
});

it("509 addresses fill a page, one more takes two", () => {
  for (const [count, size] of [
    [509, 4096n],
    [510, 8192n],
  ] as const) {
    const target = targetOf();
    encodeDmaAllocation(target, at, { ...allocation, pages: new BigUint64Array(count) });
    expect(target.memory.ranges).toEqual([{ pa: at, size }]);
  }
});

it.each([
  ["a number that no memory holds", "0000000000000000 ffffffffffffffff", "limit-exceeded"],
  ["a block that is cut off", "0000000000000000 0003000000000000", "memory-absent"],
])("%s", (_, text, code) => {
  const { ctx, findings } = reading(memoryOf(text));
  expect(decodeDmaAllocation(ctx, at, "dma")).toBeUndefined();
  expect(codesOf(findings)).toEqual([code]);
});

it("refuses what does not fit, and writes nothing", () => {
  const target = targetOf();
  expect(failure(() => encodeDmaAllocation(target, at, { ...allocation, isFolio: 256 }))).toMatchObject({
    code: "value-range",
    path: "dma_alloc_ser.is_folio",
  });
  expect(failure(() => encodeDmaAllocation(target, physAddr(1), allocation)).code).toBe("value-range");
  expect(target.memory.ranges).toEqual([]);
});
