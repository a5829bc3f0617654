/**
 * Real kernels take what simulated machines hand over: they boot with it, and a program on them finds every session and
 * every file as it was.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { findKernel, newestKernel } from "../../formats/kernels.js";
import type { Departure } from "../../src/machine/index.js";
import { addressOf, physAddr } from "../../src/memory/index.js";
import { decodeDeparture } from "../machine/arrival.js";
import { accept } from "./accept.js";
import { type Case, casesFor } from "./cases.js";
import { findEnvironment } from "./environment.js";
import { writeImage } from "./image.js";

const { kernels, releases, missing } = findEnvironment();

if (missing.length > 0) {
  console.warn(`No real kernel is booted. Missing:\n${missing.map((what) => `  ${what}`).join("\n")}`);
  describe.skip("Linux RELEASE", () => {
    for (const { name } of casesFor(newestKernel.release)) it(`takes ${name}`, () => {});
  });
}

/** Flips the highest bit of the first page of the first file that has one. */
function flipBit(departure: Departure): void {
  const { luo } = decodeDeparture(departure).handover;
  const files = luo!.sessions.flatMap((session) => session.files);
  const { folios } = files.find(({ memfd }) => memfd!.size >= 4096n)!.memfd!;
  const at = physAddr(addressOf(folios.pfn[0]!, 4096) + 4095n);
  departure.memory.write(at, Uint8Array.of(departure.memory.read(at, 1)[0]! ^ 0x80));
}

/** Has a real kernel judge an image; the folder stays if it does not do as expected. */
async function judge(release: string, one: Case, expected: boolean, damage?: (departure: Departure) => void) {
  const folder = mkdtempSync(`${tmpdir()}/kho-kernel-`);
  const { departure, ...options } = one.make(release);
  damage?.(departure);
  const { files, findings } = writeImage(folder, departure, { ...options, ramSize: one.ramSize });
  expect(findings).toEqual([]);
  const { accepted, text } = await accept(kernels, release, files, folder);
  expect(accepted, `${text}\nsee ${folder}`).toBe(expected);
  rmSync(folder, { recursive: true });
  return text;
}

describe.each(missing.length > 0 ? [] : releases)("Linux %s", (release) => {
  const kernel = findKernel(release);
  it("is a release with known formats", () => expect(kernel).toBeDefined());
  const isPatient = process.env.KHO_ACCEPT === "all" || release === releases.at(-1);
  const cases = kernel ? casesFor(release).filter(({ slow }) => isPatient || !slow) : [];
  for (const one of cases) it(`takes ${one.name}`, async () => void (await judge(release, one, true)));
  // The judge is the same for all.
  it.runIf(kernel?.luo && release === releases.at(-1))(
    "does not take a file with one bit changed",
    async () => {
      const text = await judge(release, cases[0]!, false, flipBit);
      expect(text).toContain("@@BAD content 1 words wrong");
    },
  );
});
