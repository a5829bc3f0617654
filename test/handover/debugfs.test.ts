import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, describe, expect, it } from "vitest";
import { decodeHandover, kernelOf, openImage } from "../../src/index.js";
import { type Fixture, fixtures } from "../conformance/truth.js";

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** A copied /sys/kernel/debug/kho as the capture's kernels showed it; `side` is the half to take. */
function copied({ folder, name }: Fixture, side: "in" | "out"): string {
  const prefix = side === "in" ? "second-in" : "first-out";
  const top = mkdtempSync(`${tmpdir()}/kho-${name}-`);
  made.push(top);
  mkdirSync(`${top}/${side}/sub_fdts`, { recursive: true });
  for (const file of readdirSync(`${folder}/fdt`)) {
    const parts = new RegExp(`^${prefix}-(fdt|sub_fdts-(.+))\\.(dtb|bin)$`).exec(file);
    if (parts) cpSync(`${folder}/fdt/${file}`, `${top}/${side}/${parts[2] ? `sub_fdts/${parts[2]}` : "fdt"}`);
  }
  return top;
}

describe.each(fixtures)("debugfs of $name", (fixture) => {
  const kernel = kernelOf(fixture.truth.kernelRelease);
  const whole = decodeHandover(openImage(fixture.core)).handover;

  it("in/: the tree and the blobs are as in memory, what they point to is said not to be there", () => {
    const { handover, findings } = decodeHandover(openImage(copied(fixture, "in")));
    expect(handover.handoff.foundBy).toBe("debugfs");
    expect(handover.compatible).toBe(whole.compatible);
    expect(handover.release).toBe(kernel.release);
    expect(handover.subtrees.map(({ name, pa, size }) => ({ name, pa, size }))).toEqual(
      whole.subtrees.map(({ name, pa, size }) => ({ name, pa, size })),
    );
    expect(handover.reserveMem).toEqual(whole.reserveMem);
    expect(handover.kexecMetadata).toEqual(whole.kexecMetadata);
    expect(findings.filter(({ severity }) => severity !== "info")).toEqual([]);
    // From 7.2 on the kernel has freed the page of LUO's root by the time that it is copied.
    expect(findings.some(({ code }) => code === "stale-blob")).toBe(kernel.luo === "luo-v5");
  });

  it("out/: a tree that was cut in the copy is told from a damaged one, and its names are recovered", () => {
    const { handover, findings } = decodeHandover(openImage(copied(fixture, "out"), { side: "out" }));
    const loud = findings.filter(({ severity }) => severity !== "info").map(({ code }) => code);
    // Up to 6.18 the file appears when the tree is complete; 6.19 shows it before the map has an address.
    // The tree of this one is so long that nodes are cut off, too.
    expect(loud).toEqual(fixture.name === "7.3-resmem" ? ["truncated-capture"] : []);
    if (kernel.kho !== "kho-v1") expect(findings.map(({ code }) => code)).toContain("truncated-capture");
    expect(handover.compatible).toBe(whole.compatible);
    expect(handover.subtrees.map(({ name }) => name).sort()).toEqual(
      whole.subtrees.map(({ name }) => name).sort(),
    );
  });
});
