/** Every scenario of fixtures/scenarios does what it says: a new one is one more file. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decodeHandover, elfCore, packHandover } from "../../src/index.js";
import { captureOf, type Departure } from "../../src/machine/index.js";
import { parseScenario, runScenario, type ScenarioReport } from "../../src/scenario/index.js";

const folder = new URL("../../fixtures/scenarios/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));

const run = (file: string): ScenarioReport =>
  runScenario(parseScenario(readFileSync(new URL(file, folder), "utf8")));
/** The one that takes seconds is run once. */
let large: ScenarioReport | undefined;
const runOnce = (file: string): ScenarioReport =>
  file === "large-vm-host.json" ? (large ??= run(file)) : run(file);

/** SHA-256 of the capture that a departure makes, contents and all. */
function digestOf({ memory, hardware, bootData, release }: Departure): string {
  const { pageSize } = hardware.abi;
  const image = captureOf({ memory, hardware, release });
  const decoded = decodeHandover(image, { handoff: bootData!, release, pageSize });
  const packed = packHandover(image, decoded, { data: true });
  const hash = createHash("sha256");
  for (const piece of elfCore(packed.memory, { ranges: packed.memory.ranges, zeros: "omit" }))
    hash.update(piece);
  return hash.digest("hex");
}

describe("fixtures/scenarios", () => {
  test("has the scenarios that documentation speaks of", () => {
    expect(files).toEqual(
      expect.arrayContaining([
        "agent-dies.json",
        "failing-freeze.json",
        "large-vm-host.json",
        "small-vm-host.json",
        "systemd-fd-store.json",
        "three-kexec-chain.json",
      ]),
    );
  });

  describe.each(files)("%s", (file) => {
    test("runs as it says, and its kernels read without a fault what they write", () => {
      const { hops, fine } = runOnce(file);
      const otherwise = hops.flatMap(({ release, outcome, expected, steps }) => [
        ...(expected ? [] : [{ release, outcome }]),
        ...steps.filter(({ result }) => result === "failed"),
      ]);
      expect(otherwise).toEqual([]);
      expect(fine).toBe(true);
      for (const { left } of hops)
        expect(left?.findings.filter(({ severity }) => severity !== "info") ?? []).toEqual([]);
    });

    // Hashing a terabyte of folios adds nothing to what a megabyte shows.
    test.skipIf(file.startsWith("large"))("gives the same bytes twice", () => {
      const digests = (): string[] =>
        run(file).hops.flatMap(({ departure, left }) => (departure && left ? [digestOf(departure)] : []));
      const first = digests();
      expect(first.length).toBeGreaterThan(0);
      expect(digests()).toEqual(first);
    });
  });
});

test("the large host hands over a terabyte in 2 MiB folios", () => {
  const { left } = runOnce("large-vm-host.json").hops[0]!;
  const luo = left!.handover.luo!;
  expect(luo.sessions.map(({ name }) => name)).toEqual(Array.from({ length: 64 }, (_, i) => `vm-${i}`));
  const large = luo.sessions.flatMap((session) => session.files).filter(({ token }) => token === 1n);
  expect(large.map(({ memfd }) => memfd!.size)).toEqual(Array(64).fill(16n << 30n));
  const { runs } = left!.handover.preserved!;
  const blocks = runs.order.reduce((sum, order, i) => sum + (order === 9 ? runs.count[i]! : 0), 0);
  expect(blocks).toBe(524288);
});

test("systemd's session is told from others", () => {
  const { left } = run("systemd-fd-store.json").hops[0]!;
  const [session] = left!.handover.luo!.sessions.filter(({ systemd }) => systemd);
  expect(session).toMatchObject({ name: "systemd" });
});
