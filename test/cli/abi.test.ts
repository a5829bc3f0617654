import { copyFileSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { bzImage, elfFile, rodata } from "../compat/kernel-files.js";
import { each, root, run, temporary } from "./run.js";

const folder = temporary();
const btf = (name: string): string => `fixtures/btf/${name}.btf`;
const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(join(root, path)));
const abi = (...args: string[]) => run(["abi", ...args]);

it("kho abi has help for every verb, with examples that name what exists", async () => {
  await each(["show", "diff", "lint", "reduce"], async (verb) => {
    const { stdout, code } = await abi(verb, "--help");
    expect(code).toBe(0);
    expect(stdout.match(new RegExp(`^  kho abi ${verb}`, "gm"))!.length).toBeGreaterThanOrEqual(2);
    for (const [path] of stdout.matchAll(/fixtures\/[\w./-]+/g)) readFileSync(join(root, path!));
  });
});

describe("kho abi show", () => {
  it("lists what a kernel hands over, with what versions it", async () => {
    const newest = await abi("show");
    expect(newest).toMatchObject({ code: 0, stderr: "" });
    expect(newest.stdout).toMatch(/^Linux 7\.3: our layouts/);
    expect(newest.stdout).toMatch(/^struct luo_ser +32 {2}luo-v5$/m);
    const own = await abi("show", "--from", btf("6.17.8"));
    expect(own.stdout).toMatch(/^6\.17\.8\.btf: BTF, Linux 6\.17, its own types/);
    expect(own.stdout).toMatch(/^struct kho_mem_phys_bits +512 {2}kho-v1$/m);
    expect(own.stdout).not.toContain("luo_");
  });

  it("prints a structure with those that it is made of", async () => {
    const { stdout } = await abi("show", "memfd_luo_ser", "--from", btf("6.19.10"));
    expect(stdout).toContain("        u64                      nr_folios;             /*     16      8 */");
    expect(stdout).toContain("                        struct kho_vmalloc_chunk *ptr;  /*     24      8 */");
    expect(stdout).toContain("        } folios;                                       /*     24     16 */");
    expect(stdout).toContain("/* version: memfd-v1 */");
  });

  it("prints bit fields, holes and packing of any structure of a file", async () => {
    const odd = (await abi("show", "odd_bits_ser", "--from", "test/btf/nasty.btf")).stdout;
    expect(odd).toMatch(/b:30; +\/\* +0: 3 +4 \*\/\n +\/\* 7 bits hole \*\//);
    expect(odd).toContain("/* size: 11, members: 4, packed, holes: 1 */");
    const shapes = (await abi("show", "struct shapes", "--from", "test/btf/nasty.btf")).stdout;
    expect(shapes).toMatch(/first; +\/\* +0 +1 \*\/\n +\/\* 3 bytes hole \*\//);
  });

  it("has the same facts as JSON", async () => {
    const { stdout } = await abi("show", "memfd_luo_folio_ser", "--from", btf("7.3"), "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      kind: "btf",
      formats: "7.3",
      guessed: true,
      pageSize: 4096,
      structs: [
        {
          name: "memfd_luo_folio_ser",
          size: 16,
          compatible: "memfd-v2",
          members: [
            { name: "pfn", offset: 0, bitOffset: 0, bitSize: 52, type: "u64" },
            { name: "flags", bitOffset: 52, bitSize: 12 },
            { name: "index", offset: 8, size: 8 },
          ],
        },
      ],
    });
    const pages = JSON.parse((await abi("show", "kho_radix_node", "--page-size", "64K", "--json")).stdout);
    expect(pages.structs).toMatchObject([{ size: 65536, members: [{ type: "u64[8192]" }] }]);
  });

  it("suggests what may have been meant", async () => {
    expect(await abi("show", "luo_sesion_ser")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("luo_session_ser"),
    });
  });

  it("shows what sections of proposed series list", async () => {
    const path = join(folder, "vmlinux");
    const section = new Uint8Array(56);
    section.set([0x50, 0x55, 0x56, 0x4c, 1]);
    section.set(new TextEncoder().encode("luo-v5\u001b[31m"), 8);
    writeFileSync(
      path,
      elfFile({ sections: { ".rodata": rodata("7.3.4"), ".liveupdate_versions": section } }),
    );
    const { stdout } = await abi("show", "--from", path);
    expect(stdout).toContain("no types, so our layouts of 7.3");
    expect(stdout).toContain("  luo-v5\\x1b[31m");
    expect(JSON.parse((await abi("show", "--from", path, "--json")).stdout).versions).toEqual([
      "luo-v5\u001b[31m",
    ]);
  });
});

