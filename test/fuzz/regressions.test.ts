/**
 * Every input that once showed a fault: `fixtures/fuzz/TARGET/NAME.bin`, run on the instrumented build, which counts steps
 * and bytes. Adding a case is adding a file.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildFuzz } from "../../fuzz/build/build.js";
import { type Executor, newExecutor } from "../../src/fuzz/execute.js";

const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const fixtures = join(root, "fixtures/fuzz");
const names = readdirSync(fixtures).sort();
const sourceOf = (name: string): string => `fuzz/${name}.ts`;
const out = mkdtempSync(join(tmpdir(), "kho-regressions-"));

beforeAll(async () => {
  const targets = Object.fromEntries(names.map((name) => [name, sourceOf(name)]));
  await buildFuzz({ root, out: join(out, "build"), targets });
}, 60_000);
afterAll(() => rmSync(out, { recursive: true }));

describe.each(names)("%s", (name) => {
  let executor: Executor;
  beforeAll(async () => {
    const { instrumentation, ...target } = await import(
      /* @vite-ignore */ pathToFileURL(join(out, "build", `${name}.mjs`)).href
    );
    executor = newExecutor(target, instrumentation);
  });

  test.each(readdirSync(join(fixtures, name)).sort())("%s", (file) => {
    const input = new Uint8Array(readFileSync(join(fixtures, name, file)));
    expect(executor.describe(input)?.text).toBeUndefined();
  });
});

test("fixtures belong to targets", () => {
  expect(names.filter((name) => !existsSync(join(root, sourceOf(name))))).toEqual([]);
});
