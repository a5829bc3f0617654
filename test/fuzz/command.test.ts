import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { oracles } from "../../src/fuzz/finding.js";
import { readCorpus, writeFinding } from "../../src/fuzz/node/folders.js";
import { run, temporary } from "../cli/run.js";

const folder = temporary();

describe("kho fuzz", () => {
  test("lists the targets", async () => {
    const { stdout, code } = await run(["fuzz", "--list"]);
    const names = stdout
      .split("\n")
      .slice(1, -1)
      .map((line) => line.split(" ")[0]);
    const files = readdirSync("fuzz").filter((file) => file.endsWith(".ts"));
    expect(code).toBe(0);
    expect(names).toEqual(files.map((file) => file.replace(".ts", "")).sort());
  });

  test("fuzzes, draws, and leaves a corpus from which it goes on", async () => {
    const corpus = join(folder, "corpus");
    const plot = join(folder, "fuzz.svg");
    const args = ["fuzz", "--target", "layout", "--jobs", "1", "--findings", join(folder, "none")];
    const { stdout, code } = await run([
      ...args,
      "--runs",
      "300",
      "--corpus",
      corpus,
      "--plot",
      plot,
      "--json",
    ]);
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ seed: "1", jobs: 1, targets: [{ name: "layout", findings: [] }] });
    expect(report.targets[0].executions).toBeGreaterThanOrEqual(300);
    expect(readFileSync(plot, "utf8")).toMatch(/^<svg .*>edges<.*>executions\/s<.*<\/svg>\n$/s);
    expect(readCorpus(corpus, ["layout"]).get("layout")!.length).toBeGreaterThan(0);
    const again = await run([...args, "--runs", "300", "--corpus", corpus]);
    expect(again.stdout).toMatch(/^target +runs +runs\/s +edges +of +corpus +findings\nlayout +3\d\d /);
    expect(again.stdout).toContain("no findings in 0:");
  });

  test("runs one input", async () => {
    const input = join(folder, "input");
    writeFileSync(input, "nothing that means anything");
    const { stdout, code } = await run(["fuzz", "--target", "fdt", "--reproduce", input]);
    expect(stdout).toMatch(/^fdt {2}27 bytes, \d+ steps\nnothing is wrong\n$/);
    expect(code).toBe(0);
  });

  test.each([
    [["--target", "nothing"], "there is no target nothing"],
    [["--reproduce", "README.md"], "--reproduce needs the one --target"],
    [["--jobs", "0"], "It is no count"],
  ])("%s is an error of the caller", async (args, message) => {
    const { stderr, code } = await run(["fuzz", ...args]);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});

test("a finding is written with its test", () => {
  const input = new Uint8Array([1, 2, 3]);
  const minimised = new Uint8Array([1]);
  const found = {
    target: "luo",
    oracle: "roundtrip" as const,
    message: "not the same\u2028import evil",
    place: "readThing formats/luo/luo.ts",
    text: "OracleFailure: not the same\n    at readThing",
    input,
    minimised,
    executions: 7,
    seconds: 1,
  };
  mkdirSync(join(folder, "findings"));
  const path = writeFinding(join(folder, "findings"), found);
  const name = path.split("/").at(-1)!;
  expect(name).toMatch(/^roundtrip-[0-9a-f]{8}$/);
  expect(readdirSync(path).sort()).toEqual(["error.txt", "input", `${name}.bin`, `${name}.test.ts`].sort());
  expect(new Uint8Array(readFileSync(join(path, `${name}.bin`)))).toEqual(minimised);
  const source = readFileSync(join(path, `${name}.test.ts`), "utf8");
  expect(source).toContain(`"../../fixtures/fuzz/luo/${name}.bin"`);
  expect(source).toContain("// roundtrip: not the same import evil\n");
  expect(writeFinding(join(folder, "findings"), { ...found, message: "other" })).toBe(path);
});

test("the documentation knows every oracle", () => {
  const readme = readFileSync("fuzz/README.md", "utf8");
  const rows = readme.split("\n").map((line) => line.split("|")[1]?.trim());
  for (const oracle of Object.keys(oracles)) expect(rows).toContain(`\`${oracle}\``);
  expect(existsSync("fuzz/oss-fuzz/build.sh")).toBe(true);
});
