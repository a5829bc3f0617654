import { expect, it } from "vitest";
import { core, fixture, run, shell } from "./run.js";

it("kho pages shows a histogram and ranges by address", async () => {
  const { stdout, stderr, code } = await run(["pages", core]);
  expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  const lines = stdout.split("\n");
  expect(lines[0]).toBe(
    "Preserved memory  13.6 MiB (14241792 bytes) in 1872 blocks, 52 ranges; radix tree at 0x4b2000, 19 pages",
  );
  expect(lines).toContain("    9   2 MiB       3  6291456     6 MiB   44.2%  ████████████████████████▊");
  const ranges = lines.filter((line) => line.startsWith("0x"));
  expect(ranges).toHaveLength(52);
  expect(ranges[0]).toBe("0x200000-0x3fffff        9        1         2097152     2 MiB");
  const starts = ranges.map((line) => BigInt(line.split("-")[0]!));
  expect(starts).toEqual([...starts].sort((a, b) => (a < b ? -1 : 1)));
});

it("kho pages --json has strings for addresses and adds up", async () => {
  const pages = JSON.parse((await run(["pages", "--json", fixture("6.18.15-resmem")])).stdout);
  expect(pages.kind).toBe("bitmap-page");
  type Range = { pa: string; end: string; bytes: string };
  const sum = (pages.ranges as Range[]).reduce((bytes, range) => bytes + BigInt(range.bytes), 0n);
  expect(String(sum)).toBe(pages.bytes);
  for (const { pa, end, bytes } of pages.ranges as Range[])
    expect(BigInt(end) - BigInt(pa)).toBe(BigInt(bytes));
});

it("kho pages --at tells what becomes of one address", async () => {
  expect((await run(["pages", "--at", "0x212345", core])).stdout).toBe(
    "0x212345  preserved: page 18 of the block 0x200000-0x3fffff, order 9, 2 MiB\n",
  );
  expect((await run(["pages", "--at", "184549376", core])).stdout).toBe(
    "0xb000000  not preserved\n0xb000000  in scratch area 1, which the next kernel overwrites\n",
  );
});

it("kho pages says that there are findings, and ends quietly on a closed pipe", async () => {
  const { stderr, code } = await run(["pages", "--lenient", "--release", "6.19", core]);
  expect(code).toBe(1);
  expect(stderr).toContain("172 errors in this handover: kho check lists them");
  expect((await shell(`$KHO pages ${core} | head -1 | wc -l; echo "\${PIPESTATUS[0]}"`)).stdout).toBe(
    "1\n0\n",
  );
  expect((await run(["pages", "fixtures/7.3-memfd/fdt/second-in-fdt.dtb"])).code).toBe(3);
});
