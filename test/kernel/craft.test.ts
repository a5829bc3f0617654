/**
 * Handovers with one fault each, on real kernels: what these do is what simulated ones do. A few of them, and the faults of
 * files together, unless KHO_CRAFT=all asks for every case on every kernel, some 350 boots.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { findKernel, newestKernel } from "../../formats/kernels.js";
import { type CraftCase, craft } from "../../src/compat/craft/case.js";
import { craftCases } from "../../src/compat/craft/cases/index.js";
import { expectedOf } from "../../src/compat/craft/expected.js";
import { imageMeta, imageRanges } from "../../src/compat/craft/image.js";
import { predict } from "../../src/compat/craft/predict.js";
import { newTestFlbs } from "../../src/compat/liveupdate-test.js";
import { accept } from "./accept.js";
import { combined } from "./combine.js";
import { findEnvironment } from "./environment.js";
import { writeFiles } from "./image.js";
import { comparable, newWatch, observe } from "./observe.js";

const { kernels, releases, missing } = findEnvironment();
const all = process.env.KHO_CRAFT === "all";

/** Ways to end that leave nothing else to see, on the kernels where these differ most. */
const few: Readonly<Record<string, readonly string[]>> = {
  "6.19": ["map-chunk-overfull", "file-unknown-handler"],
  "7.1": ["luo-flb-node-missing", "session-count-too-large"],
  "7.3": ["session-refused-duplicate", "file-next-not-canonical"],
};
/** What is not preserved may be in use for another file by then. */
const disturbing = ["memfd-chunk-not-preserved", "memfd-list-not-preserved"];
/** On a busy machine the emulator's timer may fail a kernel. */
const busy = { retry: 2 };

if (missing.length > 0) {
  console.warn(`No real kernel is booted. Missing:\n${missing.map((what) => `  ${what}`).join("\n")}`);
  describe.skip("Linux RELEASE", () => {
    for (const name of few[newestKernel.release]!) it(name, () => {});
  });
}

/** Boots a real kernel on a case; the folder stays if it does not do what was predicted. */
async function expectAsPredicted(one: CraftCase, release: string): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/kho-craft-`);
  const crafted = craft(one, release);
  const predicted = predict(crafted, release);
  const expected = expectedOf(crafted.asked, predicted);
  const side = { meta: imageMeta(crafted, predicted), expected };
  const files = writeFiles(folder, crafted.departure, imageRanges(crafted), side);
  const { text } = await accept(kernels, release, files, folder, { over: newWatch() });
  const flbs = findKernel(release)?.flb ? newTestFlbs().map(({ name }) => name) : [];
  const observed = observe(folder, expected, flbs);
  expect(comparable(observed), `${text}\nsee ${folder}`).toEqual(comparable(predicted));
  rmSync(folder, { recursive: true });
}

/** True for a fault that ends with the file that it is in. */
function isConfined(one: CraftCase, release: string): boolean {
  if (one.area !== "memfd" || disturbing.includes(one.name)) return false;
  const { sessions } = predict(craft(one, release), release);
  return sessions.every(({ files }) => files.every(({ result }) => result !== "oops"));
}

describe.each(releases)("Linux %s", (release) => {
  const kernel = findKernel(release);
  const cases = craftCases.filter((one) => kernel && one.applies(kernel));
  const chosen = cases.filter(({ name }) => all || few[kernel!.release]?.includes(name));
  it.each(chosen.map((one) => [one.name, one] as const))("%s", busy, (_, one) =>
    expectAsPredicted(one, release),
  );
  it.runIf(kernel?.luo)("all faults that end with a file, at once", busy, async () => {
    const confined = cases.filter((one) => isConfined(one, release));
    expect(confined.length).toBeGreaterThan(20);
    await expectAsPredicted(combined(confined, release), release);
  });
});
