/**
 * What a handover costs: bytes and pages of every structure, exactly, from its shape alone; what kernels spend on each
 * phase, by a model of instruction counts; and what would make it cheaper.
 *
 * ```ts
 * import { costOf, secondsOf, shapeFrom } from "kho/cost";
 *
 * const { model, space, speeds, advice } = costOf(shapeFrom({ release: "7.3", vms: 64, memory: 2 ** 34 }));
 * const blackout = model.phases.filter(({ when }) => when === "blackout");
 * console.log(space.map.pages, secondsOf(blackout, speeds), advice[0]?.what);
 * ```
 * @module
 */
export type { Advice, AdviceId } from "../cost/advice.js";
export { type ChosenConstants, type Constants, constantsFor, measuredKernels } from "../cost/constants.js";
export { type CallCount, type Cost, type CostOptions, costOf, type ScratchNeed } from "../cost/cost.js";
export type { MapCost } from "../cost/map.js";
export { type MeasuredPhase, measureToolkit, type ToolkitTimes } from "../cost/measure.js";
export {
  type MachineFacts,
  type Model,
  modelOf,
  type Phase,
  type PhaseId,
  type When,
} from "../cost/model.js";
export type { FileShape, RegionShape, SessionShape, Shape, Totals } from "../cost/shape.js";
export { type Parameters, shapeFrom } from "../cost/shape-from.js";
export { parseShape } from "../cost/shape-json.js";
export { shapeOf } from "../cost/shape-of.js";
export type { Stretch } from "../cost/stretches.js";
export type { StructureCost, StructureId } from "../cost/structure-row.js";
export { type SpaceCost, spaceOf } from "../cost/structures.js";
export { type SweepLine, type SweepPoint, sweep } from "../cost/sweep.js";
export {
  assumedSpeed,
  type MeasuredRun,
  type Span,
  type Speed,
  type Speeds,
  secondsOf,
  speedsOf,
} from "../cost/time.js";
