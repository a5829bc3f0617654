import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { altered, core, coreBytes, each, fixture, run, shell, temporary } from "./run.js";

const folder = temporary();
let count = 0;
const fresh = (suffix = ".elf"): string => join(folder, `out-${count++}${suffix}`);
const json = async (file: string): Promise<string> => (await run(["decode", "--json", file])).stdout;

describe("kho pack", () => {
  it("writes a small capture that decodes to the same, and says what is in it", async () => {
    await each(["7.3-memfd", "6.19.10-memfd", "7.3-arm64-64k-memfd"], async (name) => {
      const out = fresh(".elf.gz");
      const { stdout, stderr, code } = await run(["pack", fixture(name), "-o", out]);
      expect({ name, stdout, code }).toEqual({ name, stdout: "", code: 0 });
      expect(stderr).toMatch(
        /^\S+: [\d.]+ KiB \(\d+ bytes\), of a capture with .* of memory, \d+ times smaller\n/,
      );
      expect(stderr).toMatch(/structures .* pages, all as kho writes them\n/);
      expect(stderr).toMatch(/undefined .* became zeros: page-tail [\d.]+ [KM]iB, /);
      expect(stderr).toContain("none; --data packs them");
      expect(statSync(out).size).toBeLessThan(30_000);
      expect(statSync(out).mode & 0o777).toBe(0o600);
      expect(existsSync(`${out}.partial`)).toBe(false);
      expect(await json(out)).toBe(await json(fixture(name)));
      expect((await run(["check", out])).code).toBe(0);
    });
  });

  it("writes the same bytes each time, compressed or not, and of what is packed already", async () => {
    const [plain, packed, again] = [fresh(), fresh(".elf.gz"), fresh()];
    await each([plain, packed], async (out) => {
      expect((await run(["pack", core, "-o", out])).code).toBe(0);
    });
    expect(gunzipSync(readFileSync(packed)).equals(readFileSync(plain))).toBe(true);
    expect((await run(["pack", packed, "-o", again])).code).toBe(0);
    expect(readFileSync(again).equals(readFileSync(plain))).toBe(true);
    const { bytes, code } = await run(["pack", core, "-o", "-"]);
    expect(code).toBe(0);
    expect(bytes.equals(readFileSync(plain))).toBe(true);
  });

  it("takes contents along if asked to, and stores zeros if asked to", async () => {
    const [with_, stored] = [fresh(), fresh()];
    await each(
      [
        [with_, "omit"],
        [stored, "store"],
      ] as const,
      async ([out, zeros]) => {
        const { stderr, code } = await run(["pack", "--data", "--zeros", zeros, core, "-o", out]);
        expect(code).toBe(0);
        expect(stderr).toContain("contents    11.5 MiB (12107776 bytes)");
      },
    );
    expect(statSync(stored).size).toBeGreaterThan(statSync(with_).size);
    const files = await Promise.all(
      [core, with_, stored].map((file) => run(["extract", file, "kinds", "0x12", "-o", "-"])),
    );
    expect(files.map(({ code }) => code)).toEqual([0, 0, 0]);
    for (const { bytes } of files) expect(bytes.equals(files[0]!.bytes)).toBe(true);
    const test = fresh(".elf.gz");
    expect((await run(["pack", "--data", fixture("7.3-resmem"), "-o", test])).code).toBe(0);
    expect(await json(test)).toBe(await json(fixture("7.3-resmem")));
  });

  it("records what it was told, so that the packed file needs no options", async () => {
    const out = fresh();
    const meta = "fixtures/7.3-arm64-64k-memfd/meta.json";
    await run(["pack", fixture("7.3-arm64-64k-memfd"), "--meta", meta, "-o", out]);
    const read = async (file: string, ...more: string[]) =>
      JSON.parse((await run(["decode", "--json", file, ...more])).stdout);
    expect(await read(out)).toMatchObject({
      pageSize: 65536,
      pageSizeGuessed: false,
      pageSizeEvidence: "VMCOREINFO says so",
      arch: "aarch64",
    });
    expect(await read(out, "--meta", meta)).toEqual(
      await read(fixture("7.3-arm64-64k-memfd"), "--meta", meta),
    );
    const x86 = fresh();
    await run(["pack", core, "-o", x86]);
    const { code, stderr } = await run(["decode", x86, "--meta", "fixtures/7.3-memfd/meta.json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  it("warns of what it does not write as it found it, and packs that", async () => {
    // Behind the NUL of a session's name kernels leave zeros.
    const name = new Uint8Array(64);
    name.set(new TextEncoder().encode("kinds"));
    const changed = name.slice();
    changed[40] = 0x77;
    const odd = altered(folder, name, changed);
    const out = fresh();
    const { stderr, stdout, code } = await run(["pack", odd, "-o", out]);
    expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
    expect(stderr).toMatch(/^warning .*is packed as it is: written anew it has other bytes/);
    expect(stderr).toContain("not-reproduced");
    expect(stderr).toContain("expected 77 00 00 00");
    expect(stderr).toContain("4 KiB as they are in the capture");
    expect(readFileSync(out).includes(Buffer.from(changed))).toBe(true);
    expect(await json(out)).toBe(await json(odd));
  });

  it("reads on past damage, and says that there is some", async () => {
    const bytes = coreBytes();
    const luo = Buffer.from("luo-v5\0\0");
    for (let at = bytes.indexOf(luo); at >= 0; at = bytes.indexOf(luo, at + 1)) bytes[at + 5] = 0x39;
    const path = join(folder, "damaged.elf");
    writeFileSync(path, bytes);
    const out = fresh();
    const { code, stderr } = await run(["pack", path, "-o", out]);
    expect(code).toBe(1);
    expect(stderr).toContain("in this handover: kho check lists them");
    expect((await run(["check", "--json", out])).stdout).toBe((await run(["check", "--json", path])).stdout);
  });

  it("replaces nothing without --force, and leaves nothing where there is no handover", async () => {
    const out = fresh();
    writeFileSync(out, "precious");
    const refused = await run(["pack", core, "-o", out]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("--force replaces it") });
    expect(readFileSync(out, "utf8")).toBe("precious");
    expect((await run(["pack", core, "-f", "-o", out])).code).toBe(0);
    const before = readdirSync(folder).length;
    const cases: [string[], number, string][] = [
      [[core], 2, "-o OUT"],
      [[core, "-o", join(folder, "no/such/folder")], 4, "no such file or folder"],
      [[fixture("7.3-iommu-intel"), "-o", fresh()], 3, "no page of this file begins with"],
      [["fixtures/7.3-memfd/fdt/second-in-fdt.dtb", "-o", fresh()], 2, "there is no memory to pack"],
      [[core, "--zeros", "some", "-o", fresh()], 2, "omit, store"],
    ];
    await each(cases, async ([args, wanted, text]) => {
      const { code, stderr } = await run(["pack", ...args]);
      expect({ args, code }).toEqual({ args, code: wanted });
      expect(stderr).toContain(text);
    });
    expect(readdirSync(folder)).toHaveLength(before);
  });

  it("works in a pipe", async () => {
    const { stdout, code } = await shell(
      `$KHO pack ${core} -o - 2>/dev/null | $KHO decode --json - | head -c 1`,
    );
    expect({ stdout, code }).toEqual({ stdout: "{", code: 0 });
  });
});
