import { createHash } from "node:crypto";
import { type Finding, type Gained, gather, newTargetState, type TargetState } from "../campaign.js";
import { type Ledger, newLedger } from "../ledger.js";
import type { BuildTable } from "../table.js";
import { type Death, isDeath, newThread, type Thread } from "./thread.js";

export interface FuzzOptions {
  /** Folder of the instrumented build. */
  readonly build: string;
  readonly table: BuildTable;
  readonly targets: readonly string[];
  /** 64 bits. */
  readonly seed: bigint;
  readonly jobs: number;
  /** Seconds after which to end; never unless given. */
  readonly time?: number;
  /** Executions of each target, in all workers together, after which to end; never unless given. */
  readonly runs?: number;
  /** False to end at the first finding. */
  readonly keepGoing: boolean;
  /** Inputs to begin with beside the seeds, by target. */
  readonly corpus?: ReadonlyMap<string, readonly Uint8Array[]>;
  /** Seconds of processor time after which an execution that does not end is ended. Defaults to {@link defaultPatience}. */
  readonly patience?: number;
  /** Memory of a worker beside its typed arrays, in MiB. Defaults to {@link defaultHeap}. */
  readonly heap?: number;
  readonly onRound?: (states: readonly TargetState[], target: TargetState, seconds: number) => void;
  readonly onFinding?: (finding: Finding) => void;
  /** Aborted to end early. */
  readonly signal?: AbortSignal;
}

export interface FuzzResult {
  readonly targets: readonly TargetState[];
  readonly seconds: number;
}

/** Far more than the steps that the instrumentation allows can take. */
export const defaultPatience = 20;
export const defaultHeap = 1536;

/** A round of one worker takes about a third of a second: steps decide, as executions differ. */
const roundLimits = { executions: 1000, steps: 6_000_000 };

/**
 * Fuzzes the targets in turns, with as many workers. What a worker finds goes to the others a fixed number of rounds
 * later, so that what happens follows from the seed and the number of workers, and nobody waits for the slowest.
 * @throws whatever a target throws when it is loaded or makes seeds
 */
export async function runFuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { targets, table, jobs } = options;
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1000;
  const states = targets.map((name) => newTargetState(name, table.targets[name]!.edges));
  const ledger = newLedger<Gained>(jobs, nothing);
  const crew: Crew = { options, states, ledger, ending: false, skipped: [], threads: [] };
  const end = (): void => {
    crew.ending = true;
    for (const thread of crew.threads) thread.hurry();
  };

  /** Takes in what the workers found in an order that does not depend on their speed. */
  const gatherRounds = async (): Promise<void> => {
    for (let round = 0; ; round++) {
      const results = await ledger.at(round);
      if (ledger.isOver(round)) return;
      const state = states[round % states.length]!;
      for (const gained of results)
        for (const finding of gather(state, gained, seconds())) options.onFinding?.(finding);
      options.onRound?.(states, state, seconds());
      // What other workers do in later rounds is left out: when they see it depends on their speed.
      if (!options.keepGoing && state.findings.length > 0) return end();
    }
  };

  const timer = options.time === undefined ? undefined : setTimeout(end, 1000 * options.time);
  options.signal?.addEventListener("abort", end, { once: true });
  try {
    const workers = Array.from({ length: jobs }, (_, worker) => work(crew, worker));
    await Promise.all([gatherRounds(), ...workers]);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", end);
    await Promise.all(crew.threads.map((thread) => thread.stop()));
  }
  return { targets: states, seconds: seconds() };
}

/** What the workers of a run share. */
interface Crew {
  readonly options: FuzzOptions;
  readonly states: readonly TargetState[];
  readonly ledger: Ledger<Gained>;
  ending: boolean;
  /** Hashes of inputs that ended a worker. */
  readonly skipped: string[];
  readonly threads: Thread[];
}

async function work(crew: Crew, worker: number): Promise<void> {
  const { options, states, ledger, threads, skipped } = crew;
  const { build, table, runs = Number.POSITIVE_INFINITY, jobs, corpus } = options;
  const { patience = defaultPatience, heap = defaultHeap } = options;
  const lag = Math.max(2, states.length);
  const left = states.map(() => Math.ceil(runs / jobs));
  let lives = 0;
  let fresh = new Set(states);
  const start = (): Thread => {
    const seed = BigInt.asUintN(64, options.seed + (BigInt(worker) << 32n) + (BigInt(lives) << 48n));
    return newThread({
      build,
      edges: table.lines.length,
      seed,
      skipped: [...skipped],
      patience,
      heap,
      workers: jobs,
    });
  };
  threads[worker] = start();
  for (let round = 0; !crew.ending && left.some((rest) => rest > 0); round++) {
    const index = round % states.length;
    const state = states[index]!;
    const others = round < lag ? [] : (await ledger.at(round - lag)).toSpliced(worker, 1);
    let gained: Gained = nothing;
    if (left[index]! > 0 && !crew.ending) {
      const held = fresh.delete(state)
        ? [...(corpus?.get(state.name) ?? []), ...state.added.map(dataOf)]
        : [];
      const answer = await threads[worker]!.ask({
        target: state.name,
        executions: Math.min(roundLimits.executions, left[index]!),
        steps: roundLimits.steps,
        inputs: [...held, ...others.flatMap(({ added }) => added.map(dataOf))],
      });
      if (!isDeath(answer)) gained = answer;
      else {
        gained = gainedByDeath(answer);
        skipped.push(createHash("sha256").update(answer.input).digest("hex"));
        await threads[worker]!.stop();
        lives++;
        fresh = new Set(states);
        threads[worker] = start();
      }
      left[index]! -= Math.max(1, gained.executions);
    }
    ledger.put(worker, round, gained);
  }
  ledger.close(worker);
}

const nothing: Gained = { executions: 0, seconds: 0, added: [], found: [], reached: [], corpus: 0 };

const dataOf = ({ data }: { readonly data: Uint8Array }): Uint8Array => data;

/** The execution that ended a worker is a finding. Not minimised: every try would cost a worker. */
function gainedByDeath({ oracle, message, input, executions }: Death): Gained {
  const found = { oracle, message, place: "ends the worker", text: message };
  return { ...nothing, executions, found: [{ ...found, input, minimised: input, executions }] };
}
