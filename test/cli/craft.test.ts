import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { craftCases } from "../../src/compat/craft/cases/index.js";
import { each, run, shell, temporary } from "./run.js";

const folder = temporary();

describe("kho craft", () => {
  it("says where the fault is, and what kernels do with it", async () => {
    const { stdout, code } = await run(["craft", "file-list-cycle"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^file-list-cycle: a session's list of file blocks leads back/);
    expect(stdout).toMatch(/kho_block_header_ser +next +0x[0-9a-f]+000 +00 00 00 00 00 00 00 00 +00 /);
    expect(stdout).toMatch(/^Linux 7\.3 +open refused EINVAL/m);
    expect(stdout).toMatch(/^Linux 7\.2 +open refused EINVAL/m);
    expect(stdout).not.toContain("Linux 7.1");
  });

  it("has another release write it, which others read", async () => {
    const { stdout } = await run(["craft", "luo-other-version", "--release", "7.0", "--json"]);
    const { release, changes, predictions } = JSON.parse(stdout);
    expect(release).toBe("7.0");
    expect(changes).toHaveLength(1);
    expect(Buffer.from(changes[0].was, "hex").toString()).toBe("luo-v1\0");
    expect(Buffer.from(changes[0].is, "hex").toString()).toBe("luo-v9\0");
    const kinds = Object.fromEntries(
      predictions.map((one: { release: string; kind: string }) => [one.release, one.kind]),
    );
    // Kernels without live update do not look at it, and those with small bitmaps misread all of it.
    expect(kinds).toMatchObject({ "7.0": "panic", "6.19": "panic", "6.18": "accepted" });
  });

  it("lists every case", async () => {
    const { stdout, code } = await run(["craft", "--release", "7.3", "--json"]);
    expect(code).toBe(0);
    const { cases } = JSON.parse(stdout);
    expect(cases.map((one: { name: string }) => one.name)).toEqual(craftCases.map(({ name }) => name));
    expect(cases.find((one: { name: string }) => one.name === "session-refused-duplicate")).toMatchObject({
      area: "sessions",
      releases: { "7.3": { kind: "panic", short: "panic EINVAL" } },
    });
    expect(cases.find((one: { name: string }) => one.name === "luo-flb-node-missing").releases).toEqual({});
  });

  it("writes the memory, and beside it what a real kernel's test bench takes", async () => {
    const out = join(folder, "case.elf");
    const { code, stderr } = await run(["craft", "memfd-size-smaller", "-o", out]);
    expect(code).toBe(0);
    expect(stderr).toContain("case.meta.json");
    const meta = JSON.parse(readFileSync(join(folder, "case.meta.json"), "utf8"));
    for (const key of ["fdtPhys", "fdtSize", "scratchPhys", "scratchSize", "setupDataPhys", "ramSize"])
      expect(meta[key]).toMatch(/^0x[0-9a-f]+$/);
    expect(meta).toMatchObject({ ramSize: "0x10000000", cmdlineExtra: "panic=-1" });
    expect(meta.requireConsole).toContain("liveupdate-test-flb-v1: found flb data from the previous boot");
    const { sessions } = JSON.parse(readFileSync(join(folder, "case.expected.json"), "utf8"));
    expect(sessions[0]).toMatchObject({
      name: "first",
      files: [{ token: "0x1", size: 4096, pos: 5, seals: 1 }, {}],
    });
    const checked = await run(["check", "--release", "7.3", out]);
    expect(checked.stdout).toContain("is not visible");
  });

  it("replaces nothing unless it is told to", async () => {
    const out = join(folder, "there.elf");
    writeFileSync(join(folder, "there.meta.json"), "mine");
    expect((await run(["craft", "memfd-flags", "-o", out])).code).toBe(2);
    expect(readFileSync(join(folder, "there.meta.json"), "utf8")).toBe("mine");
    expect(existsSync(out)).toBe(false);
    expect((await run(["craft", "memfd-flags", "-o", out, "-f"])).code).toBe(0);
    expect(readFileSync(join(folder, "there.meta.json"), "utf8")).toContain("fdtPhys");
  });

  it("goes to a pipe", async () => {
    const { stdout, code } = await shell("$KHO craft memfd-chunk-cycle -o - | $KHO check --json -");
    expect(code).toBe(1);
    expect(JSON.parse(stdout).findings).toMatchObject([{ code: "vmalloc-bad-chunk" }]);
  });

  it("refuses what it cannot do", () =>
    each(
      [
        [["craft", "file-list-cicle"], /file-list-cycle/],
        [["craft", "-o", join(folder, "none.elf")], /name it/],
        [["craft", "file-list-cycle", "--release", "7.1"], /does not write/],
        [["craft", "file-list-cycle", "--release", "5.4"], /5\.4/],
        [["craft", "file-list-cycle", "-o", "-", "--json"], /both/],
      ] as const,
      async ([args, message]) => {
        const { code, stderr } = await run(args);
        expect(stderr).toMatch(message);
        expect(code).toBe(2);
      },
    ));
});
