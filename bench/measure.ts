import Benchmark from "benchmark";
import { median, type Row, ratiosOf, type Spread } from "./ratios.js";

/** One way to do the work. What it returns is folded into a sum that is printed, so that no work can be left out. */
export interface Contender {
  readonly name: string;
  readonly run: () => number;
  /** Seconds of one run, where another process knows them. */
  readonly seconds?: () => number;
}

/** What ours is measured against. */
export interface Peer extends Contender {
  /** What our time divided by the peer's should be at most. */
  readonly goal?: number;
  /** Above which the short mode fails; three times the goal where it is not given. */
  readonly floor?: number;
}

/** What is measured: each of ours against each peer. */
export interface Subject {
  /** The work, with how much of it there is. */
  readonly name: string;
  readonly ours: readonly Contender[];
  readonly peers: readonly Peer[];
  /** False where the peers do other work and serve as yardsticks alone. */
  readonly sameResult: boolean;
}

/** How long to look. */
export interface Effort {
  /** Rounds of a pair, of which each measures ours and the peer once, one directly after the other. */
  readonly rounds: number;
  /** Rounds of a pair that is so slow that `seconds` are over before. */
  readonly leastRounds: number;
  readonly seconds: number;
  /** Seconds for which one of the two runs in a round, at least and (but for the samples) at most. */
  readonly minTime: number;
  readonly maxTime: number;
  readonly minSamples: number;
  /** Seconds for which each runs before anything is measured, so that its code is compiled by then. */
  readonly warmUp: number;
  /** True if pairs without a goal are not timed. Whether they agree is looked at all the same. */
  readonly goalsOnly: boolean;
}

export const thorough: Effort = {
  rounds: 15,
  leastRounds: 3,
  seconds: 5,
  minTime: 0.03,
  maxTime: 0.1,
  minSamples: 5,
  warmUp: 0.2,
  goalsOnly: false,
};

/** For a machine that builds and tests: a few rounds that find what has become many times slower. */
export const short: Effort = {
  rounds: 5,
  leastRounds: 1,
  seconds: 1,
  minTime: 0.01,
  maxTime: 0.02,
  minSamples: 2,
  warmUp: 0.1,
  goalsOnly: true,
};

/** One of ours against one peer. */
export interface Measured extends Row, Spread {
  readonly floor: number | null;
  /** Median seconds of a run. */
  readonly seconds: { readonly ours: number; readonly peer: number };
  readonly rounds: number;
}

export interface Progress {
  round(ours: Contender, peer: Peer, round: number, rounds: number): void;
  row(ours: Contender, row: Measured): void;
}

/**
 * Measures each of ours against each peer in interleaved pairs. Gives the sum of all results, which the caller prints.
 * Before anything is timed all must agree, where they do the same work.
 */
export function measure(subject: Subject, effort: Effort, progress: Progress): number {
  if (subject.sameResult) agree(subject);
  let sink = 0;
  const fold = (value: number): void => {
    sink = (sink + value) % 2 ** 32;
  };
  const peers = subject.peers.filter(({ goal }) => goal !== undefined || !effort.goalsOnly);
  if (peers.length > 0) for (const contender of [...subject.ours, ...peers]) warmUp(contender, effort, fold);
  for (const ours of subject.ours)
    for (const peer of peers) {
      const times: { ours: number[]; peer: number[] } = { ours: [], peer: [] };
      const start = performance.now();
      for (let round = 0; round < effort.rounds; round++) {
        if (round >= effort.leastRounds && performance.now() - start > effort.seconds * 1e3) break;
        progress.round(ours, peer, round, effort.rounds);
        // Every other round goes backwards, so that nobody always runs on what the other has left behind.
        const first = round % 2 === 0;
        if (first) times.ours.push(secondsOf(ours, effort, fold));
        times.peer.push(secondsOf(peer, effort, fold));
        if (!first) times.ours.push(secondsOf(ours, effort, fold));
      }
      const goal = peer.goal ?? null;
      progress.row(ours, {
        name: `${subject.name}: ${ours.name}`,
        against: peer.name,
        ...ratiosOf(times.ours, times.peer),
        goal,
        floor: peer.floor ?? (goal === null ? null : goal * 3),
        seconds: { ours: median(times.ours), peer: median(times.peer) },
        rounds: times.ours.length,
      });
    }
  return sink;
}

/** Throws where two do not have the same result. */
function agree({ name, ours, peers }: Subject): void {
  const results = [...ours, ...peers].map((contender) => ({ name: contender.name, result: contender.run() }));
  if (results.some(({ result }) => result !== results[0]!.result))
    throw new Error(
      `${name}: they do not agree: ${results.map(({ name, result }) => `${name} ${result}`).join(", ")}`,
    );
}

function warmUp({ run, seconds }: Contender, effort: Effort, fold: (value: number) => void): void {
  if (seconds) return;
  for (const start = performance.now(); performance.now() - start < effort.warmUp * 1e3; ) fold(run());
}

/** Median seconds of a run in one round. */
function secondsOf({ run, seconds }: Contender, effort: Effort, fold: (value: number) => void): number {
  if (seconds) return seconds();
  const bench = new Benchmark(() => fold(run()), {
    minTime: effort.minTime,
    maxTime: effort.maxTime,
    minSamples: effort.minSamples,
  });
  // A run that fills a round by itself is measured once: the rounds are its samples.
  const start = performance.now();
  fold(run());
  const once = (performance.now() - start) / 1e3;
  if (once >= effort.maxTime) return once;
  bench.run();
  if (bench.error) throw bench.error;
  return median(bench.stats.sample);
}
