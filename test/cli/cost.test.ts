import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { core, each, fixture, run, temporary } from "./run.js";

const folder = temporary();

const golden = `\
Cost of a handover  2 sessions, 4 files, 64 MiB in 16384 folios
  from     Linux 7.3, x86_64, pages of 4 KiB
  lies in  16385 physically contiguous runs
  takes    352 KiB (360448 bytes) for structures, 88 pages
  calls    17, in both kernels
  scratch  1.13 MiB for memblock's list of the runs (estimated) of 128 MiB

Structures  exact
  STRUCTURE            COUNT   BYTES  PAGES  ORDER
  kho_data                 1      48      0      -  record of the boot loader
  kho_scratch              3      48      0      -  array of the scratch areas
  root tree                1     345      1      0  flattened device tree
  kho_radix_node           1    4096      1      -  tables of level 5
  kho_radix_node           2    8192      2      -  tables of level 4
  kho_radix_node           2    8192      2      -  tables of level 3
  kho_radix_node           2    8192      2      -  tables of level 2
  kho_radix_node           2    8192      2      -  tables of level 1
  kho_radix_leaf           3   12288      3      -  leaves
  memblock tree            1     210      1      0  reserve_mem regions
  luo_ser                  1      32      1      0  root of live update
  luo_session_ser          2     176      1      0  in serialization blocks
  luo_file_ser             4     288      2      0  in serialization blocks
  luo_flb_ser              3     208      1      0  one page
  memfd_luo_ser            2      96      2      0  a page for each memfd
  memfd_luo_folio_ser  16384  262144     64      0  lists of folios
  kho_vmalloc_chunk        2     528      2      0  where the lists are
  kho_kexec_metadata       1      73      1      0  which kernel wrote it
  all                         313348     88         order -: not preserved
`;

const host = [
  ...["--vms", "2", "--memory", "32MiB", "--fragmentation", "1", "--devices", "2", "--flbs", "3"],
  ...["--reserve-mem", "trace:2M", "--scratch", "128M"],
];

