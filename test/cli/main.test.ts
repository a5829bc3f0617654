import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { each, root, run } from "./run.js";

it("kho has help for every verb, with examples that name what exists", async () => {
  const help = await run(["--help"]);
  expect(help.code).toBe(0);
  const verbs = [...help.stdout.matchAll(/^ {2}(\w+) \[options\]/gm)].map(([, verb]) => verb!);
  expect(verbs).toEqual([
    "decode",
    "check",
    "pages",
    "sessions",
    "extract",
    "pack",
    "fdt",
    "scan",
    "simulate",
    "layout",
    "compat",
    "craft",
    "preflight",
    "cost",
    "fuzz",
  ]);
  await each(verbs, async (verb) => {
    const { stdout, code } = await run([verb, "--help"]);
    expect(code).toBe(0);
    expect(stdout.match(new RegExp(`^  kho ${verb}`, "gm"))!.length).toBeGreaterThanOrEqual(2);
    for (const [path] of stdout.matchAll(/fixtures\/\S+/g)) readFileSync(join(root, path!));
  });
});

it("kho without a verb shows its help and fails", async () => {
  const { stdout, stderr, code } = await run([]);
  expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
  expect(stderr).toContain("Usage: kho");
});

it("kho has the version of its package", async () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(await run(["--version"])).toMatchObject({ stdout: `${version}\n`, code: 0 });
});
