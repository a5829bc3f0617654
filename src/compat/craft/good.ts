/** The handover that a fault is put into: made by a simulated machine, as a kernel of that release makes it. */

import { type Decoded, decodeHandover } from "../../handover/index.js";
import {
  captureOf,
  type Departure,
  Machine,
  type MachineOptions,
  type ReserveMemOption,
} from "../../machine/index.js";
import type { PhysAddr } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";
import { newTestFlbs } from "../liveupdate-test.js";
import { preserve, type SessionPlan, written } from "../plan.js";

/** What is handed over, and by what machine. */
export interface Plan {
  readonly sessions?: readonly SessionPlan[];
  readonly options?: Omit<MachineOptions, "release">;
  /** Run on the machine once its sessions are made; returns preserved pages that nothing leads to yet. */
  readonly prepare?: (machine: Machine) => readonly PhysAddr[];
}

/** A departure that hands something over, and what it hands over as its own release reads it. */
export interface Good extends Decoded {
  readonly departure: Required<Pick<Departure, "handoff" | "bootData">> & Departure;
  readonly sessions: readonly SessionPlan[];
  /** What the machine has, and its next kernel is to be booted with. */
  readonly reserveMem: readonly ReserveMemOption[];
  /** What the plan's preparation made. */
  readonly spare: readonly PhysAddr[];
}

const page = 4096;

/** Two sessions, so that it shows whom a fault in one of them harms; files of several folios, and of one. */
export const twoSessions: readonly SessionPlan[] = [
  {
    name: "first",
    files: [
      { token: 1n, size: 4 * page, pos: 5, ranges: [written(0, 4)] },
      { token: 2n, size: page, ranges: [written(0)] },
    ],
  },
  { name: "second", files: [{ token: 1n, size: 2 * page, ranges: [written(0, 2)] }] },
];

/**
 * Makes a handover of a release without a fault.
 * @throws KhoError `unknown-release`
 */
export function goodHandover(release: string, { sessions = twoSessions, options, prepare }: Plan): Good {
  const machine = Machine.boot({ release, ...options });
  const { kernel } = machine;
  if (kernel.flb) for (const flb of newTestFlbs()) machine.registerFlb(flb);
  if (kernel.luo) preserve(machine, sessions);
  const spare = prepare?.(machine) ?? [];
  if (!kernel.luo) machine.kho.finalize();
  const { handoff, bootData, ...departure } = machine.leave();
  if (!handoff || bootData === undefined)
    throw new KhoError("not-a-handover", `Linux ${release} hands nothing over`);
  const complete = { ...departure, handoff, bootData };
  const decoded = decodeHandover(captureOf(complete), { handoff: bootData, release, mode: "forensic" });
  return {
    ...decoded,
    departure: complete,
    sessions: kernel.luo ? sessions : [],
    reserveMem: options?.reserveMem ?? [],
    spare,
  };
}