describe("kho abi diff", () => {
  it("lists what differs, and exits with 1 where anything does", async () => {
    const { stdout, code } = await abi("diff", btf("6.17.8"), btf("6.18.15"));
    expect(code).toBe(1);
    expect(stdout).toContain("changed struct kho_mem_phys_bits  512 -> 4096 bytes  kho-v1");
    expect(stdout).toMatch(/~ {2}preserve {2}offset 0 {2}512 bytes -> 4096 bytes/);
    expect(stdout).toContain("added struct kho_vmalloc  16 bytes  kho-v1");
    expect(stdout).toContain("4 structures differ, 6 are the same");
    expect(await abi("diff", "7.2", "7.3")).toMatchObject({ code: 0 });
  });

  it("holds a file against a release with pages of the file's size", async () => {
    expect(await abi("diff", "7.3", btf("7.3"))).toMatchObject({ code: 0 });
    // setup_data is x86's way to hand over, which arm64 kernels do not have.
    const arm = JSON.parse((await abi("diff", "7.3", btf("7.3-arm64-64k"), "--json")).stdout);
    expect(arm.structs.map(({ struct, kind }: { struct: string; kind: string }) => [struct, kind])).toEqual([
      ["setup_data", "removed"],
      ["kho_data", "removed"],
    ]);
  });
});

describe("kho abi lint", () => {
  it("says what changed while its version did not", async () => {
    const { stdout, code } = await abi("lint", btf("6.17.8"), btf("6.18.15"));
    expect(code).toBe(1);
    expect(stdout).toMatch(/^error {4}struct kho_mem_phys_bits {2}layout-changed$/m);
    expect(stdout).toMatch(
      /^ +6\.17\.8\.btf +kho-v1 {2}512 bytes\n +6\.18\.15\.btf {2}kho-v1 {2}4096 bytes$/m,
    );
    expect(stdout).toContain("1 error, 0 warnings, ");
  });

  it("exits with 0 if there is only what is worth knowing", async () => {
    expect(await abi("lint", "6.18", "6.19")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("0 errors"),
    });
    const { claims } = JSON.parse((await abi("lint", "6.19", "7.0", "--json")).stdout);
    expect(claims[0]).toMatchObject({
      rule: "structure-added",
      severity: "error",
      struct: "luo_flb_header_ser",
    });
  });
});

describe("kho abi reduce", () => {
  it("writes what is left, to a file or to a pipe", async () => {
    const out = join(folder, "small.btf");
    expect(await abi("reduce", btf("7.1.13"), "-o", out)).toMatchObject({ code: 0, stdout: "" });
    expect(new Uint8Array(readFileSync(out))).toEqual(bytesOf(btf("7.1.13")));
    expect((await abi("reduce", btf("7.1.13"), "-o", "-")).bytes).toEqual(
      Buffer.from(bytesOf(btf("7.1.13"))),
    );
    expect(await abi("reduce", btf("7.1.13"), "-o", out)).toMatchObject({ code: 2 });
    expect(await abi("reduce", btf("7.1.13"), "-o", out, "--force")).toMatchObject({ code: 0 });
  });

  it("needs a name to write to, and types", async () => {
    expect(await abi("reduce", btf("7.1.13"))).toMatchObject({ code: 2 });
    expect(await abi("reduce", "7.1", "-o", "-")).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("no types"),
    });
  });
});

describe("a kernel on the command line", () => {
  const file = (name: string, bytes: Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  };
  const release = async (path: string): Promise<unknown> => {
    const { stdout, stderr } = await abi("show", "kho_scratch", "--json", "--from", path);
    return stdout === "" ? stderr : JSON.parse(stdout).formats;
  };

  it("is a release, or a file of any form", async () => {
    const vmlinux = elfFile({ sections: { ".rodata": rodata("7.1.13"), ".BTF": bytesOf(btf("7.1.13")) } });
    const forms: [string, string][] = [
      ["6.17.8-300.fc43.x86_64", "6.17"],
      [btf("7.1.13"), "7.1"],
      [file("packed", gzipSync(bytesOf(btf("6.19.10")))), "6.19"],
      [file("vmlinux-7.1", vmlinux), "7.1"],
      [file("vmlinux.gz", gzipSync(vmlinux)), "7.1"],
      [file("bzImage", bzImage("7.1.13 (x) #1", gzipSync(vmlinux))), "7.1"],
    ];
    await each(forms, async ([path, expected]) => {
      expect(await release(path)).toBe(expected);
    });
    copyFileSync(join(root, btf("6.18.15")), join(folder, "7.3.btf"));
    symlinkSync(join(folder, "7.3.btf"), join(folder, "link"));
    expect(await release(join(folder, "link"))).toBe("6.18");
    const piped = await run(["abi", "show", "--json", "--from", "-"], { input: bytesOf(btf("7.1.13")) });
    expect(JSON.parse(piped.stdout).formats).toBe("7.1");
  });

  it("is refused with the exit code of what is wrong", async () => {
    const wrong: [string, number, string][] = [
      ["7.9", 2, "no handover formats are known"],
      ["no-such-file", 4, "no such file"],
      [folder, 4, "folder"],
      ["README.md", 3, "none that a kernel comes in"],
      ["fixtures/7.3-memfd/core.elf.gz", 3, "no kernel"],
      [file("empty", new Uint8Array(0)), 3, "none that a kernel comes in"],
      [
        file("old", bzImage("6.1.0-56-amd64 (x) #1", Uint8Array.of(0xfd, 0x37, 0x7a))),
        3,
        "compressed with xz",
      ],
      [file("short", bytesOf(btf("7.3")).subarray(0, 999)), 3, "BTF"],
    ];
    await each(wrong, async ([path, code, message]) => {
      expect(await abi("lint", path)).toMatchObject({ code, stderr: expect.stringContaining(message) });
    });
  });
});
