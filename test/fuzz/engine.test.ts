/** The engine finds what was hidden in small targets, does the same again, and outlives what ends its workers. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FuzzResult } from "../../src/fuzz/node/run.js";
import { buildToys, type Toys } from "./toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await buildToys();
}, 60_000);
afterAll(() => toys.remove());

describe("finds, and minimises", () => {
  test.each([
    ["four-bytes", "untyped-error", 8],
    ["eight-bytes", "untyped-error", 16],
    ["text", "untyped-error", 6],
    ["ladder", "untyped-error", 3],
    ["endless", "hang", 1],
    ["swallowed", "hang", 4],
    ["greedy", "memory", 8],
    ["recursive", "untyped-error", 4],
  ] as const)("%s", async (name, oracle, length) => {
    const { targets } = await toys.run(name);
    const [finding] = targets[0]!.findings;
    expect(finding).toMatchObject({ oracle, target: name });
    expect(finding!.minimised.length).toBe(length);
  });

  test("nothing where nothing is", async () => {
    const { targets } = await toys.run("fine", { runs: 5000 });
    expect(targets[0]!.findings).toEqual([]);
    expect(targets[0]!.reached.size).toBeGreaterThan(8);
  });
});

describe("does the same again", () => {
  test.each([1, 3])("with %i workers", async (jobs) => {
    const run = () => toys.run("fine", { jobs, runs: 9000, seed: 42n });
    const [first, second] = [await run(), await run()];
    expect(summaryOf(second)).toEqual(summaryOf(first));
  });

  test("also when it goes on after findings", async () => {
    const run = () => toys.run("text", { jobs: 2, runs: 6000, keepGoing: true });
    expect(summaryOf(await run())).toEqual(summaryOf(await run()));
  });

  test("and something else with another seed", async () => {
    const first = await toys.run("fine", { runs: 3000 });
    expect(summaryOf(await toys.run("fine", { runs: 3000, seed: 2n }))).not.toEqual(summaryOf(first));
  });
});

describe("what ends a worker is a finding, and the run goes on", () => {
  test("an execution that counts no steps", async () => {
    const { targets } = await toys.run("stuck", { patience: 1, runs: 12, keepGoing: true });
    const { findings, executions } = targets[0]!;
    expect(findings).toMatchObject([{ oracle: "hang" }]);
    expect(findings[0]!.input[0]).toBe(200);
    expect(executions).toBeGreaterThanOrEqual(12);
  });

  test("memory that no hook sees", async () => {
    const { targets } = await toys.run("hoarder", { heap: 64, runs: 2000 });
    expect(targets[0]!.findings).toMatchObject([{ oracle: "memory" }]);
  });
});

/** All that a run decides, without the time that it took. */
const summaryOf = ({ targets }: FuzzResult): unknown =>
  targets.map(({ name, executions, reached, added, findings }) => ({
    name,
    executions,
    reached: [...reached].sort((a, b) => a - b),
    added: added.map(({ data }) => hashOf(data)),
    findings: findings.map(({ oracle, place, input, minimised }) => [
      oracle,
      place,
      hashOf(input),
      hashOf(minimised),
    ]),
  }));

const hashOf = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");
