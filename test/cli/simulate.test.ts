import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { patternBytes } from "../../src/machine/index.js";
import { each, root, run, shell, temporary } from "./run.js";

const folder = temporary();
let count = 0;
const fresh = (suffix = ".elf"): string => join(folder, `out-${count++}${suffix}`);
const scenario = (name: string): string => `fixtures/scenarios/${name}.json`;
const written = (content: unknown): string => {
  const path = fresh(".json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};

const failingFreeze = `\
a failing freeze
The reboot call fails because one file cannot be frozen; everything is still preserved, and the next try hands it over.

Linux 7.3.4  boots cold
├─ vmm  create vm-0 to vm-2: 6 files, 384 KiB preserved
├─ agent  let the freeze of file 0x2 of vm-1 fail with EBUSY
├─ agent  try to kexec: EBUSY, a fault that was asked for
├─ vmm  create vm-0: EEXIST, there is a session of this name
├─ agent  let the freeze of file 0x2 of vm-1 go well
└─ hands over kho-v4 with 2 subtrees
   ├─ luo-v5; 3 sessions, 6 files, 384 KiB in 96 folios
   ├─ 488 KiB preserved in 122 blocks of order 0; map of 6 pages
   └─ kexec 1 since the cold boot

kexec 1: Linux 7.3.4  receives the handover
└─ vmm  retrieve vm-0 to vm-2: 6 files, 384 KiB retrieved as preserved

as the scenario says
`;

const refusedUpgrade = `\
an upgrade that does not work
7.0 stops where 6.19 left no FLB node.

Linux 6.19.10  boots cold
├─ agent  create vm: 1 file, 8 KiB preserved
└─ hands over kho-v1 with 1 subtree
   ├─ luo-v1; 1 session, 1 file, 8 KiB in 2 folios
   └─ 100 KiB preserved in 9 blocks of order 0, 1, 4; map of 6 pages

kexec 1: Linux 7.0  does not boot (ENOENT): live update stops the boot on purpose
└─ the tree has no luo-flb node: 6.19 wrote it

as the scenario says
`;

/** A file that comes back, and one that the next kernel is asked for under another errno. */
const surprising = {
  name: "surprise",
  kernels: [
    {
      release: "7.3",
      steps: [{ sessions: { name: "a", files: [{ token: 1, size: 8192, pattern: [{}] }] } }],
    },
    { release: "7.3", outcome: "cold", steps: [{ retrieve: { name: "b" }, refused: "EBUSY" }] },
  ],
};

describe("kho simulate", () => {
  it("tells what happens at each kernel", async () => {
    await each(
      [
        ["failing-freeze", failingFreeze],
        ["refused-upgrade", refusedUpgrade],
      ] as const,
      async ([name, text]) => {
        expect(await run(["simulate", scenario(name)])).toMatchObject({ stdout: text, stderr: "", code: 0 });
      },
    );
  });

  it("fits a terminal of 80 columns, and is coloured if asked to", async () => {
    await each(["agent-dies", "misread-bitmaps", "refused-upgrade", "three-kexec-chain"], async (name) => {
      const { stdout } = await run(["simulate", scenario(name)], { env: { COLUMNS: "80" } });
      expect(stdout.split("\n").some((line) => [...line].length > 70)).toBe(true);
      expect(stdout.split("\n").filter((line) => [...line].length > 80)).toEqual([]);
    });
    const colours = async (args: string[], env: Record<string, string>): Promise<boolean> =>
      (await run(["simulate", ...args, scenario("refused-upgrade")], { env })).stdout.includes("\x1b[");
    expect(await colours([], {})).toBe(false);
    expect(await colours([], { FORCE_COLOR: "1" })).toBe(true);
    expect(await colours([], { FORCE_COLOR: "1", NO_COLOR: "1" })).toBe(false);
    expect(await colours(["--color", "always"], { NO_COLOR: "1" })).toBe(true);
  });

  it("exits with 1 if anything goes otherwise than the scenario says", async () => {
    const { stdout, code } = await run(["simulate", written(surprising)]);
    expect(code).toBe(1);
    expect(stdout).toContain("receives the handover  which the scenario does not expect\n");
    expect(stdout).toMatch(/retrieve b: failed, ENOENT, no session .*, and was to end with EBUSY\n/);
    expect(stdout).toMatch(/\nnot as the scenario says\n$/);
  });

  it("tells the same as JSON", async () => {
    const { stdout, code } = await run(["simulate", "--json", scenario("failing-freeze")]);
    const { hops, ...rest } = JSON.parse(stdout);
    expect({ code, rest }).toEqual({ code: 0, rest: { name: "a failing freeze", fine: true } });
    expect(hops).toMatchObject([
      {
        release: "7.3.4",
        outcome: "cold",
        expected: true,
        findings: [],
        left: { compatible: "kho-v4", sessions: 3, files: 6, preservedBytes: "499712", mapPages: 6 },
      },
      {
        outcome: "received",
        steps: [{ agent: "vmm", what: "retrieve vm-0 to vm-2", result: "fine", files: 6, bytes: "393216" }],
      },
    ]);
    expect(hops[0].steps[2]).toEqual({
      agent: "agent",
      what: "try to kexec",
      result: "fine",
      refused: "EBUSY",
      detail: "a fault that was asked for",
    });
    const panic = await run(["simulate", "--json", scenario("refused-upgrade")]);
    expect(JSON.parse(panic.stdout).hops[1]).toMatchObject({ outcome: "panic", errno: "ENOENT" });
  });

  it("writes what a kexec finds as a capture, with every content", async () => {
    const out = fresh();
    const { stderr, code } = await run(["simulate", scenario("small-vm-host"), "-o", out]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^\S+: [\d.]+ MiB \(\d+ bytes\), the memory that kexec 1 finds\n$/);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const decoded = JSON.parse((await run(["decode", "--json", out])).stdout);
    expect(decoded).toMatchObject({ compatible: "kho-v4", pageSize: 4096, arch: "x86_64" });
    expect(decoded.luo.sessions.map(({ name }: { name: string }) => name)).toEqual(["vm-0", "vm-1", "agent"]);
    expect((await run(["check", out])).code).toBe(0);
    const content = async (session: string, token: string): Promise<Buffer> =>
      (await run(["extract", out, session, token, "-o", "-"])).bytes;
    expect((await content("agent", "1")).toString()).toBe('{"vms": ["vm-0", "vm-1"]}');
    const state = await content("vm-1", "2");
    expect(state).toHaveLength(20000);
    for (let page = 0; page < 5; page++)
      expect(state.subarray(page * 4096, page * 4096 + 4096)).toEqual(
        Buffer.from(patternBytes(2n, page, Math.min(4096, 20000 - page * 4096))),
      );
  });

  it("writes the kexec that is asked for, the same bytes each time, compressed or piped", async () => {
    const [first, packed] = [fresh(), fresh(".elf.gz")];
    await each(
      [
        [first, "1"],
        [packed, "3"],
      ] as const,
      async ([out, hop]) => {
        const { code, stderr } = await run([
          "simulate",
          scenario("three-kexec-chain"),
          "--hop",
          hop,
          "-o",
          out,
        ]);
        expect(code).toBe(0);
        expect(stderr).toContain(`the memory that kexec ${hop} finds`);
      },
    );
    const names = async (file: string): Promise<string[]> =>
      JSON.parse((await run(["decode", "--json", file])).stdout).luo.sessions.map(
        ({ name }: { name: string }) => name,
      );
    expect(await names(first)).toEqual(["vm"]);
    expect(await names(packed)).toEqual(["vm++"]);
    // The last one unless another is asked for; the report would garble it.
    const { bytes, code } = await run(["simulate", scenario("three-kexec-chain"), "-o", "-"]);
    expect(code).toBe(0);
    expect(bytes.equals(gunzipSync(readFileSync(packed)))).toBe(true);
    const piped = await shell(
      `$KHO simulate ${scenario("failing-freeze")} -o - 2>/dev/null | $KHO sessions - vm-1 | head -n 1`,
    );
    expect(piped).toMatchObject({ code: 0, stdout: expect.stringContaining("vm-1") });
  });

  it("writes a terabyte that is nearly all zeros as a small file", async () => {
    const out = fresh();
    const { code } = await run(["simulate", scenario("large-vm-host"), "-o", out]);
    expect(code).toBe(0);
    expect(statSync(out).size).toBeLessThan(2 ** 25);
    const { stdout } = await run(["decode", out]);
    expect(stdout).toContain("64 sessions, 128 files, 1 TiB in 525312 folios");
    const stored = await run(["simulate", scenario("large-vm-host"), "--zeros", "store", "-o", fresh()]);
    expect(stored).toMatchObject({ code: 3, stderr: expect.stringContaining("the core would have") });
  });

  it("reads standard input", async () => {
    const input = readFileSync(join(root, scenario("failing-freeze")));
    expect(await run(["simulate", "-"], { input })).toMatchObject({ stdout: failingFreeze, code: 0 });
  });

  it("says what is wrong with a call or a scenario, and leaves nothing behind", async () => {
    const taken = fresh();
    writeFileSync(taken, "precious");
    const panic = written({ kernels: [{ release: "7.3", khoOff: true }, { release: "7.3" }] });
    const small = scenario("failing-freeze");
    const cases: [string[], number, RegExp][] = [
      [["no/such.json"], 4, /cannot read no\/such\.json: no such file/],
      [[written("{ nonsense }")], 3, /the scenario is not JSON\n {2}at +line 1, column 3\n/],
      [
        [written({ kernels: [{ release: "7.3", steps: [{ exti: {} }] }] })],
        3,
        /key "exti" is unknown\n {2}at +kernels\[0\]\.steps\[0\]\n {2}expected +agent, sessions/,
      ],
      [[written({ kernels: [{ release: "4.4" }] })], 3, /at +kernels\[0\]\.release\n/],
      [
        [written({ kernels: [{ release: "7.3", steps: [{ reboot: {} }] }] })],
        3,
        /a reboot that goes well belongs behind the steps/,
      ],
      [[small, "-o", taken], 2, /exists: --force replaces it/],
      [[small, "--hop", "1"], 2, /--hop says whose memory/],
      [[small, "--hop", "2", "-o", fresh()], 2, /there is no kexec 2 in this scenario/],
      [[small, "--json", "-o", "-"], 2, /would go to standard output/],
      [[panic, "-o", fresh()], 2, /no kernel handed anything over/],
      [[], 2, /missing required argument/],
    ];
    const before = new Set(readdirSync(folder));
    await each(cases, async ([args, wanted, text]) => {
      const { code, stderr } = await run(["simulate", ...args]);
      expect({ args, code }).toEqual({ args, code: wanted });
      expect(stderr).toMatch(text);
    });
    expect(readdirSync(folder).filter((name) => !before.has(name))).toEqual([]);
    expect(readFileSync(taken, "utf8")).toBe("precious");
    expect(existsSync(`${taken}.partial`)).toBe(false);
    const { code } = await run(["simulate", small, "-f", "-o", taken]);
    expect(code).toBe(0);
  });
});
