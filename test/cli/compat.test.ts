import { describe, expect, it } from "vitest";
import { each, run } from "./run.js";

const required = ["empty", "memfd", "flb", "reserve-mem", "metadata"];

interface States {
  readonly from: string;
  readonly to: string;
  readonly states: readonly { readonly state: string; readonly verdict: string; readonly detail: string }[];
}
const verdictsOf = ({ states }: States): Record<string, string> =>
  Object.fromEntries(states.map(({ state, verdict }) => [state, verdict]));
const parsed = async (...args: string[]): Promise<States & { readonly rollback: States }> =>
  JSON.parse((await run(["compat", ...args, "--json"])).stdout);

const upgrade = `\
state        6.19 to 7.0  back, 7.0 to 6.19
empty        panic        works
blocks       works        works
vmalloc      works        works
reserve-mem  works        works
metadata     -            -
memfd        panic        works
empty-files  panic        works
sessions     panic        works
holes        panic        works
chunks       panic        works
folios       panic        works
positions    panic        works
seals        -            -
flb          -            lossy

6.19 to 7.0
panic    luo.luo-flb: the tree has no luo-flb node: 6.19 wrote it; Linux 7.0
         does not boot with ENOENT: live update stops the boot on purpose
         empty, memfd, empty-files, sessions, holes, chunks, folios, positions

7.0 to 6.19
lossy    flbs[liveupdate-test-flb-v0]: Linux 6.19 has no FLBs: its data,
         0xfeedf00dcafebee0, is lost
         flb
`;

describe("kho compat", () => {
  it("shows both ways, and why", async () => {
    const { stdout, stderr, code } = await run(["compat", "6.19", "7.0"], { env: { COLUMNS: "78" } });
    expect([stdout, stderr, code]).toEqual([upgrade, "", 1]);
  });

  it("says that all is well, with 0", async () => {
    const { stdout, code } = await run(["compat", "7.3.4", "7.2"]);
    expect(stdout).toContain("7.3.4 to 7.2  everything works\n");
    expect(code).toBe(0);
  });

  it("paints verdicts", async () => {
    const { stdout } = await run(["compat", "6.17.8", "6.18", "--color", "always"]);
    expect(stdout).toContain("\x1b[31mmisread\x1b[39m");
  });

  it("gives JSON with the releases as they were typed, and the way back", async () => {
    const { from, to, states, rollback } = await parsed("6.17.8-300.fc43", "7.0");
    expect([from, to, rollback.from, rollback.to]).toEqual([
      "6.17.8-300.fc43",
      "7.0",
      "7.0",
      "6.17.8-300.fc43",
    ]);
    for (const { state, verdict, detail } of states)
      expect([state, typeof verdict, typeof detail]).toEqual([state, "string", "string"]);
    expect(verdictsOf({ from, to, states })).toMatchObject({
      empty: "misread",
      memfd: "not-applicable",
      flb: "not-applicable",
      "reserve-mem": "misread",
      metadata: "not-applicable",
    });
    expect(Object.keys(verdictsOf(rollback))).toEqual(expect.arrayContaining(required));
  });

  it("writes Markdown", async () => {
    const { stdout, code } = await run(["compat", "6.18", "6.17.8", "--format", "markdown"]);
    const [head, rule, first] = stdout.split("\n");
    expect(head).toBe("| state | 6.18 to 6.17.8 | why | 6.17.8 to 6.18 | why |");
    expect(rule).toBe("| --- | --- | --- | --- | --- |");
    expect(first).toMatch(/^\| empty \| misread \| preserved: the block at 0x2000000: expected order 0, /);
    expect(code).toBe(1);
  });

  it("shows what no kernel checks: another page size", async () => {
    const { states, rollback } = await parsed("6.18", "6.18", "--page-size", "16K", "--to-page-size", "64K");
    expect(new Set(Object.values(verdictsOf({ from: "", to: "", states })))).toEqual(
      new Set(["misread", "not-applicable"]),
    );
    expect(verdictsOf(rollback)).toMatchObject({ empty: "misread", "reserve-mem": "misread" });
  });

  it("knows the releases of the matrix, each with each", async () => {
    const { stdout, code } = await run(["compat", "--matrix", "--json"]);
    const { releases, pairs } = JSON.parse(stdout) as { releases: string[]; pairs: States[] };
    expect(releases).toEqual(["6.16", "6.17.8", "6.17.9", "6.18", "6.19", "7.0", "7.1", "7.2", "7.3"]);
    expect(pairs.map(({ from, to }) => `${from} ${to}`)).toEqual(
      releases.flatMap((from) => releases.map((to) => `${from} ${to}`)),
    );
    for (const pair of pairs) expect(Object.keys(verdictsOf(pair))).toEqual(expect.arrayContaining(required));
    expect(code).toBe(1);
  }, 180_000);

  it("says what is wrong with how it was called", async () => {
    await each(
      [
        [["6.15", "7.0"], "no handover formats are known for kernel release 6.15"],
        [["7.0"], "two kernels are compared"],
        [["--matrix", "7.0"], "--matrix is of every release, and takes none"],
        [["7.3", "7.3", "--to-page-size", "16K"], "--page-size of the first is missing"],
        [["7.3", "7.3", "--page-size", "8K"], "Page sizes are 4096, 16384 and 65536"],
      ] as const,
      async ([args, message]) => {
        const { stderr, stdout, code } = await run(["compat", ...args]);
        expect([stdout, code]).toEqual(["", 2]);
        expect(stderr).toContain(message);
      },
    );
  });

  it("reads a kernel from a file, and says if there is none", async () => {
    const { code, stderr } = await run(["compat", "7.3", "./no-such-vmlinux"]);
    expect(code).toBe(4);
    expect(stderr).toContain("no-such-vmlinux");
  });
});
