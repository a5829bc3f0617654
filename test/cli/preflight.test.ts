import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { altered, core, each, fixture, run, temporary } from "./run.js";

const folder = temporary();
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const resmem = fixture("7.3-resmem");
/** Its test module hands over a list that 6.17.9 does not read. */
const testModule = fixture("6.18.15-resmem");
const lenient = file("lenient.json", '{ "optional": ["subtrees[kho_test]"] }');

it("kho preflight exits with what scripts ask for", async () => {
  await each(
    [
      [["preflight", resmem, "--to", "7.2"], 0],
      [["preflight", core, "--to", "7.2"], 0],
      [["preflight", testModule, "--to", "6.17.9", "--policy", lenient], 0],
      [["preflight", testModule, "--to", "6.17.9", "--no-advice"], 1],
      [["preflight", resmem, "--to", "7.1", "--no-advice"], 1],
      [["preflight", resmem], 2],
      [["preflight", resmem, "--to", "5.10"], 2],
      [["preflight", resmem, "--to", "7.2", "--policy", file("bad.json", '{ "optional": [ }')], 2],
      [["preflight", "fixtures/7.3-memfd/fdt/second-in-fdt.dtb", "--to", "7.2", "--lenient"], 2],
      [["preflight", fixture("7.3-iommu-amd"), "--to", "7.2"], 3],
      [["preflight", altered(folder, Buffer.from("luo-v5"), Buffer.from("luo-v9")), "--to", "7.2"], 3],
      [["preflight", join(folder, "absent"), "--to", "7.2"], 4],
      [["preflight", resmem, "--to", "7.2", "--policy", join(folder, "absent")], 4],
    ] as const,
    async ([args, code]) => {
      const result = await run([...args]);
      expect({ args, code: result.code, stderr: code < 2 ? result.stderr : "" }).toEqual({
        args,
        code,
        stderr: "",
      });
      expect(result.stderr === "").toBe(code < 2);
    },
  );
});

it("kho preflight says the verdict first, then what decides, the parts, and what to do", async () => {
  const { stdout, code } = await run(["preflight", fixture("6.19.10-memfd"), "--to", "7.0"]);
  expect(code).toBe(1);
  const lines = stdout.split("\n");
  expect(lines[0]).toBe("panic: Linux 7.0 does not boot with it");
  expect(lines[1]).toMatch(/^ {2}decides {2}.*luo-flb.*ENOENT/);
  const order = [
    "Parts",
    "  panic   60  sessions",
    "What to do first",
    "without live update (liveupdate=off)",
  ];
  const places = order.map((text) => stdout.indexOf(text));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(places[0]).toBeGreaterThan(0);
});

it("kho preflight names what is lost and what the policy lets go", async () => {
  const { stdout } = await run(["preflight", testModule, "--to", "6.17.9", "--policy", lenient]);
  expect(stdout.split("\n")[0]).toBe(
    "works: Linux 6.17.9 takes all that is mandatory; optional parts get lost, and lengthen the blackout",
  );
  expect(stdout).toContain(
    "subtrees[kho_test], optional: the test module of Linux 6.17.9 has another form of list",
  );
  expect(stdout).not.toContain("What to do first");
});

it("kho preflight points to the line of a malformed policy", async () => {
  const policy = file("misspelt.json", '{\n  "optional": [],\n  "mandatry": ["sessions[vm]"]\n}\n');
  const { stderr } = await run(["preflight", resmem, "--to", "7.2", "--policy", policy]);
  expect(stderr).toContain('a policy has no "mandatry"');
  expect(stderr).toContain("line 3, column 15: mandatry");
  expect(stderr).toContain("mandatory, optional, default");
});

it("kho preflight --json has everything, a u64 as a text", async () => {
  const { stdout, code } = await run(["preflight", testModule, "--to", "6.17.9", "--json"]);
  expect(code).toBe(1);
  const json = JSON.parse(stdout);
  expect(Object.keys(json)).toEqual([
    "from",
    "to",
    "verdict",
    "promised",
    "detail",
    "parts",
    "assumed",
    "notes",
    "absent",
    "advice",
  ]);
  expect(json).toMatchObject({
    from: { release: "6.18", guessed: true },
    to: { kernel: "6.17.9", release: "6.17.9", notes: [], differences: [] },
    verdict: "lossy",
    promised: false,
    advice: { kind: "drop", minimal: true, rest: "works", drop: [{ part: "subtrees[kho_test]" }] },
  });
  expect(json.parts.map(({ part }: { part: string }) => part)).toEqual([
    "reserve_mem[foo]",
    "reserve_mem[bar]",
    "subtrees[kho_test]",
    "preserved",
  ]);
  expect(json.parts[1]).toEqual({
    part: "reserve_mem[bar]",
    kind: "region",
    verdict: "works",
    need: "mandatory",
    detail: "",
    bytes: "2097152",
  });
});

it("kho preflight --json has every file by its token", async () => {
  const { stdout, code } = await run(["preflight", core, "--to", "7.2", "--json"]);
  expect(code).toBe(0);
  const { parts } = JSON.parse(stdout);
  expect(parts).toHaveLength(60 + 170 + 3 + 1 + 1);
  expect(parts.find(({ part }: { part: string }) => part === "sessions[kinds].files[16]")).toEqual({
    part: "sessions[kinds].files[16]",
    kind: "file",
    verdict: "works",
    need: "mandatory",
    detail: "seals: from 0x20 to 0x3e",
    bytes: "8192",
    token: "25",
  });
});

it("kho preflight goes on past damage with --lenient", async () => {
  const damaged = altered(folder, Buffer.from("kho-v4"), Buffer.from("kho-v1"));
  const { stdout, code } = await run(["preflight", damaged, "--to", "7.3", "--lenient", "--no-advice"]);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^(ignored|unknown|panic|misread): /);
});
