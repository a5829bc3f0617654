/** Real bzImages say what they are: the release in their header is that of the kernel in them, whose structures are ours. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { findKernel } from "../../formats/kernels.js";
import { lintAbi } from "../../src/compat/abi/lint.js";
import { readKernelImage } from "../../src/compat/kernel-image.js";
import { findEnvironment } from "./environment.js";

const { kernels, releases } = findEnvironment();

if (releases.length === 0) describe.skip("RELEASE/bzImage", () => it("says what it is", () => {}));

describe.each(releases)("%s/bzImage", (release) => {
  const image = readKernelImage(readFileSync(`${kernels}/${release}/bzImage`));

  it("says what it is", () => {
    expect(image).toMatchObject({ kind: "bzImage", arch: "x86_64", guessed: false });
    expect(image.kernel).toBe(findKernel(release));
  });

  it.runIf(image.abi)("has the structures of its release", () => {
    expect(image.differences).toEqual([]);
    const side = { name: release, source: image.abi!, ...(image.kernel && { kernel: image.kernel }) };
    expect(lintAbi(side).filter(({ rule }) => rule === "unknown-structure")).toEqual([]);
  });
});
