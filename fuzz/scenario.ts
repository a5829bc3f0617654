/** Scenarios: JSON that is one or is none, and small ones run. */
import { readdirSync, readFileSync } from "node:fs";
import { fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import { type Scenario, ScenarioSchema } from "../src/gen/kho/v1/scenario_pb.js";
import { faultOfJson } from "../src/report/json.js";
import { parseScenario, runScenario } from "../src/scenario/index.js";
import { edges, mutateBytes } from "./mutate/bytes.js";
import { firstDifference } from "./oracles/equal.js";
import { guarded } from "./oracles/errors.js";
import type { Seed } from "./seeds/seed.js";

export const about = "scenarios: text that is one or is none, both interchange forms, and small ones run";

const folder = new URL("../fixtures/scenarios/", import.meta.url).pathname;

export function* seeds(): Generator<Seed> {
  for (const file of readdirSync(folder).sort())
    yield { name: file.replace(/\.json$/, ""), data: new Uint8Array(readFileSync(`${folder}${file}`)) };
  const small = {
    machine: { memory: 2 ** 26, scratch: { lowmem: 2 ** 20, global: 2 ** 20, perNode: 2 ** 20 } },
    kernels: [
      {
        release: "7.0",
        reserveMem: [{ name: "trace", size: 8192 }],
        flbs: ["iommu"],
        steps: [
          {
            sessions: { name: "vm-{}", count: 2, files: [{ token: 1, size: 9000, pattern: [{ count: 2 }] }] },
          },
          { fault: { session: "vm-0", token: 1, errno: "EBUSY" } },
          { reboot: {}, refused: "EBUSY" },
          { fault: { session: "vm-0", token: 1 } },
          { finalize: {} },
        ],
      },
      { release: "7.0", steps: [{ retrieve: { name: "vm-{}", count: 2 } }, { exit: {} }] },
    ],
  };
  yield { name: "small", data: new TextEncoder().encode(JSON.stringify(small)) };
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Another value somewhere in what was parsed: of another type, a limit, a twin, or gone. */
function mutateJson(value: JsonValue, random: Random): JsonValue {
  if (typeof value !== "object" || value === null || random.chance(8))
    return random.pick<JsonValue>([
      null,
      true,
      "",
      "7.3",
      "6.19",
      "n".repeat(64),
      [],
      {},
      1.5,
      -1,
      1e30,
      Number(random.pick(edges)),
      String(random.pick(edges)),
      typeof value === "number" ? value + random.pick([1, -1, 4096]) : random.below(100),
    ]);
  if (Array.isArray(value)) {
    if (value.length === 0 || random.chance(6))
      return value.length > 0 ? [...value, random.pick(value)] : [1];
    const at = random.below(value.length);
    return random.chance(8) ? value.toSpliced(at, 1) : value.with(at, mutateJson(value[at]!, random));
  }
  const keys = Object.keys(value);
  if (keys.length === 0) return { name: "a" };
  const key = random.pick(keys);
  const { [key]: found, ...rest } = value;
  if (random.chance(10)) return rest;
  if (random.chance(12)) return { ...rest, [random.pick(keys)]: found! };
  return { ...value, [key]: mutateJson(found!, random) };
}

export function mutate(data: Uint8Array, random: Random): Uint8Array {
  if (random.chance(4)) return mutateBytes(data, random);
  try {
    return encoder.encode(JSON.stringify(mutateJson(JSON.parse(decoder.decode(data)) as JsonValue, random)));
  } catch {
    return mutateBytes(data, random);
  }
}

export function fuzz(data: Uint8Array): void {
  const text = decoder.decode(data);
  const { value: scenario, error } = guarded("parse", () => parseScenario(text));
  const isJson = guarded("fault", () => faultOfJson(text)).value === undefined;
  let parses = true;
  try {
    JSON.parse(text);
  } catch {
    parses = false;
  }
  if (isJson !== parses) fail("invariant", `JSON.parse says ${parses}, our own look ${isJson}`);
  if (!scenario) {
    if (error.code !== "scenario-malformed")
      fail("untyped-error", `a scenario is refused with ${error.code}`);
    return;
  }
  const bytes = toBinary(ScenarioSchema, scenario);
  if (firstDifference(bytes, toBinary(ScenarioSchema, fromBinary(ScenarioSchema, bytes))) >= 0)
    fail("roundtrip", "the binary form does not come back");
  const json = fromJson(ScenarioSchema, toJson(ScenarioSchema, scenario));
  if (firstDifference(bytes, toBinary(ScenarioSchema, json)) >= 0)
    fail("roundtrip", "the JSON form does not come back");
  if (isSmall(scenario)) run(scenario);
}

/** Running costs what a scenario asks for: only those that ask for little are run. */
function isSmall({ machine, kernels }: Scenario): boolean {
  const pages = kernels.flatMap(({ steps }) =>
    steps.map(({ action }) => {
      if (action.case === "retrieve") return action.value.count;
      if (action.case !== "sessions") return 0;
      const { count, files } = action.value;
      const bytes = files.reduce(
        (sum, file) => sum + Number(file.size) * Math.max(1, file.count) + file.count,
        0,
      );
      return Math.max(1, count) * (1 + bytes / 4096);
    }),
  );
  return (
    kernels.length <= 3 &&
    (machine?.nodes ?? 0) <= 4 &&
    pages.length <= 12 &&
    pages.reduce((sum, some) => sum + some, 0) < 500
  );
}

function run(scenario: Scenario): void {
  const { value: report, error } = guarded("run", () => runScenario(scenario));
  // What no machine could do shows when it is tried.
  if (error && error.code !== "scenario-malformed")
    fail("machine", `a scenario ends with ${error.code}: ${error.message}`);
  for (const { findings, outcome } of report?.hops ?? [])
    if (
      outcome.kind === "received" &&
      findings.some(({ consequence }) => consequence?.all && consequence.phase === "boot")
    )
      fail("machine", "a kernel comes up with what should stop it");
}
