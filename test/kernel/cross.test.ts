/**
 * What real kernels make of handovers of other releases, against what the judge says. By default a few that differ; all of
 * them with KHO_CROSS=all.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { kernelOf } from "../../formats/kernels.js";
import { judge } from "../../src/compat/judge.js";
import { empty } from "../../src/compat/states/kernel.js";
import { lacking } from "../../src/compat/states/state.js";
import { states } from "../../src/compat/states.js";
import { fixtures } from "../conformance/truth.js";
import { bootsOf, captured, crossingOf, filledFor, realVerdict } from "./cross.js";
import { findEnvironment } from "./environment.js";

const { kernels, releases, missing } = findEnvironment();
const all = process.env.KHO_CROSS === "all";

const writers = ["6.16", "6.17.8", "6.17.9", "6.18", "6.19", "7.0", "7.1", "7.2", "7.3"];
/** One boot each: ignored both ways, misread and stopped, misread and lucky, lossy, working. */
const few = [
  "6.17.8 to 6.19.10: reserve-mem",
  "6.17.8 to 6.19.10: empty",
  "7.0 to 6.19.10: flb",
  "7.0 to 7.1.13: memfd",
  "7.2 to 7.3: sessions",
  "the capture 6.18.15-resmem to 6.19.10",
];

const machines = writers.flatMap((from) =>
  releases.flatMap((to) =>
    states
      .filter((state) => lacking(state, from) === undefined)
      .map((state) => ({
        name: `${from} to ${to}: ${state.name}`,
        to,
        make: () => crossingOf(state, from),
      })),
  ),
);
const captures = fixtures
  .filter(({ meta }) => JSON.parse(meta).arch === "x86_64")
  .flatMap((fixture) =>
    releases
      .filter((to) => kernelOf(to) !== kernelOf(fixture.truth.kernelRelease))
      .map((to) => ({ name: `the capture ${fixture.name} to ${to}`, to, make: () => captured(fixture) })),
  );

describe.skipIf(missing.length > 0)("a real kernel does as the judge says", () => {
  const wanted = [...machines, ...captures].filter(({ name }) => all || few.includes(name));
  for (const { name, to, make } of wanted)
    it(name, async () => {
      const crossing = make();
      const predicted = judge(crossing.departure, to);
      const folder = mkdtempSync(`${tmpdir()}/kho-cross-`);
      const real = await realVerdict(kernels, to, crossing, folder);
      if (predicted.verdict === "misread")
        // What comes of it depends on the very bytes, which both have before them.
        expect([real.boot, folder]).toEqual([bootsOf(crossing.departure, to), folder]);
      else expect([real.verdict, folder]).toEqual([predicted.verdict, folder]);
      rmSync(folder, { recursive: true });
    });

  // With zeros behind its one small bitmap this one is received, see above.
  it.runIf(releases.includes("6.19.10"))(
    "6.17.8 to 6.19.10: empty, with ones behind the bitmap",
    async () => {
      const crossing = filledFor(crossingOf(empty, "6.17.8"), "6.19.10", 0xff);
      const folder = mkdtempSync(`${tmpdir()}/kho-cross-`);
      const real = await realVerdict(kernels, "6.19.10", crossing, folder);
      expect([real.boot, folder]).toEqual([bootsOf(crossing.departure, "6.19.10"), folder]);
      rmSync(folder, { recursive: true });
    },
  );
});
