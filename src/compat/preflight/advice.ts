/** What to leave out of a handover so that the rest of it arrives, found by trying. */
import type { Decoded } from "../../handover/index.js";
import { isKhoError } from "../../report/error.js";
import { type Candidate, candidatesIn } from "./candidates.js";
import type { CapturedDeparture } from "./departure.js";
import { arrives, fatesOf, harms } from "./fates.js";
import type { Fate, FateKind, Fates, Judging } from "./judging.js";
import { type Dropped, departureWithout, partsWithout } from "./without.js";

/** What to do before the kexec. */
export interface Advice {
  /**
   * `drop`: without `drop` the rest arrives, as far as it is mandatory. `none`: nothing that could be left out helps.
   * `anew`: all of it arrives if it is written anew: what stands in the way is damage. `gave-up`: not known, the number
   * of tries is used up.
   */
  readonly kind: "drop" | "none" | "anew" | "gave-up";
  /** None of them can be kept, all others being left out: each is needed. Empty but for `drop`. */
  readonly drop: readonly Candidate[];
  /** False if the tries ended before it was clear that `drop` has nothing too much. */
  readonly minimal: boolean;
  /** What becomes of the rest; absent but for `drop` and `anew`. */
  readonly rest?: Fates;
  /** Kernels that were booted to find out. */
  readonly tries: number;
}

/** Bounds and progress of a search. */
export interface AdviceOptions {
  /** Kernels to boot at most. */
  readonly maxTries: number;
  readonly onProgress?: (phase: string, done: number, total: number) => void;
}

/**
 * Looks for a small set of parts without which the rest arrives. Begins without those that fail by themselves, or without
 * all that can be left out, and takes back as much as goes well: whole groups first, halves of those that do not.
 */
export function advise(
  captured: CapturedDeparture,
  decoded: Pick<Decoded, "handover" | "structures">,
  fates: Fates,
  judging: Judging,
  { maxTries, onProgress }: AdviceOptions,
): Advice {
  const known = new Map<string, Fates | undefined>();
  let tries = 0;
  let exhausted = false;
  /** What becomes of the rest; undefined if it cannot be had, or there are no tries left. */
  const without = (dropped: readonly Candidate[]): Fates | undefined => {
    const keys: Dropped = new Set(dropped.map(({ key }) => key));
    const name = [...keys].sort().join(" ");
    if (known.has(name)) return known.get(name);
    exhausted ||= tries === maxTries;
    if (exhausted) return undefined;
    tries++;
    onProgress?.("trying what helps", tries, maxTries);
    const rest = fatesWithout(captured, decoded, keys, judging);
    known.set(name, rest);
    return rest;
  };
  const all = candidatesIn(decoded.handover, fates.parts);
  const start = [failingIn(all, fates), [], all].find((some) => without(some)?.promised);
  if (!start) return { kind: exhausted ? "gave-up" : "none", drop: [], minimal: !exhausted, tries };
  let drop: readonly Candidate[] = start;
  /** Candidates that were seen to fail by themselves, while all else arrived. */
  const guilty = new Set<Candidate>();
  const goesWith = (less: readonly Candidate[]): boolean => {
    if (!without(less)?.promised) return false;
    drop = less;
    return true;
  };
  /** Takes back what goes well of some candidates that are all left out. */
  const takeBack = (some: readonly Candidate[]): void => {
    const [first] = some;
    const taken = new Set(some);
    const less = drop.filter((candidate) => !taken.has(candidate));
    if (!first || goesWith(less)) return;
    if (some.length > 1) {
      const rest = without(less);
      if (rest && eachFails(some, rest)) {
        for (const candidate of some) guilty.add(candidate);
        return;
      }
      const half = Math.ceil(some.length / 2);
      takeBack(some.slice(0, half));
      takeBack(some.slice(half));
    } else if (first.inside.length > 0 && goesWith([...less, ...first.inside])) takeBack(first.inside);
  };
  takeBack(start);
  // What was too much at first may be right once others are gone.
  for (const candidate of drop) if (!guilty.has(candidate)) takeBack([candidate]);
  const others = (candidate: Candidate): Candidate[] => drop.filter((other) => other !== candidate);
  const minimal = drop.every((candidate) => guilty.has(candidate) || !without(others(candidate))?.promised);
  const rest = without(drop);
  return {
    kind: drop.length === 0 ? "anew" : "drop",
    drop,
    minimal: minimal && !exhausted,
    ...(rest && { rest }),
    tries,
  };
}

const fails = ({ need, verdict }: Fate): boolean =>
  !arrives(verdict) && (need === "mandatory" || harms(verdict));

/** What fails by itself, each as the smallest that can be left out. Nothing if the boot fails as a whole. */
function failingIn(all: readonly Candidate[], { parts, reason }: Fates): Candidate[] {
  if (reason) return [];
  const keys = new Set(parts.filter(fails).map(({ key }) => key));
  const failing = (candidate: Candidate): Candidate[] =>
    keys.has(candidate.key) ? [candidate] : candidate.inside.flatMap(failing);
  return all.flatMap(failing);
}

/** Fates that a part has by what it is. A call that fails may be the fault of another part. */
const own: ReadonlySet<FateKind> = new Set(["lossy", "unknown"]);

/** True if each of some candidates fails by itself, and nothing else does. */
function eachFails(some: readonly Candidate[], { parts, reason }: Fates): boolean {
  const failing = parts.filter(fails);
  if (!failing.every(({ verdict }) => own.has(verdict))) return false;
  const keys = new Set(some.map(({ key }) => key));
  const blamed = new Set(failing.flatMap(({ key, within }) => [key, within]));
  return (
    !reason &&
    some.every(({ key }) => blamed.has(key)) &&
    failing.every(({ key, within }) => keys.has(key) || (within !== undefined && keys.has(within)))
  );
}

/** What becomes of the rest, written anew; undefined for what cannot be written, or not be read by its own release. */
export function fatesWithout(
  captured: CapturedDeparture,
  decoded: Pick<Decoded, "handover" | "structures">,
  dropped: Dropped,
  judging: Judging,
): Fates | undefined {
  try {
    return fatesOf(
      departureWithout(captured, decoded, dropped),
      partsWithout(decoded.handover, dropped),
      judging,
    );
  } catch (error) {
    if (!isKhoError(error)) throw error;
    return undefined;
  }
}
