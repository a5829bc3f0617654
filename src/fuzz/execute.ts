import { isOracleFailure, type Oracle } from "./finding.js";
import type * as instrumentation from "./instrumentation.js";
import type { Comparison } from "./instrumentation.js";
import { functionsOf, isOverflow, placeOf } from "./place.js";
import { defaultLimits, type TargetModule } from "./target.js";

/** The instrumentation that a target was built with. */
export type Instrumentation = typeof instrumentation;

/** What an execution showed to be wrong. */
export interface Failure {
  readonly oracle: Oracle;
  readonly message: string;
  /** Where, as far as it is the same for every input that shows the same fault. */
  readonly place: string;
  /** The error as it prints, with its stack. */
  readonly text: string;
}

export interface Outcome {
  /** What was thrown, if anything was. */
  readonly failed: { readonly oracle: Oracle; readonly error: unknown } | undefined;
  readonly steps: number;
  readonly comparisons: readonly Comparison[];
}

/** Runs inputs of one target. What it counted stays in the counters until the next execution. */
export interface Executor {
  run(data: Uint8Array, recording?: boolean): Outcome;
  /** A text that is mostly the same for the same fault, without the cost of {@link describe}. */
  keyOf(data: Uint8Array, failed: NonNullable<Outcome["failed"]>): string;
  /** What an input shows, undefined if nothing. Runs it again, to see whole stacks. */
  describe(data: Uint8Array): Failure | undefined;
  readonly counters: Uint8Array;
}

/** Stack frames that a finding shows. */
const frames = 50;
/** Further steps after which an execution that does not end is looked at again. */
const furtherSteps = [1009, 50_021];

export function newExecutor(target: TargetModule, { begin, end, counters }: Instrumentation): Executor {
  const limitsOf = target.limits ?? defaultLimits;

  const run = (data: Uint8Array, recording = false, moreSteps = 0): Outcome => {
    let thrown: unknown;
    let failed = false;
    const { steps, bytes } = limitsOf(data.length);
    begin({ steps: steps + moreSteps, bytes }, recording);
    try {
      target.fuzz(data);
    } catch (error) {
      thrown = error;
      failed = true;
    }
    const { stepsLeft, exceeded, comparisons } = end();
    // A target may have taken what the instrumentation threw for a fault of the library.
    const error = exceeded ?? thrown;
    const oracle = isOracleFailure(error) ? error.oracle : "untyped-error";
    return {
      failed: failed || exceeded ? { oracle, error } : undefined,
      steps: steps + moreSteps - stepsLeft,
      comparisons,
    };
  };

  /** Stacks of the same execution, stopped at several places of what it does not come out of. */
  const stopped = (data: Uint8Array): Error[] =>
    furtherSteps.flatMap((more) => errorOf(run(data, false, more).failed?.error) ?? []);

  return {
    counters,
    run: (data, recording) => run(data, recording),
    keyOf(data, { oracle, error }) {
      const thrown = errorOf(error);
      const isDeep = oracle === "hang" || (thrown && isOverflow(thrown));
      if (!isDeep) return `${oracle} ${functionsOf(thrown)}`;
      return withFrames(frames, () => {
        const others = oracle === "hang" ? stopped(data) : [];
        return `${oracle} ${functionsOf(errorOf(run(data).failed?.error), others)}`;
      });
    },
    describe: (data) =>
      withFrames(frames, () => {
        const { failed } = run(data);
        if (!failed) return undefined;
        const error = errorOf(failed.error) ?? new Error(`threw what is no error: ${String(failed.error)}`);
        const text = textOf(error);
        const others = failed.oracle === "hang" ? stopped(data) : [];
        return { oracle: failed.oracle, message: error.message, place: placeOf(error, others), text };
      }),
  };
}

/** Errors that are made meanwhile have so many frames. */
function withFrames<T>(limit: number, action: () => T): T {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = limit;
  try {
    return action();
  } finally {
    Error.stackTraceLimit = before;
  }
}

const errorOf = (error: unknown): Error | undefined => (error instanceof Error ? error : undefined);

function textOf(error: Error): string {
  const { cause } = error;
  return `${error.stack ?? error}${cause instanceof Error ? `\ncaused by ${textOf(cause)}` : ""}`;
}
