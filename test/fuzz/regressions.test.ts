/** Every input that once showed a fault: `fixtures/fuzz/TARGET/NAME.bin`. Adding a case is adding a file. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { TargetModule } from "../../src/fuzz/target.js";

const fixtures = fileURLToPath(new URL("../../fixtures/fuzz", import.meta.url));
const targets = existsSync(fixtures) ? readdirSync(fixtures).sort() : [];

describe.each(targets)("%s", async (name) => {
  const target: TargetModule = await import(`../../fuzz/${name}.ts`);

  test.each(readdirSync(`${fixtures}/${name}`).sort())("%s", (file) => {
    const input = new Uint8Array(readFileSync(`${fixtures}/${name}/${file}`));
    expect(() => target.fuzz(input)).not.toThrow();
  });
});

test("fixtures belong to targets", () => {
  for (const name of targets)
    expect(existsSync(fileURLToPath(new URL(`../../fuzz/${name}.ts`, import.meta.url)))).toBe(true);
});
