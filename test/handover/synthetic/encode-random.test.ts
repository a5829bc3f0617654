import fc from "fast-check";
import { describe, it } from "vitest";
import { encodeHandover } from "../../../src/handover/encode.js";
import { decodeHandover } from "../../../src/handover/index.js";
import { placedAs } from "../../../src/handover/placement.js";
import { openImage } from "../../../src/image/node.js";
import { accountOf, differences, expectEqual, rewritten } from "../roundtrip.js";
import { type Bounds, planOf } from "./random.js";
import { releases } from "./releases.js";
import { write } from "./writer.js";

const small: Bounds = {
  sessions: 2,
  files: 2,
  folios: 4,
  stray: 3,
  regions: 2,
  flbs: 3,
  order: 2,
  strayOrder: 2,
  testOrder: 0,
  scanned: 10,
  pageSizes: [...new Array(15).fill(4096), 16384],
  unusual: false,
};

describe.each(releases)("random handovers of $label", (form) => {
  it("come out of decoding and encoding byte for byte, and decode to the same again", () => {
    fc.assert(
      fc.property(planOf([form], small), (plan) => {
        const image = openImage(write(plan).core());
        const options = { release: form.release };
        const { handover, structures } = decodeHandover(image, options);
        const encoded = encodeHandover(handover, placedAs(structures));
        expectEqual(differences(encoded, image.memory), []);
        accountOf(encoded, structures, plan.pageSize);
        const again = decodeHandover(rewritten(image, structures, encoded, plan.pageSize), options);
        expectEqual(again.handover, handover);
        expectEqual(again.structures, structures);
      }),
      { numRuns: 300, seed: 20260103 },
    );
  });
});
