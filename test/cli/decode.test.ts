import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { altered, core, coreBytes, each, fixture, root, run, shell, temporary } from "./run.js";

const folder = temporary();
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
const controls = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;

describe("kho decode", () => {
  it("shows a handover as a tree, without colour where nobody looks", async () => {
    const { stdout, stderr, code } = await run(["decode", core]);
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    const lines = stdout.split("\n");
    expect(lines.slice(0, 6)).toEqual([
      "fixtures/7.3-memfd/core.elf.gz: ELF core of x86_64, 13.7 MiB of memory in 49 ranges",
      "kho-v4, Linux 7.3?, x86_64, 4 KiB pages",
      "  release   7.3, worked out: kexec-metadata names 7.3.4",
      "  root      0x4b3000, 4096 bytes, found by a scan of every page",
      "  hand-off  x86 setup_data record at 0xf7fa0e0",
      "            scratch array at 0xf7f0000, 48 bytes",
    ]);
    expect(lines).toContain("├─ low memory  0xe800000-0xf7fffff  16 MiB  16777216 bytes");
    expect(lines).toContain("└─ order 9     3  of 2 MiB      6 MiB  6291456 bytes");
    expect(lines).toContain("├─ ünïcöde-☃  1 file, 12 KiB");
    expect(lines).toContain("├─ ... and 54 more (kho sessions)");
    expect(lines).toContain("├─ FLB liveupdate-test-flb-v0  data 0xfeedf00dcafebee0  count 170");
    expect(lines.at(-2)).toBe("Findings  none");
    expect(stdout).not.toMatch(controls);
  });

  it("shows reserved regions and the test module, and cuts nothing with --all", async () => {
    const { stdout, code } = await run(["decode", "--all", fixture("7.3-resmem")]);
    expect(code).toBe(0);
    expect(stdout).toContain("├─ foo  0xf8f0000-0xf9effff  1 MiB  1048576 bytes");
    expect(stdout).toContain(
      "kho_test  12 folios (orders 0,1,3,5-7), checksum 0x6e12eb1f: the contents add up",
    );
    const all = (await run(["decode", "--all", core])).stdout;
    expect(all).toContain("fill-54");
    expect(all).toContain("seals SEAL|SHRINK|GROW|WRITE");
    expect(all).not.toContain(" more");
  });

  it("reads every capture, and takes the roots from a side file", async () => {
    await each(["6.18.15-resmem", "6.19.10-memfd", "7.1.13-memfd", "7.3-arm64-64k-memfd"], async (name) => {
      const { stdout, stderr, code } = await run([
        "decode",
        fixture(name),
        "--meta",
        `fixtures/${name}/meta.json`,
      ]);
      expect({ name, stderr, code }).toEqual({ name, stderr: "", code: 0 });
      expect(stdout).toContain("given: the side file names");
    });
  });

  it("reads the zstd and gzip of standard input, raw memory, and copied folders", async () => {
    const piped = await run(["decode", "-"], { input: readFileSync(join(root, core)) });
    expect(piped.stdout).toMatch(/^standard input: ELF core/);
    expect(piped.code).toBe(0);
    const copy = join(folder, "kho");
    mkdirSync(join(copy, "in/sub_fdts"), { recursive: true });
    const from = join(root, "fixtures/7.1.13-memfd/fdt");
    copyFileSync(join(from, "second-in-fdt.dtb"), join(copy, "in/fdt"));
    copyFileSync(join(from, "second-in-sub_fdts-LUO.dtb"), join(copy, "in/sub_fdts/LUO"));
    const copied = await run(["decode", "--side", "in", copy]);
    expect(copied.stdout).toContain("copied from debugfs");
    expect(copied.stdout).toContain("LUO");
    expect([0, 1]).toContain(copied.code);
  });

  it("prints the interchange form", async () => {
    const json = await run(["decode", "--json", core]);
    const handover = JSON.parse(json.stdout);
    expect(json.code).toBe(0);
    expect(handover.compatible).toBe("kho-v4");
    expect(handover.luo.sessions).toHaveLength(60);
    const pb = await run(["decode", "--format", "pb", core]);
    expect(pb.code).toBe(0);
    expect(pb.bytes.subarray(0, 8).toString("latin1")).toBe("\n\x06kho-v4");
    expect((await run(["decode", "--json", "--format", "pb", core])).code).toBe(2);
  });

  it("does not write bytes to a terminal, and colours there", async () => {
    if ((await shell("command -v script")).code !== 0) return;
    const pb = await shell(`script -qec "$KHO decode --format pb ${core}" /dev/null < /dev/null`);
    expect(pb.stdout).toContain("binary output would garble the terminal");
    expect(pb.code).toBe(2);
    const colours = await shell(`script -qec "$KHO decode ${core}" /dev/null < /dev/null`);
    expect(colours.stdout).toContain("\x1b[1mScratch");
    const none = await shell(`NO_COLOR=1 script -qec "$KHO decode ${core}" /dev/null < /dev/null`);
    expect(none.stdout).not.toContain("\x1b");
  });

  it("takes colour from the option first, then NO_COLOR, FORCE_COLOR and TERM", async () => {
    const colours = async (args: string[], env: Record<string, string>) =>
      (await run(["decode", ...args, core], { env })).stdout.includes("\x1b[");
    expect(await colours([], { FORCE_COLOR: "1" })).toBe(true);
    expect(await colours([], { FORCE_COLOR: "1", NO_COLOR: "1" })).toBe(false);
    expect(await colours(["--color", "always"], { NO_COLOR: "1" })).toBe(true);
    expect(await colours(["--color", "never"], { FORCE_COLOR: "1" })).toBe(false);
  });

  it("draws in ASCII where the locale has nothing else", async () => {
    expect((await run(["decode", core], { env: { LANG: "C", LC_ALL: "C" } })).stdout).toContain("`- order 9");
  });

  it("ends quietly when the reader of its output is gone", async () => {
    const { stdout, stderr, code } = await shell(
      `for i in 1 2 3; do $KHO decode --all ${core} | head -1; echo "\${PIPESTATUS[0]}"; done`,
    );
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    expect(stdout.match(/^0$/gm)).toHaveLength(3);
    const json = await shell(`$KHO decode --json ${core} | true; echo "\${PIPESTATUS[0]}"`);
    expect({ stdout: json.stdout, stderr: json.stderr }).toEqual({ stdout: "0\n", stderr: "" });
  });

  it("tells what stops the kernel, and reads on with --lenient", async () => {
    const strict = await run(["decode", "--release", "6.19", core]);
    expect(strict.code).toBe(3);
    expect(strict.stderr).toBe(
      `${[
        'kho: error: the root is of version "kho-v4"',
        "  at        0x4b3000  compatible",
        "  expected  kho-v1",
        "  found     kho-v4",
        "  kernel    ignores the whole handover at boot (EINVAL) and boots as if cold",
        "  hint      --lenient reads on past damage and lists all of it",
      ].join("\n")}\n`,
    );
    const lenient = await run(["decode", "--release", "6.19", "--lenient", core]);
    expect(lenient.code).toBe(1);
    expect(lenient.stdout).toContain("Findings  172 errors");
    expect(lenient.stdout).toContain("Linux 6.19 has no handler memfd-v2 (170 times)  file-unknown-handler");
  });

  it("has an exit code for each kind of failure, and never a stack", async () => {
    const empty = join(folder, "empty");
    writeFileSync(empty, "");
    const cases: [string[], number, string][] = [
      [["decode"], 2, "missing required argument"],
      [["decode", core, "--fdt", "0x12zz"], 2, "It is no address"],
      [["decode", core, "--fdt", "0x10000000000000000"], 2, "It is no address"],
      [["decode", core, "--page-size", "8K"], 2, "Page sizes are"],
      [["decode", core, "--max-decompressed", "lots"], 2, "It is no size"],
      [["decode", core, "--release", "9.9"], 2, "no handover formats are known"],
      [["decode", core, "--nonsense"], 2, "unknown option"],
      [["decod"], 2, "Did you mean decode?"],
      [["decode", core, "--fdt", "0x1000"], 3, "the capture holds no memory at 0x1000"],
      [["decode", "package.json"], 3, "kho scan FILE"],
      [["decode", empty], 3, "the file is empty"],
      [["decode", core, "--max-decompressed", "1M"], 3, "--max-decompressed 8G"],
      [["decode", join(folder, "nothing\x1b[31m")], 4, "no such file or folder"],
    ];
    await each(cases, async ([args, wanted, text]) => {
      const { stderr, code } = await run(args);
      expect({ args, code }).toEqual({ args, code: wanted });
      expect(stderr).toContain(text);
      expect(stderr).not.toMatch(/^ {4}at |node_modules/m);
      expect(stderr).not.toMatch(controls);
    });
    expect((await shell(`$KHO decode ${core} > /dev/full`)).code).toBe(4);
  });

  it("shows no control character of a hostile name", async () => {
    const from = Buffer.from("session-name-of-the-maximum-length-");
    const to = Buffer.alloc(from.length, "z");
    Buffer.from("\x1b]0;x\x07\n\r\u202e\u2028\u009b1m", "utf8").copy(to);
    to[30] = 0x9b;
    const path = altered(folder, from, to);
    const escaped = "\\x1b]0;x\\x07\\x0a\\x0d\\u202e\\u2028\\u009b1m";
    for (const args of [
      ["decode", "--all", path],
      ["sessions", path],
      ["check", path],
    ]) {
      const { stdout, stderr } = await run(args);
      expect(stdout + stderr).not.toMatch(controls);
      if (args[0] !== "check") expect(stdout).toContain(escaped);
    }
    for (const args of [
      ["decode", "--json", path],
      ["sessions", "--json", path],
    ]) {
      const { stdout } = await run(args);
      expect(stdout).not.toMatch(controls);
      const parsed = JSON.parse(stdout);
      const { name } = (parsed.luo ?? parsed).sessions[2];
      expect(name.startsWith("\x1b]0;x\x07\n\r\u202e\u2028\u009b1m")).toBe(true);
    }
    const missing = await run(["sessions", path, "\x1b[31mnone"]);
    expect(missing.code).toBe(2);
    expect(missing.stderr).not.toMatch(controls);
    // What is on the screen can be given back.
    const shown = (await run(["sessions", path])).stdout
      .split("\n")
      .find((line) => line.startsWith("\\x1b"))!;
    expect((await run(["sessions", path, shown])).code).toBe(0);
  });

  it("shows a damaged version string in an error, escaped", async () => {
    const path = altered(folder, Buffer.from("kho-v4\0"), Buffer.from("\x1b[31m!\0"));
    const { stderr, code } = await run(["decode", "--fdt", "0x4b3000", path]);
    expect(code).toBe(3);
    expect(stderr).not.toMatch(controls);
    expect(coreBytes().length).toBeGreaterThan(0);
  });
});
