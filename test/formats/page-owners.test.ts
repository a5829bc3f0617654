import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newPageOwners } from "../../formats/page-owners.js";

describe("owners of pages", () => {
  it("are those that pages were given to, in whatever order and however many", () => {
    const stretch = fc.record({
      frame: fc.nat(6000),
      pages: fc.integer({ min: 1, max: 6 }),
      owner: fc.nat(3),
      step: fc.constantFrom(1, 1, 1, 2, -1),
    });
    const few = fc.constantFrom(undefined, 0, 1, 20, 600);
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 3000, size: "max" }), few, (stretches, most) => {
        const owners = newPageOwners(most);
        const known = new Map<number, number>();
        for (const { frame, pages, owner, step } of stretches)
          for (let page = 0; page < pages; page++) {
            const at = frame + page * step;
            expect(owners.of(at)).toBe(known.get(at) ?? -1);
            if (at < 0 || known.has(at)) continue;
            owners.add(at, owner);
            known.set(at, owner);
          }
        for (let frame = 0; frame < 6100; frame++)
          if (owners.of(frame) !== (known.get(frame) ?? -1))
            expect(owners.of(frame), `${frame}`).toBe(known.get(frame) ?? -1);
      }),
      { numRuns: 30 },
    );
  });
});
