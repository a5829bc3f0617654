import fc from "fast-check";
import { expect, it } from "vitest";
import { newMappings } from "../../formats/iommu/mappings.js";
import { diffMappings } from "../../src/iommu/diff.js";
import { type Row, runsOf } from "./support.js";

const diff = (before: readonly Row[], after: readonly Row[]) => [
  ...diffMappings(runsOf(before), runsOf(after)),
];

it("says what is new, gone, elsewhere, or allows something else", () => {
  const before: readonly Row[] = [
    [0x10, 0x100, 4, 3],
    [0x20, 0x200, 4, 3],
    [0x30, 0x300, 4, 3],
    [0x40, 0x400, 4, 3],
  ];
  const after: readonly Row[] = [
    [0x10, 0x100, 4, 3],
    [0x20, 0x200, 2, 3],
    [0x22, 0x902, 2, 3],
    [0x30, 0x300, 4, 1],
    [0x50, 0x500, 1, 2],
  ];
  expect(diff(before, after)).toEqual([
    {
      kind: "moved",
      iova: 0x22000n,
      size: 0x2000n,
      before: { pa: 0x202000n, access: 3 },
      after: { pa: 0x902000n, access: 3 },
    },
    {
      kind: "rights",
      iova: 0x30000n,
      size: 0x4000n,
      before: { pa: 0x300000n, access: 3 },
      after: { pa: 0x300000n, access: 1 },
    },
    { kind: "removed", iova: 0x40000n, size: 0x4000n, before: { pa: 0x400000n, access: 3 } },
    { kind: "added", iova: 0x50000n, size: 0x1000n, after: { pa: 0x500000n, access: 2 } },
  ]);
});

it("one change of neighbours is one, however the runs are cut", () => {
  const whole: readonly Row[] = [[0x10, 0x100, 8, 3]];
  // Runs that allow different things do not merge, and lead to the same memory.
  const cut: readonly Row[] = [
    [0x10, 0x800, 3, 3],
    [0x13, 0x803, 5, 3],
  ];
  expect(diff(whole, cut)).toHaveLength(1);
});

it("agrees with a comparison frame by frame", () => {
  const space = fc.array(
    fc.option(fc.record({ pa: fc.integer({ min: 0, max: 3 }), access: fc.constantFrom(1, 2, 3) })),
    {
      minLength: 24,
      maxLength: 24,
    },
  );
  const runs = (frames: readonly ({ pa: number; access: number } | null)[]) => {
    const found = newMappings();
    for (const [i, frame] of frames.entries())
      if (frame) found.push(i, 0x100 * frame.pa + i, 1, frame.access, 12);
    return found.finish();
  };
  fc.assert(
    fc.property(space, space, (before, after) => {
      const changed = new Set<number>();
      let last = -1n;
      for (const { iova, size } of diffMappings(runs(before), runs(after))) {
        expect(iova > last).toBe(true);
        last = iova;
        for (let at = iova; at < iova + size; at += 4096n) changed.add(Number(at >> 12n));
      }
      const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
      const wanted = before.flatMap((frame, i) => (same(frame, after[i]) ? [] : [i]));
      expect([...changed]).toEqual(wanted);
    }),
  );
});
