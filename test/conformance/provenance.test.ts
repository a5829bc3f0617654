import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { expect, it } from "vitest";
import { decodeHandover, openImage } from "../../src/index.js";

const folder = new URL("../../fixtures/", import.meta.url).pathname;

it("every fixture is the one that was captured", () => {
  const sums = new Map(
    readFileSync(`${folder}SHA256SUMS`, "utf8")
      .trim()
      .split("\n")
      .map((line) => [line.slice(66), line.slice(0, 64)] as const),
  );
  const files = (readdirSync(folder, { recursive: true }) as string[])
    .filter((name) => statSync(folder + name).isFile() && !["README.md", "SHA256SUMS"].includes(name))
    // Written by hand, and changed by hand; and what the fuzzer found.
    .filter((name) => !name.startsWith("scenarios/") && !name.startsWith("fuzz/"))
    .sort();
  expect([...sums.keys()].sort()).toEqual(files);
  for (const [name, sum] of sums)
    expect(
      createHash("sha256")
        .update(readFileSync(folder + name))
        .digest("hex"),
      name,
    ).toBe(sum);
});

it("memory without a handover in it is said to be that", () => {
  const image = openImage(`${folder}7.3-iommu-intel/core.elf.gz`);
  expect(() => decodeHandover(image)).toThrow(expect.objectContaining({ code: "not-a-handover" }));
});
