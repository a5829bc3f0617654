/** Every planted fault can still be planted; `npm run fuzz:planted` looks whether it is found. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { plantedIn } from "../../fuzz/planted/patches.js";
import { oracles } from "../../src/fuzz/finding.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const planted = plantedIn(`${root}fuzz/planted`);

describe("planted faults", () => {
  test.each(planted)("$name", ({ file, target }) => {
    execFileSync("git", ["apply", "--check", file], { cwd: root, stdio: "pipe" });
    expect(existsSync(`${root}fuzz/${target}.ts`)).toBe(true);
  });

  test("there are some for every oracle", () => {
    const used = new Set(planted.map(({ oracle }) => oracle));
    expect(Object.keys(oracles).filter((oracle) => !used.has(oracle as keyof typeof oracles))).toEqual([]);
    expect(planted.length).toBeGreaterThanOrEqual(20);
  });
});
