import { expect, it } from "vitest";
import { core, each, fixture, run } from "./run.js";

it("kho check says what it looked at when it found nothing", async () => {
  await each(["6.18.15-resmem", "6.19.10-memfd", "7.1.13-memfd", "7.3-memfd", "7.3-resmem"], async (name) => {
    const { stdout, stderr, code } = await run(["check", fixture(name)]);
    expect({ name, stderr, code }).toEqual({ name, stderr: "", code: 0 });
    expect(stdout).toMatch(/\nno findings\n$/);
  });
  expect((await run(["check", core])).stdout).toContain("60 sessions, 170 files, 1351 folios");
});

it("kho check groups what says the same, worst first, with what the kernel makes of it", async () => {
  const { stdout, code } = await run(["check", "--release", "6.19", core]);
  expect(code).toBe(1);
  expect(stdout.slice(stdout.indexOf("172 errors"))).toBe(
    `${[
      "172 errors",
      "",
      'error    the root is of version "kho-v4"  compatible-mismatch',
      "         expected kho-v1, found kho-v4",
      "         Linux 6.19 ignores the whole handover at boot (EINVAL) and boots as if cold",
      "         compatible  0x4b3000",
      "",
      'error    live update state is of version "luo-v5"  compatible-mismatch',
      "         expected luo-v1, found luo-v5",
      "         Linux 6.19 does not boot (EINVAL): live update stops the boot on purpose",
      "         luo.compatible  0x716000",
      "",
      "error    Linux 6.19 has no handler memfd-v2 (170 times)  file-unknown-handler",
      "         expected memfd-v1, found memfd-v2",
      "         Linux 6.19 drops this at the first open of /dev/liveupdate: logged; this and the later files of the session are dropped",
      "         luo.sessions[1].files[0].compatible  0x9c1010, 48 bytes",
      "         luo.sessions[2].files[0].compatible  0x962010, 48 bytes",
      "         luo.sessions[2].files[1].compatible  0x962050, 48 bytes",
      "         ... and 167 more",
    ].join("\n")}\n`,
  );
  expect(
    (await run(["check", "--all", "--release", "6.19", core])).stdout.match(/\.compatible {2,}0x/g),
  ).toHaveLength(171);
});

it("kho check breaks lines at the width of the terminal", async () => {
  const { stdout } = await run(["check", "--release", "6.19", core], { env: { COLUMNS: "80" } });
  for (const line of stdout.split("\n").slice(1)) expect(line.length).toBeLessThanOrEqual(80);
});

it("kho check --json lists every finding, for scripts", async () => {
  const { stdout, code } = await run(["check", "--json", "--release", "6.19", core]);
  expect(code).toBe(1);
  const { findings, release } = JSON.parse(stdout);
  expect(release).toBe("6.19");
  expect(findings).toHaveLength(172);
  expect(findings[0]).toMatchObject({ severity: "error", pa: String(0x4b3000), consequence: { all: true } });
  expect(findings[1]).toMatchObject({ consequence: { outcome: "panic", phase: "boot" } });
  expect(findings[2]).toMatchObject({ code: "file-unknown-handler", pa: String(0x9c1010) });
});

it("kho check fails where there is nothing to check", async () => {
  expect((await run(["check", "package.json"])).code).toBe(3);
  expect((await run(["check", "no-such-file"])).code).toBe(4);
});
