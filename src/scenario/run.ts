import type { Scenario, ScenarioKernel } from "../gen/kho/v1/scenario_pb.js";
import { type Decoded, decodeHandover } from "../handover/index.js";
import { captureOf, type Departure, errnoOf, type Faults, type Flb, Machine } from "../machine/index.js";
import { within } from "./fault.js";
import type { Wanted } from "./files.js";
import { lookAtRegions } from "./regions.js";
import type { HopReport, ScenarioReport, StepReport } from "./report.js";
import { newFaults, type Progress, type State } from "./state.js";
import { runStep } from "./step.js";

/** Told of what a scenario is at. */
export interface RunOptions {
  /** Called when a kernel is done, before the next one boots: what it does to `hop.departure` the next one finds. */
  readonly onHop?: (hop: HopReport, index: number) => void;
  /** Told now and then how far a long step is. */
  readonly onProgress?: Progress;
}

/**
 * Runs a scenario that {@link parseScenario} gave, to its end or to where a kernel does not come up or does not jump. The
 * same scenario gives the same bytes. What goes otherwise than the scenario says is reported, and the rest still runs.
 * @throws KhoError `scenario-malformed`, with a path, for what cannot be done at all: a machine that cannot be, files
 * that no call takes
 */
export function runScenario(scenario: Scenario, options: RunOptions = {}): ScenarioReport {
  const { kernels, name } = scenario;
  const hops: HopReport[] = [];
  let departure: Departure | undefined;
  let arrived: State["arrived"] = new Map();
  for (const k of kernels.keys()) {
    const ran = runKernel(scenario, k, departure, arrived, options.onProgress ?? (() => {}));
    hops.push(ran.hop);
    options.onHop?.(ran.hop, k);
    ({ departure } = ran.hop);
    arrived = ran.leaving;
    if (!departure) break;
  }
  const steps = hops.flatMap((hop) => hop.steps);
  const fine =
    hops.length === kernels.length &&
    hops.every(({ expected }) => expected) &&
    steps.every(({ result }) => result === "fine");
  return { name, hops, fine };
}

/** Boots one kernel, does its steps, and jumps unless it is the last. */
function runKernel(
  scenario: Scenario,
  k: number,
  before: Departure | undefined,
  arrived: State["arrived"],
  progress: Progress,
): { hop: HopReport; leaving: State["leaving"] } {
  const kernel = scenario.kernels[k]!;
  const path = `kernels[${k}]`;
  const faults = newFaults();
  const machine = before
    ? within(path, () => Machine.arrive(before, optionsOf(scenario, kernel, faults)))
    : within(path, () => Machine.boot(optionsOf(scenario, kernel, faults)));
  const leaving = new Map<string, readonly Wanted[]>();
  const { outcome, findings } = machine;
  // Steps that cannot even be tried are not what anybody expects who does not say so.
  const expected = kernel.outcome === "" ? outcome.kind !== "panic" : kernel.outcome === outcome.kind;
  const base = { release: kernel.release, outcome, findings, expected };
  if (outcome.kind === "panic") return { hop: { ...base, steps: [] }, leaving };

  for (const [f, flb] of kernel.flbs.entries())
    within(`${path}.flbs[${f}]`, () => machine.registerFlb(plainFlb(flb, BigInt(f))));
  const steps = lookAtRegions(machine, kernel, progress);
  const state: State = {
    machine,
    agents: new Map(),
    sessions: new Map(),
    retrieved: new Map(),
    faults,
    leaving,
    arrived,
    progress,
  };
  for (const [s, step] of kernel.steps.entries()) steps.push(runStep(state, step, `${path}.steps[${s}]`));
  if (k === scenario.kernels.length - 1) return { hop: { ...base, steps }, leaving };

  const left = leave(machine);
  if ("agent" in left) return { hop: { ...base, steps: [...steps, left] }, leaving };
  const decoded = decodeDeparture(left);
  const hop = { ...base, steps, departure: left, ...(decoded && { left: decoded }) };
  return { hop, leaving };
}

/** Jumps, or tells why the kernel does not. */
function leave(machine: Machine): Departure | StepReport {
  try {
    return machine.leave();
  } catch (error) {
    const refused = errnoOf(error);
    if (refused === undefined) throw error;
    const { message } = error as Error;
    return { agent: "reboot", what: "kexec", result: "failed", refused, detail: message };
  }
}

/** What a kernel left, as the decoder sees it; undefined if nothing is handed over. */
function decodeDeparture(departure: Departure): Decoded | undefined {
  const { bootData, release, hardware } = departure;
  if (bootData === undefined) return undefined;
  const { pageSize } = hardware.abi;
  return decodeHandover(captureOf(departure), { handoff: bootData, release, pageSize, mode: "forensic" });
}

/** What the machine is made of and how the kernel is booted; 0 stands for what is not given. */
function optionsOf({ machine }: Scenario, kernel: ScenarioKernel, faults: Faults) {
  const { lowmem = 0n, global = 0n, perNode = 0n } = machine?.scratch ?? {};
  return {
    release: kernel.release,
    kho: !kernel.khoOff,
    liveupdate: !kernel.liveupdateOff,
    faults,
    scratch: {
      ...(lowmem !== 0n && { lowmem: Number(lowmem) }),
      ...(global !== 0n && { global: Number(global) }),
      ...(perNode !== 0n && { perNode: Number(perNode) }),
    },
    reserveMem: kernel.reserveMem.map(({ name, size, align }) => ({
      name,
      size: Number(size),
      ...(align !== 0n && { align: Number(align) }),
    })),
    ...(machine && machine.memory !== 0n && { memory: machine.memory }),
    ...(machine && machine.nodes !== 0 && { nodes: machine.nodes }),
    ...(machine && machine.pageSize !== 0 && { pageSize: machine.pageSize }),
  };
}

/** An FLB that hands over a number and nothing behind it. */
const plainFlb = (name: string, data: bigint): Flb => ({
  name,
  preserve: () => ({ data, object: name }),
  unpreserve: () => {},
  retrieve: () => name,
  finish: () => {},
});
