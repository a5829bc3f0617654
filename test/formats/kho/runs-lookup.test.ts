import fc from "fast-check";
import { expect, it } from "vitest";
import { endOf, lookupIn, newRuns, orderIn, type Runs } from "../../../formats/kho/runs.js";
import { forAscending } from "../../../formats/kho/runs-by-address.js";

/** Runs of all orders, aligned to their blocks or not, that overlap now and then. */
const runs = fc
  .array(
    fc.record({
      order: fc.nat(3),
      place: fc.nat(40),
      shift: fc.constantFrom(0, 0, 0, 1),
      count: fc.integer({ min: 1, max: 12 }),
    }),
    { maxLength: 20 },
  )
  .map((all): Runs => {
    const builder = newRuns();
    for (const { order, place, shift, count } of all) builder.push(order, place * 2 ** order + shift, count);
    return builder.finish();
  });

/** True if runs of one order overlap, so that what is found depends on where the look-up before was. */
const doubtful = (all: Runs): boolean =>
  Array.from({ length: all.length }, (_, i) => i).some(
    (i) => i > 0 && all.order[i] === all.order[i - 1] && all.pfn[i]! < endOf(all, i - 1),
  );

it("the order of a block is what looking its page up says, and goes as far as it says", () => {
  fc.assert(
    fc.property(runs, (all) => {
      const orderOf = orderIn(all);
      const lookup = lookupIn(all);
      for (let pfn = 0; pfn < 450; pfn++) {
        const reach = { until: 0 };
        const order = orderOf(pfn, reach);
        const found = lookup(pfn);
        expect(order).toBe(found.kind === "block" ? found.order : -1);
        if (order < 0 || doubtful(all)) expect(reach.until).toBe(0);
        for (let next = pfn; next < reach.until; next += 2 ** order) expect(orderIn(all)(next)).toBe(order);
      }
    }),
    { numRuns: 50 },
  );
});

it("runs go by address, and where that is the same by order", () => {
  fc.assert(
    fc.property(runs, (all) => {
      const expected = Array.from({ length: all.length }, (_, i) => i);
      expected.sort((a, b) => all.pfn[a]! - all.pfn[b]! || all.order[a]! - all.order[b]! || a - b);
      const found: number[] = [];
      forAscending(all, (run) => found.push(run));
      expect(found).toEqual(expected);
    }),
  );
});
