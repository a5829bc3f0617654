import { expect, it } from "vitest";
import { core, fixture, run, truthOf } from "./run.js";

it("kho sessions lists what the machine preserved", async () => {
  const { sessions } = JSON.parse((await run(["sessions", "--json", core])).stdout);
  type TrueSession = {
    name: string;
    files: { token: string; size: number; pos: number; expectedSeals: number }[];
  };
  const truth: TrueSession[] = truthOf("7.3-memfd").sessions;
  expect(sessions.map(({ name }: { name: string }) => name)).toEqual(truth.map(({ name }) => name));
  for (const [i, { files }] of truth.entries())
    for (const [j, { token, size, pos, expectedSeals }] of files.entries()) {
      const file = sessions[i].files[j];
      expect(file.token).toBe(String(BigInt(token)));
      expect(file.memfd).toMatchObject({
        size: String(size),
        pos: String(pos),
        seals: expectedSeals,
        holes: 0,
      });
    }
});

it("kho sessions aligns names of any script, and says who has no files", async () => {
  const { stdout, code } = await run(["sessions", core]);
  expect(code).toBe(0);
  const lines = stdout.split("\n");
  expect(lines[0]).toBe("Live update  luo-v5; 60 sessions, 170 files, 11.5 MiB in 1351 folios");
  expect(lines).toContain("empty-session  no files");
  expect(lines).toContain("ünïcöde-☃");
  const column = lines[2]!.indexOf("HANDLER");
  for (const line of lines.filter((candidate) => candidate.startsWith("  0x")))
    expect(line.slice(column, column + 8)).toBe("memfd-v2");
  expect(stdout).toContain("SEAL|SHRINK|GROW|WRITE|FUTURE_WRITE|EXEC");
});

it("kho sessions NAME shows where the folios are", async () => {
  const { stdout, code } = await run(["sessions", core, "kinds"]);
  expect(code).toBe(0);
  expect(stdout).toContain("File 2  token 0x12 (18)  memfd-v2  data 0xa84000  record at 0xa7f090");
  expect(stdout).toContain("1001 folios in 5 runs, 3.91 MiB (4100096 bytes); 1001 of order 0; no holes");
  expect(stdout).toContain("        0x6000  0xa89000-0xe6afff        0    994  dirty uptodate".slice(2));
  const { sessions } = JSON.parse((await run(["sessions", "--json", core, "ünïcöde-☃"])).stdout);
  expect(sessions).toHaveLength(1);
  expect(sessions[0]).toMatchObject({
    index: 4,
    files: [{ token: "2", memfd: { folioRuns: [{}, {}, {}] } }],
  });
});

it("kho sessions suggests names, and says where there are none", async () => {
  const { stderr, code } = await run(["sessions", core, "kind"]);
  expect(code).toBe(2);
  expect(stderr).toContain("expected  kinds");
  expect(await run(["sessions", fixture("6.18.15-resmem")])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("no live-update state"),
  });
  expect((await run(["sessions", fixture("6.18.15-resmem"), "vm0"])).code).toBe(2);
});
