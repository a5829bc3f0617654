/**
 * Chains of kernels on one simulated machine, described in JSON: proto/kho/v1/scenario.proto.
 *
 * ```ts
 * import { parseScenario, runScenario } from "kho/scenario";
 *
 * const report = runScenario(parseScenario(text));
 * for (const { release, outcome } of report.hops) console.log(release, outcome.kind);
 * ```
 * @module
 */
export type { Scenario } from "../gen/kho/v1/scenario_pb.js";
export { parseScenario } from "./parse.js";
export type { HopReport, ScenarioReport, StepReport } from "./report.js";
export { type RunOptions, runScenario } from "./run.js";
