/** Every target takes its seeds and some changes of them without a finding, and changes them the same way every time. */
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readCore } from "../../fuzz/mutate/core.js";
import { newRandom } from "../../src/fuzz/random.js";
import type { TargetModule } from "../../src/fuzz/target.js";

const folder = new URL("../../fuzz/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replace(/\.ts$/, ""))
  .sort();

/** Targets whose inputs are cores of whole handovers take longer for one of them. */
const slow = ["arrive", "handover", "iommu", "machine", "strict-pair"];
/** Those among them that stay cores. */
const containers = ["arrive", "handover", "strict-pair"];

const targets = await Promise.all(
  names.map(async (name) => ({
    name,
    module: (await import(new URL(`${name}.ts`, folder).href)) as Required<
      Pick<TargetModule, "about" | "fuzz" | "seeds" | "mutate">
    >,
  })),
);

it("there are targets for all that is read", () => {
  expect(names.length).toBeGreaterThanOrEqual(15);
});

describe.each(targets)("$name", ({ name, module: { about, seeds, fuzz, mutate } }) => {
  const all = [...seeds()];
  const few = slow.includes(name);
  /** Changed inputs, each of a seed and one of its own changes. */
  const changed = (seed: number): Uint8Array[] => {
    const random = newRandom(BigInt(seed));
    return Array.from({ length: few ? 16 : 100 }, (_, i) => {
      const once = mutate(all[(i * 7) % all.length]!.data, random);
      return i % 2 === 0 ? once : mutate(once, random);
    });
  };

  it("says what it is, and has seeds with names of their own", () => {
    expect(about).toMatch(/^[a-zA-Z].{10,100}[^.]$/);
    expect(all.length).toBeGreaterThan(2);
    expect(new Set(all.map((seed) => seed.name)).size).toBe(all.length);
    for (const seed of all) {
      expect(seed.name).toMatch(/^[\w.-]+$/);
      expect(seed.data.length).toBeLessThan(2 ** 18);
    }
  });

  it("finds nothing in its seeds", () => {
    for (const seed of few ? all.filter((_, i) => i % 4 === 0) : all)
      expect(() => fuzz(seed.data), seed.name).not.toThrow();
  });

  it("changes inputs the same way every time, and leaves the old ones alone", () => {
    const before = all.map(({ data }) => data.slice());
    const [some, again, others] = [changed(1), changed(1), changed(2)];
    expect(some.every((data, i) => Buffer.compare(data, again[i]!) === 0)).toBe(true);
    expect(some.some((data, i) => Buffer.compare(data, others[i]!) !== 0)).toBe(true);
    expect(all.every(({ data }, i) => Buffer.compare(data, before[i]!) === 0)).toBe(true);
    if (containers.includes(name))
      expect(some.filter((data) => readCore(data)).length).toBeGreaterThan(some.length * 0.9);
  });

  it("finds nothing in changed inputs", () => {
    for (const [i, data] of changed(3).entries()) expect(() => fuzz(data), `change ${i}`).not.toThrow();
  });
});
