import { type Corpus, type Entry, newCorpus } from "./corpus.js";
import { type Coverage, featuresOf, newCoverage } from "./coverage.js";
import { type Executor, type Failure, type Instrumentation, newExecutor, type Outcome } from "./execute.js";
import type { Comparison } from "./instrumentation.js";
import { minimise } from "./minimise.js";
import { mutateBytes } from "./mutate.js";
import { applied, type Trial, tokensOf, trialsOf } from "./operands.js";
import { functionsOf } from "./place.js";
import type { Random } from "./random.js";
import { defaultMaxLength, type TargetModule } from "./target.js";

/** A failure that was not seen before, with the input that showed it and a smaller one. */
export interface Found extends Failure {
  readonly input: Uint8Array;
  readonly minimised: Uint8Array;
  /** Executions of this fuzzer before it, the minimiser's not counted. */
  readonly executions: number;
}

/** How much a round may do; it ends at the first of these that is reached, or when something is found. */
export interface Round {
  readonly executions: number;
  readonly steps: number;
  /** True to end before that, where somebody waits. */
  readonly late: () => boolean;
}

export interface RoundResult {
  readonly executions: number;
  readonly steps: number;
  /** Inputs that reached something new, but for those that others sent, in the order in which they were found. */
  readonly added: readonly Entry[];
  readonly found: readonly Found[];
}

/** Fuzzes one target on one thread. The same seed, inputs and rounds give the same results. */
export interface Fuzzer {
  readonly coverage: Coverage;
  readonly corpus: Corpus;
  /** Inputs to run before anything else: seeds, and what others found. */
  offer(inputs: Iterable<Uint8Array>, own: boolean): void;
  round(round: Round): RoundResult;
}

export interface FuzzerOptions {
  readonly target: TargetModule;
  readonly instrumentation: Instrumentation;
  /** Number of edges in the build. */
  readonly edges: number;
  readonly random: Random;
  /** Called before every execution, so that an input which ends the thread is known. */
  readonly onInput?: (data: Uint8Array) => void;
}

/** Mutations of an input between two choices. */
const energy = 32;
/** Executions of the trials of one input. */
const maxTrials = 512;
const maxTokens = 1024;
/** Comparisons that are remembered, and inputs on which each is tried. */
const maxTried = 2 ** 17;
const timesTried = 3;
const minimiserEffort = { executions: 1000, steps: 200_000_000 };

