import type { Decoded } from "../handover/index.js";
import type { Departure, Outcome } from "../machine/index.js";
import type { Finding } from "../report/finding.js";

/** One step and how it ended. */
export interface StepReport {
  /** The process that did it; `kernel` for what the kernel itself does, `reboot` for the kexec behind the steps. */
  readonly agent: string;
  /** What was done, in words: `create vm-0 to vm-63`. */
  readonly what: string;
  /** `fine`: as the scenario says; `failed`: otherwise. */
  readonly result: "fine" | "failed";
  /** The errno that the kernel refused it with. */
  readonly refused?: string;
  /** What came of it, or what went wrong; empty if there is nothing to add. */
  readonly detail: string;
  /** Files that were preserved or retrieved, and the bytes of their sizes; of such steps alone. */
  readonly files?: number;
  readonly bytes?: bigint;
}

/** One kernel of the chain. */
export interface HopReport {
  /** As the scenario has it, `7.3.4`. */
  readonly release: string;
  readonly outcome: Outcome;
  /** What is wrong with what it was handed, as its own release reads it. */
  readonly findings: readonly Finding[];
  /** False if the scenario wants another outcome. */
  readonly expected: boolean;
  readonly steps: readonly StepReport[];
  /** What it left for the next one; absent for the last kernel, and where it did not jump. */
  readonly departure?: Departure;
  /** {@link departure} as a reader of its own release sees it; absent if nothing is handed over. */
  readonly left?: Decoded;
}

/** How a scenario went. */
export interface ScenarioReport {
  readonly name: string;
  readonly hops: readonly HopReport[];
  /** True if every step and every outcome was as the scenario says. */
  readonly fine: boolean;
}

/** How a step came out, from the one who did it. */
export type Result = Pick<StepReport, "detail" | "files" | "bytes"> & {
  /** True if something is not as it has to be, although the kernel refused nothing. */
  readonly wrong?: boolean;
};
