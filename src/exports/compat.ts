/**
 * Will kernel B take what kernel A wrote: verdicts by running simulated kernels, for everything that a release can hand
 * over, for one captured state, and for handovers with one precise fault.
 *
 * ```ts
 * import { judge, preflight, receiverOf } from "kho/compat";
 * import { Machine } from "kho/machine";
 *
 * const old = Machine.boot({ release: "6.19" });
 * console.log(judge(old.leave(), "7.0")); // { verdict: "panic", detail: "luo.luo-flb: ..." }
 * ```
 * @module
 */
export {
  type CraftCase,
  type Crafted,
  craft,
  unspoilt,
} from "../compat/craft/case.js";
export { craftCases } from "../compat/craft/cases/index.js";
export type { Outcome } from "../compat/craft/outcome.js";
export { type OutcomeSummary, summarise } from "../compat/craft/outcome-text.js";
export { predict, type Trial } from "../compat/craft/predict.js";
export {
  type JudgeOptions,
  judge,
  judgeOf,
  type PartVerdict,
  type Verdict,
  type VerdictKind,
} from "../compat/judge.js";
export {
  judgeReleases,
  type MatrixOptions,
  type PairVerdict,
  type StateVerdict,
} from "../compat/matrix.js";
export type { Advice } from "../compat/preflight/advice.js";
export type { Fate, FateKind } from "../compat/preflight/judging.js";
export { type Need, type Policy, parsePolicy } from "../compat/preflight/policy.js";
export { type Preflight, type PreflightOptions, preflight } from "../compat/preflight/preflight.js";
export { type Receiver, receiverOf } from "../compat/preflight/receiver.js";
export { departureIn, type State } from "../compat/states/state.js";
export { states } from "../compat/states.js";
