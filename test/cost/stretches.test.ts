import fc from "fast-check";
import { expect, it } from "vitest";
import { planBitmapMap } from "../../formats/kho/map-bitmaps-encode.js";
import { radixShape } from "../../formats/kho/map-radix.js";
import { planRadixMap } from "../../formats/kho/map-radix-encode.js";
import { newRuns, type Runs } from "../../formats/kho/runs.js";
import { contiguousRuns, coveringRuns, endOf, type Stretch, spread } from "../../src/cost/stretches.js";
import { physAddr } from "../../src/memory/index.js";

const abi = { byteOrder: "little", pageSize: 4096 } as const;

/** Stretches one behind the other, adjacent where the distance is 0; gaps of all sizes up to some leaves. */
const stretches = fc
  .array(
    fc.record({
      order: fc.constantFrom(0, 0, 1, 4, 9),
      distance: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 100_000 })),
      blocks: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 40_000 })),
      runs: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 9 })),
      gap: fc.oneof(
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 32_760, max: 32_770 }),
        fc.nat(100_000),
      ),
    }),
    { maxLength: 6 },
  )
  .map((parts) => {
    let at = 1;
    return parts.map(({ order, distance, blocks, runs, gap }): Stretch => {
      const unit = 2 ** order;
      const pfn = Math.ceil((at + distance) / unit) * unit;
      const stretch = { order, pfn, blocks, runs, step: (blocks + gap) * unit };
      at = endOf(stretch);
      return stretch;
    });
  });

/** Every run on its own. */
function expanded(all: readonly Stretch[]): Runs {
  const runs = newRuns();
  for (const { order, pfn, blocks, runs: count, step } of all)
    for (let i = 0; i < count; i++) runs.push(order, pfn + i * step, blocks);
  return runs.finish();
}

it("covering runs need the same leaves and tables, and the same bitmaps", () => {
  fc.assert(
    fc.property(stretches, (all) => {
      const shape = radixShape(abi);
      const nodes = (runs: Runs) => {
        const { level, prefix, length } = planRadixMap(runs, shape, abi, () => physAddr(0));
        return Array.from({ length }, (_, i) => `${level[i]} ${prefix[i]}`);
      };
      expect(nodes(coveringRuns(all, 2 ** shape.leaf))).toEqual(nodes(expanded(all)));
      for (const [size, bits] of [
        [512, 4096],
        ["page", 32_768],
      ] as const) {
        const bitmaps = (runs: Runs) =>
          planBitmapMap(runs, size, abi, () => physAddr(0)).chunks.map(({ order, entries }) => [
            order,
            entries.map(({ physStart }) => physStart),
          ]);
        expect(bitmaps(coveringRuns(all, bits))).toEqual(bitmaps(expanded(all)));
      }
    }),
    { numRuns: 200 },
  );
});

it("a hole that is as large as a leaf can have one to itself, and a smaller one cannot", () => {
  const leaf = 32_768;
  const shape = radixShape(abi);
  const leaves = (gap: number): number => {
    const stretch = { order: 0, pfn: leaf - 1, blocks: 1, runs: 2, step: 1 + gap };
    const { level } = planRadixMap(coveringRuns([stretch], leaf), shape, abi, () => physAddr(0));
    return level.filter((l) => l === 0).length;
  };
  expect([leaf - 1, leaf, leaf + 1].map(leaves)).toEqual([2, 2, 2]);
  const inside = { order: 0, pfn: 5, blocks: 1, runs: 2, step: leaf };
  expect(coveringRuns([inside], leaf).length).toBe(1);
  expect(coveringRuns([{ ...inside, step: leaf + 1 }], leaf).length).toBe(2);
});

it("contiguous runs are those that a look at every one of them counts", () => {
  fc.assert(
    fc.property(stretches, (all) => {
      let count = 0;
      let reached = -1;
      const { length, order, pfn, count: blocks } = expanded(all);
      const each = Array.from(
        { length },
        (_, i) => [pfn[i]!, pfn[i]! + blocks[i]! * 2 ** order[i]!] as const,
      );
      for (const [start, end] of each.sort((a, b) => a[0] - b[0])) {
        if (start !== reached) count++;
        reached = end;
      }
      expect(contiguousRuns(all)).toBe(count);
    }),
  );
});

it("blocks are spread over as many runs as asked, none lost, none touching another", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0, 3, 9),
      fc.nat(10_000),
      fc.integer({ min: 1, max: 100_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (order, pfn, blocks, share) => {
        const runs = Math.max(1, Math.round(share * blocks));
        const all = spread(order, pfn, blocks, runs);
        expect(all.reduce((sum, each) => sum + each.blocks * each.runs, 0)).toBe(blocks);
        expect(all.reduce((sum, each) => sum + each.runs, 0)).toBe(runs);
        expect(contiguousRuns(all)).toBe(runs);
        for (const each of all) {
          expect(each.pfn).toBeGreaterThanOrEqual(pfn);
          expect(each.pfn % 2 ** order).toBe(0);
        }
      },
    ),
  );
});
