import { isatty } from "node:tty";
import type { TargetState } from "../../fuzz/campaign.js";
import type { Run } from "../run.js";
import { plural } from "../text.js";

/** Tells how far a run is: a line that is rewritten on a terminal, else a line now and then. */
export interface Status {
  round(states: readonly TargetState[], target: TargetState, seconds: number): void;
  /** Takes the line away, so that something else can be written. */
  clear(): void;
}

const terminalIntervalSeconds = 0.2;
const plainIntervalSeconds = 15;

export interface StatusOptions {
  /** Seconds that the run lasts, where that is known. */
  readonly time: number | undefined;
  readonly jobs: number;
}

export function newStatus({ err }: Run, { time, jobs }: StatusOptions): Status {
  const live = isatty(2) && process.env.TERM !== "dumb";
  const interval = live ? terminalIntervalSeconds : plainIntervalSeconds;
  let shown = 0;
  let drawn = false;
  return {
    round(states, target, seconds) {
      if (seconds - shown < interval) return;
      shown = seconds;
      const line = statusLine(states, target, seconds, time);
      if (live) err.text(`\r\x1b[2K${line.slice(0, (process.stderr.columns || 80) - 1)}`);
      else err.line(`kho: ${line}, ${plural(jobs, "job")}`);
      err.flush();
      drawn = live;
    },
    clear() {
      if (drawn) err.text("\r\x1b[2K");
      err.flush();
      drawn = false;
    },
  };
}

export function statusLine(
  states: readonly TargetState[],
  target: TargetState,
  seconds: number,
  time: number | undefined,
): string {
  const sum = (of: (state: TargetState) => number): number =>
    states.reduce((total, state) => total + of(state), 0);
  const executions = sum((state) => state.executions);
  const edges = new Set(states.flatMap(({ reached }) => [...reached])).size;
  return [
    `${clock(seconds)}${time === undefined ? "" : ` of ${clock(time)}`}`,
    `${executions} runs`,
    `${Math.round(executions / Math.max(seconds, 0.001))}/s`,
    `${edges} edges`,
    `${sum(({ corpus }) => corpus)} inputs`,
    plural(
      sum(({ findings }) => findings.length),
      "finding",
    ),
    ...(states.length > 1 ? [target.name] : []),
  ].join(", ");
}

/** `1:02:03`, or `2:03`. */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
