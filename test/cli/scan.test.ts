import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { core, run, temporary } from "./run.js";

const folder = temporary();

it("kho scan lists candidates with a verdict, best first", async () => {
  const { stdout, stderr, code } = await run(["scan", core]);
  expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  expect(stdout.split("\n").slice(1)).toEqual([
    "2 candidates, 2 usable, best first",
    "0xf7fa0e0  setup_data   usable    a hand-off record for a root at 0x4b3000, kexec 1",
    "0x4b3000   root         usable    kho-v4, memory map present, subtrees: LUO, kexec-metadata, kexec 1",
    "",
  ]);
  const { candidates } = JSON.parse((await run(["scan", "--json", core])).stdout);
  expect(candidates[0]).toMatchObject({
    pa: String(0xf7fa0e0),
    usable: true,
    record: { fdtPa: String(0x4b3000) },
  });
});

it("kho scan fails where nothing is usable, and where there is no memory", async () => {
  const zeros = join(folder, "zeros");
  writeFileSync(zeros, Buffer.alloc(8192));
  expect(await run(["scan", "--base", "0x40000000", zeros])).toMatchObject({
    code: 3,
    stdout: expect.stringContaining("0 candidates"),
  });
  expect((await run(["scan", "fixtures/7.3-memfd/fdt/second-in-fdt.dtb"])).code).toBe(2);
});
