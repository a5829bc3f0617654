/** Instructions as time: at an assumed speed, or at one that was found on the real machine. */
import { KhoError } from "../report/error.js";
import type { Model, Phase } from "./model.js";

/** Instructions per second, from slow to fast. */
export interface Speed {
  readonly slow: number;
  readonly fast: number;
}

/** Kernel code that follows pointers through memory that is not cached lies at the low end. */
export const assumedSpeed: Speed = { slow: 1e9, fast: 3e9 };

/** What one real run of this very handover took, in seconds. */
export interface MeasuredRun {
  /** All calls that preserve. */
  readonly preserve?: number;
  /** All calls that retrieve files. */
  readonly retrieve?: number;
}

/** How fast each phase is taken to run. */
export interface Speeds {
  /** Of phases that were not measured. */
  readonly other: Speed;
  readonly preserve: Speed;
  readonly retrieve: Speed;
  /** True if a real run decided. */
  readonly calibrated: boolean;
}

/**
 * Speeds for a model. Each phase that was measured runs at its own, and all others between the slowest and the fastest of
 * those: what is not measured is at least of the same machine.
 * @throws KhoError `usage` for times that no phase of this handover can have taken
 */
export function speedsOf(model: Model, speed: Speed = assumedSpeed, measured: MeasuredRun = {}): Speeds {
  const found = (ids: readonly string[], seconds: number | undefined): Speed | undefined => {
    if (seconds === undefined) return undefined;
    const instructions = model.phases.reduce((sum, p) => sum + (ids.includes(p.id) ? p.instructions : 0), 0);
    if (!(seconds > 0) || instructions <= 0)
      throw new KhoError("usage", `${ids[0]} of this handover cannot have taken ${seconds} s`);
    return { slow: instructions / seconds, fast: instructions / seconds };
  };
  const preserve = found(["preserve", "fill-holes", "migrate"], measured.preserve);
  const retrieve = found(["retrieve"], measured.retrieve);
  const known = [preserve, retrieve].flatMap((each) => (each ? [each.slow] : []));
  const other = known.length > 0 ? { slow: Math.min(...known), fast: Math.max(...known) } : speed;
  return {
    other,
    preserve: preserve ?? other,
    retrieve: retrieve ?? other,
    calibrated: known.length > 0,
  };
}

/** A time in seconds, from the fast end to the slow one. */
export interface Span {
  readonly least: number;
  readonly most: number;
}

const speedOf = ({ id }: Phase, speeds: Speeds): Speed => {
  if (id === "retrieve") return speeds.retrieve;
  return id === "preserve" || id === "fill-holes" || id === "migrate" ? speeds.preserve : speeds.other;
};

/** How long some phases take, modelled; below 0 where a boot becomes shorter. */
export function secondsOf(phases: readonly Phase[], speeds: Speeds): Span {
  let [fast, slow] = [0, 0];
  for (const phase of phases) {
    const speed = speedOf(phase, speeds);
    fast += phase.instructions / speed.fast;
    slow += phase.instructions / speed.slow;
  }
  return { least: Math.min(fast, slow), most: Math.max(fast, slow) };
}