export function newFuzzer({ target, instrumentation, edges, random, onInput }: FuzzerOptions): Fuzzer {
  const executor = newExecutor(target, instrumentation);
  const coverage = newCoverage(edges);
  const corpus = newCorpus(coverage);
  const maxLength = target.maxLength ?? defaultMaxLength;
  const known = new Set<string>();
  const offered: { readonly data: Uint8Array; readonly own: boolean }[] = [];
  const untried: Entry[] = [];
  const tokens: Uint8Array[] = [];
  const tokensSeen = new Set<string>();
  const tried = new Map<string, number>();
  let trials: { readonly entry: Entry; readonly list: Trial[] } | undefined;
  const blamed: Found[] = [];
  let chosen: Entry | undefined;
  let left = 0;
  let executions = 0;

  const run: Executor["run"] = (data, recording) => {
    onInput?.(data);
    return executor.run(data, recording);
  };

  const material = {
    maxLength,
    tokens,
    other: () => (corpus.entries.length === 0 ? new Uint8Array() : random.pick(corpus.entries).data),
  };

  /** False for a comparison that several inputs had: what it suggests was tried on them. */
  const isUntried = ({ edge, left: a, right: b }: Comparison): boolean => {
    const key = `${edge} ${a} ${b}`;
    const times = tried.get(key) ?? 0;
    if (tried.size >= maxTried) tried.clear();
    tried.set(key, times + 1);
    return times < timesTried;
  };

  /** The operands that an input's execution compares, as things to try and as words for the dictionary. */
  const lookInto = (entry: Entry): number => {
    const { comparisons, steps } = run(entry.data, true);
    for (const token of tokensOf(comparisons)) {
      if (tokens.length >= maxTokens) break;
      if (tokensSeen.has(`${token}`)) continue;
      tokensSeen.add(`${token}`);
      tokens.push(token);
    }
    const list = trialsOf(entry.data, comparisons.filter(isUntried));
    trials = { entry, list: list.slice(0, maxTrials).reverse() };
    return steps;
  };

  const mutated = (data: Uint8Array): Uint8Array => {
    if (!target.mutate || random.chance(3)) return mutateBytes(data, random, material);
    try {
      const result = target.mutate(data, random);
      if (random.chance(6)) return mutateBytes(result, random, material);
      return result.length > maxLength ? result.slice(0, maxLength) : result;
    } catch (error) {
      blame(data, error);
      return mutateBytes(data, random, material);
    }
  };

  /** A mutator that throws is a fault of the target. It is reported, and the run goes on. */
  const blame = (input: Uint8Array, error: unknown): void => {
    const message = `mutate throws: ${error instanceof Error ? error.message : String(error)}`;
    const key = `mutate ${functionsOf(error instanceof Error ? error : undefined)}`;
    if (known.has(key)) return;
    known.add(key);
    const text = error instanceof Error ? String(error.stack) : message;
    const failure: Failure = { oracle: "untyped-error", message, place: key, text };
    blamed.push({ ...failure, input, minimised: input, executions });
  };

  /** What to run next. */
  const next = (): { readonly data: Uint8Array; readonly own: boolean } => {
    const given = offered.shift();
    if (given) return given;
    // Half of the time each, as either may get nowhere for long.
    const trial = random.chance(2) || corpus.entries.length === 0 ? trials?.list.pop() : undefined;
    if (trials && trial) return { data: applied(trials.entry.data, trial), own: true };
    if (left === 0 || !chosen) {
      chosen = corpus.choose(random);
      left = energy;
    }
    left--;
    return { data: mutated(chosen?.data ?? new Uint8Array()), own: true };
  };

  const examine = (
    input: Uint8Array,
    failed: NonNullable<Outcome["failed"]>,
    key: string,
    late: () => boolean,
  ) => {
    const spent = { executions: 0, steps: 0 };
    const same = (data: Uint8Array) => {
      const outcome = run(data);
      spent.executions++;
      spent.steps += outcome.steps;
      const isSame =
        outcome.failed?.oracle === failed.oracle &&
        // Where an execution does not end costs as much again to know.
        (failed.oracle === "hang" || executor.keyOf(data, outcome.failed) === key);
      return { holds: isSame, steps: outcome.steps };
    };
    const minimised = minimise(input, same, { ...minimiserEffort, late });
    const failure = executor.describe(minimised) ?? executor.describe(input) ?? unstable(failed);
    return { found: { ...failure, input, minimised, executions }, ...spent };
  };

  return {
    coverage,
    corpus,
    offer(inputs, own) {
      for (const data of inputs) if (data.length <= maxLength) offered.push({ data, own });
    },
    round(round) {
      const before = executions;
      const added: Entry[] = [];
      const found: Found[] = [];
      let steps = 0;
      while (
        executions - before < round.executions &&
        steps < round.steps &&
        found.length === 0 &&
        !round.late()
      ) {
        if (offered.length === 0 && (trials?.list.length ?? 0) === 0) {
          const entry = random.chance(2) ? untried.pop() : untried.shift();
          if (entry) {
            executions++;
            steps += lookInto(entry);
            continue;
          }
        }
        const { data, own } = next();
        const outcome = run(data);
        executions++;
        steps += outcome.steps;
        if (outcome.failed) {
          const key = executor.keyOf(data, outcome.failed);
          if (known.has(key)) continue;
          known.add(key);
          const examined = examine(data, outcome.failed, key, round.late);
          executions += examined.executions;
          steps += examined.steps;
          found.push(examined.found);
          continue;
        }
        if (!coverage.note(executor.counters)) continue;
        const entry = corpus.add(data, featuresOf(executor.counters, edges), outcome.steps);
        untried.push(entry);
        if (own) added.push(entry);
      }
      found.push(...blamed.splice(0));
      return { executions: executions - before, steps, added, found };
    },
  };
}

/** For a target that depends on more than its input, which is a fault of the target. */
const unstable = ({ oracle, error }: NonNullable<Outcome["failed"]>): Failure => ({
  oracle,
  message: `not shown again by the same input: ${String(error)}`,
  place: "unstable",
  text: String(error),
});
