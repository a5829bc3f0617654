import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { elfCore } from "../../src/image/elf-write.js";
import { newFile, writePieces } from "../../src/image/write.js";
import { run } from "../cli/run.js";
import { measured } from "./child.js";
import { abi, type HostPlan, makeHost } from "./host.js";
import type { Resident } from "./measure.js";

const MiB = 2 ** 20;
const GiB = 2 ** 30;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kho-scale-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a host as a core, with its folio lists or without; the address of its hand-off record. */
async function write(plan: HostPlan, path: string, lists: boolean): Promise<bigint> {
  const { memory, structures, handoff } = makeHost(plan);
  const core = elfCore(memory, {
    ranges: lists ? memory.ranges : structures,
    arch: "x86_64",
    pageSize: abi.pageSize,
  });
  await writePieces(newFile(path), core);
  return handoff.recordPa;
}

/** Folios of 4 KiB, of which 64 lie side by side on average. */
const hostOf = (vms: number): HostPlan => ({ release: "7.3", vms, bytes: 16 * GiB, order: 0, mean: 64 });

describe("what a process has in memory at most that decodes virtual machines of 16 GiB in 4K folios", () => {
  const hosts = [
    { vms: 4, limit: 256 * MiB },
    // A terabyte: 268,435,456 folios in 4,194,304 runs, with all cross-checks.
    ...(process.env.KHO_SCALE === "all" ? [{ vms: 64, limit: 512 * MiB }] : []),
  ];
  it.each(hosts)(
    "is less than $limit bytes for $vms of them",
    { timeout: 600_000 },
    async ({ vms, limit }) => {
      const plan = hostOf(vms);
      const core = join(folder, `structures-${vms}.elf`);
      await write(plan, core, false);
      const { most, folios, runs, findings } = await measured<Resident>("resident", [plan], core);
      expect(findings).toBe(0);
      expect(folios).toBe(vms * 2 ** 22);
      // Of each file as many as the map has of it, which has structures and lists beside.
      expect(runs).toBe(2 * vms * 2 ** 16 + 2);
      expect(most).toBeLessThan(limit);
    },
  );
});

describe("the command on the core of a host of 16 GiB", () => {
  const plan: HostPlan = { release: "7.3", vms: 4, bytes: 4 * GiB, order: 0, mean: 64 };
  /** Writes what the process had at most to standard error when it ends. */
  const report = `data:text/javascript,${encodeURIComponent(
    'import{writeSync}from"node:fs";process.on("exit",()=>writeSync(2,String(process.resourceUsage().maxRSS)))',
  )}`;
  let input: readonly string[] = [];
  beforeAll(async () => {
    const core = join(folder, "host.elf");
    const recordPa = await write(plan, core, true);
    input = [core, "--release", plan.release, "--handoff", `${recordPa}`];
  }, 60_000);
  const called = async (...args: readonly string[]): Promise<string> => {
    const { stdout, stderr, code } = await run([...args, ...input], {
      env: { NODE_OPTIONS: `--import ${report}` },
    });
    expect(code).toBe(0);
    expect(Number(stderr) * 1024).toBeLessThan(256 * MiB);
    return stdout;
  };

  it("decodes it", async () => {
    expect(await called("decode")).toContain("4 sessions, 4 files, 16 GiB in 4194304 folios");
  });
  it("checks it", async () => {
    expect(await called("check")).toMatch(/4194304 folios;.*\n\nno findings\n$/);
  });
  it("lists what is preserved by address, as text and as JSON", async () => {
    const text = (await called("pages")).split("\n").filter((line) => line.startsWith("0x"));
    const { ranges } = JSON.parse(await called("pages", "--json"));
    expect(text.length).toBe(2 + 4 * 2 ** 14);
    expect(ranges.length).toBe(text.length);
    const starts = ranges.map(({ pa }: { readonly pa: string }) => Number(pa));
    expect(text.map((line) => Number(line.split("-")[0]))).toEqual(starts);
    for (let i = 1; i < starts.length; i++)
      if (starts[i - 1] >= starts[i]) expect.fail(`range ${i} is not in order`);
  });
});
