import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeWritten, expectAll, faultsOf } from "./compare.js";
import { large, planOf } from "./random.js";
import { releases } from "./releases.js";
import { write } from "./writer.js";

const plan = planOf(releases, large);

it("whatever is handed over comes out again, without a fault", () => {
  fc.assert(
    fc.property(plan, (described) => {
      const written = write(described);
      const decoded = decodeWritten(written, { release: described.form.release });
      expect(faultsOf(decoded)).toEqual([]);
      expectAll(written, decoded);
    }),
    { numRuns: 100, seed: 20260101 },
  );
});

it("the release need not be named where the bytes tell it", () => {
  fc.assert(
    fc.property(
      plan.filter(({ form }) => form.luo !== undefined),
      (described) => {
        const written = write(described);
        const decoded = decodeWritten(written);
        expect(faultsOf(decoded)).toEqual([]);
        expect(decoded.handover.releaseGuessed).toBe(true);
        const found = decoded.handover.release;
        if (described.form.kho === "kho-v4") expect(["7.2", "7.3"]).toContain(found);
        else expect(found).toBe(described.form.release);
      },
    ),
    { numRuns: 40, seed: 20260102 },
  );
});
