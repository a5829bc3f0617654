import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { contentOf, type TrueFile } from "./pattern.js";
import { core, coreBytes, each, fixture, run, temporary, truthOf } from "./run.js";

const folder = temporary();
let count = 0;
const fresh = (): string => join(folder, `out-${count++}`);

type TrueSession = { name: string; files: TrueFile[] };

describe("kho extract", () => {
  it("gives the bytes that were written", async () => {
    const cases: [string, string, string][] = [
      ["7.3-memfd", "kinds", "0x12"],
      ["7.3-memfd", "kinds", "0x1e"],
      ["7.3-memfd", "kinds", "0xffffffffffffffff"],
      ["7.3-memfd", "session-name-of-the-maximum-length-xxxxxxxxxxxxxxxxxxxxxxxxxxxx", "0x1003"],
      ["6.19.10-memfd", "ünïcöde-☃", "0x2"],
      ["7.3-arm64-64k-memfd", "kinds", "0x15"],
    ];
    await each(cases, async ([name, session, token]) => {
      const truth = (truthOf(name).sessions as TrueSession[])
        .find((candidate) => candidate.name === session)!
        .files.find((candidate) => candidate.token === token)!;
      const out = fresh();
      const { stdout, stderr, code } = await run(["extract", fixture(name), session, token, "-o", out]);
      expect({ name, token, stdout, code }).toEqual({ name, token, stdout: "", code: 0 });
      expect(stderr).toContain(`${out}: `);
      const pageSize = name.includes("64k") ? 65536 : 4096;
      expect(readFileSync(out).equals(contentOf(truth, pageSize))).toBe(true);
      expect(statSync(out).mode & 0o777).toBe(0o600);
      expect(existsSync(`${out}.partial`)).toBe(false);
    });
  });

  it("takes the file by option, by place and by decimal token, and writes to a pipe", async () => {
    const whole = (await run(["extract", core, "one", "1", "-o", "-"])).bytes;
    expect(whole).toHaveLength(4096);
    for (const choice of [["--token", "0x1"], ["--file", "0"], []])
      expect(
        (await run(["extract", core, "--session", "one", ...choice, "-o", "-"])).bytes.equals(whole),
      ).toBe(true);
    expect(await run(["extract", core, "kinds", "0x10", "-o", "-"])).toMatchObject({ code: 0, stdout: "" });
  });

  it("replaces nothing without --force, and never what is no file", async () => {
    const out = fresh();
    writeFileSync(out, "precious");
    const refused = await run(["extract", core, "one", "-o", out]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("--force replaces it") });
    expect(readFileSync(out, "utf8")).toBe("precious");
    expect((await run(["extract", core, "one", "-f", "-o", out])).code).toBe(0);
    expect(statSync(out).size).toBe(4096);
    const taken = fresh();
    mkdirSync(taken);
    expect((await run(["extract", core, "one", "-f", "-o", taken])).code).toBe(2);
    expect((await run(["extract", core, "one", "-o", join(folder, "no/such/folder")])).code).toBe(4);
  });

  it("says what is missing from the command line", async () => {
    const cases: [string[], string][] = [
      [["extract", core, "-o", "-"], "name a session"],
      [["extract", core, "one"], "-o OUT"],
      [["extract", core, "one", "--session", "one", "-o", "-"], "named twice"],
      [["extract", core, "kinds", "-o", "-"], "0x10, 0x11"],
      [["extract", core, "kinds", "0x99", "-o", "-"], "no file with token 0x99"],
      [["extract", core, "kinds", "99z", "-o", "-"], "99z is no token"],
      [["extract", core, "kinds", "--file", "18", "-o", "-"], "0 to 17"],
      [["extract", core, "empty-session", "-o", "-"], "has no files"],
      [["extract", core, "knids", "-o", "-"], "expected  kinds"],
    ];
    await each(cases, async ([args, text]) => {
      const { stderr, stdout, code } = await run(args);
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: "" });
      expect(stderr).toContain(text);
    });
  });

  it("leaves holes as holes", async () => {
    const bytes = coreBytes();
    const { at, truth } = await folioList(bytes);
    // Entries with PFN 0 are holes: pages 6 to 905.
    for (let i = 6; i <= 905; i++) bytes.writeBigUInt64LE(0n, at + i * 16);
    const path = join(folder, "holes.elf");
    writeFileSync(path, bytes);
    const wanted = contentOf(truth, 4096);
    const out = fresh();
    const { stderr, code } = await run(["extract", path, "kinds", "0x12", "-o", out]);
    expect(code).toBe(0);
    expect(stderr).toContain("1 hole");
    expect(readFileSync(out).equals(wanted)).toBe(true);
    const { blocks, size } = statSync(out);
    expect(size).toBe(wanted.length);
    // Where the file system has sparse files at all.
    if (blocks * 512 < size) expect(blocks * 512).toBeLessThan(size - 800 * 4096);
    expect((await run(["extract", path, "kinds", "0x12", "-o", "-"])).bytes.equals(wanted)).toBe(true);
    expect((await run(["sessions", path, "kinds"])).stdout).toContain("1 hole, 3.52 MiB (3686400 bytes)");
  });

  it("never writes a file that lacks something without saying so", async () => {
    const bytes = coreBytes();
    const { at, truth } = await folioList(bytes);
    // Page 5 is somewhere that the capture does not have.
    const flags = bytes.readBigUInt64LE(at + 5 * 16) & ~((1n << 52n) - 1n);
    bytes.writeBigUInt64LE(flags | 0xffff0n, at + 5 * 16);
    const path = join(folder, "absent.elf");
    writeFileSync(path, bytes);
    const out = fresh();
    const before = readdirSync(folder).length;
    const strict = await run(["extract", path, "kinds", "0x12", "-o", out]);
    expect(strict.code).toBe(3);
    expect(strict.stderr).toContain("0xffff0000");
    expect(strict.stderr).toContain("--lenient leaves holes");
    expect(readdirSync(folder)).toHaveLength(before);
    const lenient = await run(["extract", "--lenient", path, "kinds", "0x12", "-o", out]);
    expect(lenient.code).toBe(1);
    expect(lenient.stderr).toContain("4 KiB (4096 bytes) are not in the capture");
    const wanted = contentOf(truth, 4096);
    wanted.fill(0, 5 * 4096, 6 * 4096);
    expect(readFileSync(out).equals(wanted)).toBe(true);
  });
});

/** Where the folio list of the file 0x12 is in a capture: its first entries are found by their bytes. */
async function folioList(bytes: Buffer): Promise<{ at: number; truth: TrueFile }> {
  const [file] = JSON.parse(
    (await run(["sessions", "--json", core, "kinds"])).stdout,
  ).sessions[0].files.filter(({ token }: { token: string }) => token === "18");
  const [first] = file.memfd.folioRuns;
  const entry = Buffer.alloc(16);
  entry.writeBigUInt64LE((BigInt(first.flags) << 52n) | (BigInt(first.pa) >> 12n));
  const at = bytes.indexOf(entry);
  expect(at).toBeGreaterThan(0);
  const truth = (truthOf("7.3-memfd").sessions as TrueSession[])[3]!.files[2]!;
  return { at, truth };
}