describe("kho cost", () => {
  it("shows bytes and pages to the byte", async () => {
    const { stdout, stderr, code } = await run(["cost", ...host]);
    expect([stderr, code]).toEqual(["", 0]);
    expect(stdout.slice(0, stdout.indexOf("\nPreserved"))).toBe(golden);
  });

  it("never gives a kernel's time without saying that it is modelled", async () => {
    const { stdout } = await run(["cost", ...host]);
    const lines = stdout.split("\n");
    let section = "";
    for (const line of lines) {
      if (/^[A-Z]/.test(line) && !/(BLACKOUT|blackout|After it)/i.test(line)) section = line;
      if (/\d (us|ms|s|min|h|d)\b/.test(line)) expect(section, line).toMatch(/ {2}modelled$/);
    }
    expect(stdout).toContain("\n  Modelled, not measured: ");
    expect(stdout).toContain("\n  The boot of the machine itself comes on top: --base-boot adds it.\n");
  });

  it("reads the shape of a capture, which --shape takes again", async () => {
    const { stdout } = await run(["cost", core, "--json"]);
    const json = JSON.parse(stdout);
    expect(json.totals).toMatchObject({ sessions: 60, files: 170, folios: 1351 });
    expect(json.map).toEqual({ kind: "radix", nodes: 19, pages: 19 });
    expect(json.kernel).toMatchObject({ modelled: true, constants: { kernel: "7.3.4", standIn: false } });
    expect(json.kernel.blackout.baseBoot).toBe(null);
    expect(json.advice.every(({ modelled }: { modelled: boolean }) => modelled)).toBe(true);
    const path = join(folder, "shape.json");
    writeFileSync(path, JSON.stringify(json.shape));
    expect((await run(["cost", "--shape", path, "--json"])).stdout).toBe(stdout);
    expect((await run(["cost", "--shape", "-", "--json"], { input: readFileSync(path) })).stdout).toBe(
      stdout,
    );
  });

  it("takes every capture of a handover", async () => {
    const names = ["6.18.15-resmem", "6.19.10-memfd", "7.1.13-memfd", "7.3-resmem", "7.3-arm64-64k-memfd"];
    await each(names, async (name) => {
      const meta = `fixtures/${name}/meta.json`;
      const { stderr, code } = await run(["cost", fixture(name), "--meta", meta]);
      expect([name, stderr, code]).toEqual([name, "", 0]);
    });
  });

  it("is calibrated by a real run, and adds a boot that somebody measured", async () => {
    const args = [
      "--memory",
      "1GiB",
      "--preserve-took",
      "200",
      "--retrieve-took",
      "500",
      "--base-boot",
      "2000",
    ];
    const { stdout } = await run(["cost", ...args]);
    expect(stdout).toMatch(/\n {2}retrieve files +355 M +500 ms/);
    expect(stdout).toContain("\n  Time at the speed of a real run: 0.71 ... 0.788 G instructions/s.\n");
    expect(stdout).toMatch(
      /\n {2}With a boot of 2\.00 s as it was measured: a blackout of 2\.9\d \.\.\. 2\.9\d s\.\n/,
    );
    const { kernel } = JSON.parse((await run(["cost", ...args, "--json"])).stdout);
    expect(kernel.blackout.withBaseBoot.least).toBe(kernel.blackout.seconds.least + 2);
  });

  it("measures this toolkit if it is asked to, and says that it is no kernel", async () => {
    const { stdout } = await run(["cost", "--memory", "1MiB", "--measure"]);
    expect(stdout).toContain("\nThis toolkit  measured here, in JavaScript: no kernel's time\n");
    expect(stdout).toMatch(/\n {2}decode +[\d.]+ (us|ms|s) {2}the library decodes\n/);
    const { toolkit } = JSON.parse((await run(["cost", "--memory", "1MiB", "--measure", "--json"])).stdout);
    expect(toolkit).toMatchObject({ measured: true, folios: 256, factor: 1 });
  });

  it("draws a chart that says what it is", async () => {
    const path = join(folder, "cost.svg");
    const { code } = await run(["cost", "--memory", "1GiB", "--release", "7.0", "--svg", path]);
    expect(code).toBe(0);
    const svg = readFileSync(path, "utf8");
    const text = svg.replace(/\s+/g, " ");
    expect(text).toContain(
      "<title>Modelled blackout of a handover against memory, with constants counted on Linux 6.19.10</title>",
    );
    expect(text).toContain("Modelled, not measured: no kernel of 7.0");
    expect(text).toContain("was measured: the constants of Linux 6.19.10 stand in");
    expect(text).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg.match(/class="line"/g)).toHaveLength(6);
    // Well-formed: every tag is closed, in order.
    const open: string[] = [];
    for (const [, close, name, own] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
      if (close) expect(open.pop()).toBe(name);
      else if (!own) open.push(name!);
    }
    expect(open).toEqual([]);
    expect(svg.replace(/<[^>]*>/g, "")).not.toMatch(/[<&]/);
  });

  it("says with 1 what a release has no room for", async () => {
    const { stdout, code } = await run(["cost", "--vms", "820", "--memory", "4K", "--release", "7.1"]);
    expect(code).toBe(1);
    expect(stdout).toContain("\n  cannot be  Linux 7.1 has room for 819 sessions\n");
  });

  it("refuses what is no shape", async () => {
    const cases: [string[], string][] = [
      [[], "what is it to be the cost of?"],
      [["--vms", "3"], "--memory says how much each of the machines has"],
      [[core, "--vms", "3"], "three ways, and each is enough"],
      [["--memory", "1G", "--runs", "1", "--fragmentation", "1"], "either runs or fragmentation is given"],
      [["--memory", "1G", "--fragmentation", "2"], "It is no share"],
      [["--memory", "1G", "--rate", "3-1"], "The slower speed stands first"],
      [["--memory", "1G", "--release", "6.18"], "it hands over no files"],
      [["--memory", "1G", "--reserve-mem", "trace"], "a region is a name and a size"],
      [["--shape", "package.json"], "the shape's"],
      [
        ["--vms", "2000000000", "--memory", "4K", "--svg", join(folder, "none.svg")],
        "has no room for 2000000000 files",
      ],
    ];
    await each(cases, async ([args, message]) => {
      const { stderr, code } = await run(["cost", ...args]);
      expect([args, code]).toEqual([args, 2]);
      expect(stderr).toContain(message);
    });
  });

  it("paints what is modelled", async () => {
    const { stdout } = await run(["cost", "--memory", "1M", "--color", "always"]);
    expect(stdout).toContain("\x1b[33mmodelled\x1b[39m");
    expect((await run(["cost", "--memory", "1M"], { env: { NO_COLOR: "1" } })).stdout).not.toContain("\x1b");
  });
});
