import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = new URL("../..", import.meta.url).pathname;

it.each(["src", "formats"])("no code in %s is made from text", (folder) => {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  const code = files.filter((name) => name.endsWith(".ts"));
  expect(code.length).toBeGreaterThan(0);
  for (const name of code)
    expect(readFileSync(join(root, folder, name), "utf8"), name).not.toMatch(
      /\beval\s*\(|\bFunction\s*\(|\bnew\s+Function\b|\bsetTimeout\s*\(\s*["'`]/,
    );
});
