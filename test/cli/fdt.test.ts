import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { core, each, fixture, root, run, temporary } from "./run.js";

const folder = temporary();
const dtb = "fixtures/7.3-memfd/fdt/second-in-fdt.dtb";

it("kho fdt prints the root with the values of raw numbers", async () => {
  const { stdout, stderr, code } = await run(["fdt", core]);
  expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  expect(stdout).toContain("\tpreserved-memory-map = <0x00204b00 0x00000000>; /* 0x4b2000 */\n");
  expect(stdout).toContain("\t\tblob-size = <0x20000000 0x00000000>; /* 32 */\n");
});

it("kho fdt prints what dtc compiles", async () => {
  if (spawnSync("dtc", ["--version"]).error) return;
  const cases = [[core], [fixture("7.1.13-memfd"), "LUO"], [fixture("7.3-resmem"), "memblock"], [dtb]];
  await each(cases, async (args) => {
    const { stdout, code } = await run(["fdt", ...args]);
    expect({ args, code }).toEqual({ args, code: 0 });
    const { status, stdout: blob } = spawnSync("dtc", ["-q", "-I", "dts", "-O", "dtb"], { input: stdout });
    expect({ args, status }).toEqual({ args, status: 0 });
    // And back: the same source.
    const compiled = join(folder, `${args.join("-").replaceAll("/", "-")}.dtb`);
    writeFileSync(compiled, blob);
    expect((await run(["fdt", compiled])).stdout).toBe(stdout);
  });
});

it("kho fdt says which subtrees are no trees, and which there are", async () => {
  expect(await run(["fdt", core, "LUO"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("not a tree but a struct luo_ser"),
  });
  expect((await run(["fdt", core, "LOU"])).stderr).toContain("expected  LUO");
});

it("kho fdt --check lists what is wrong with a tree", async () => {
  expect(await run(["fdt", "--check", dtb])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("no problems: version 17"),
  });
  const cut = join(folder, "cut.dtb");
  writeFileSync(cut, readFileSync(join(root, dtb)).subarray(0, 150));
  const { stdout, code } = await run(["fdt", "--check", cut]);
  expect(code).toBe(1);
  expect(stdout).toContain("fdt-truncated");
  expect(await run(["fdt", cut])).toMatchObject({ code: 3, stderr: expect.stringContaining("--lenient") });
  const lenient = await run(["fdt", "--lenient", cut]);
  expect(lenient.code).toBe(1);
  expect(lenient.stdout).toContain("/dts-v1/;");
  expect(lenient.stderr).toContain("warning:");
});
