import Benchmark from "benchmark";

/** One way to do the work. What it returns is folded into a sum that is printed, so that no work can be left out. */
export interface Contender {
  readonly name: string;
  readonly run: () => number;
  /** Seconds of one run, where another process knows them. */
  readonly seconds?: () => number;
}

/** What is measured: contenders against a baseline, which is plain code without checks. */
export interface Subject {
  /** The work, with how much of it there is. */
  readonly name: string;
  readonly baseline: Contender;
  readonly contenders: readonly Contender[];
  /** False where the baseline does other work and serves as a yardstick alone. */
  readonly sameResult: boolean;
}

/** Rounds of which each measures everything once. A ratio is of two times of one round. */
export const rounds = 9;

/**
 * Measures a subject and prints the baseline's median time and each contender's time as a multiple of the baseline's:
 * median, least and most over all rounds. Returns the sum of all results.
 */
export function measure({ name, baseline, contenders, sameResult }: Subject): number {
  console.log(`\n${name}`);
  const all = [baseline, ...contenders];
  if (sameResult) {
    const results = all.map(({ run }) => run());
    if (results.some((result) => result !== results[0]))
      throw new Error(
        `the contenders do not agree: ${all.map(({ name }, i) => `${name} ${results[i]}`).join(", ")}`,
      );
  }
  let sink = 0;
  const seconds = all.map((): number[] => []);
  for (let round = 0; round < rounds; round++)
    // Every other round goes backwards, so that nobody always runs on what the one before has left behind.
    for (const i of round % 2 === 0 ? all.keys() : [...all.keys()].reverse()) {
      const { run, seconds: measured } = all[i]!;
      if (measured) {
        seconds[i]!.push(measured());
        continue;
      }
      const bench = new Benchmark(
        () => {
          sink = (sink + run()) % 2 ** 32;
        },
        { minTime: 0.03, maxTime: 0.2, minSamples: 5 },
      ).run();
      if (bench.error) throw bench.error;
      seconds[i]!.push(median(bench.stats.sample));
    }
  const [own, ...others] = seconds as [number[], ...number[][]];
  console.log(`  ${baseline.name.padEnd(44)} ${time(median(own)).padStart(10)}`);
  for (const [i, times] of others.entries()) {
    const ratios = times.map((t, round) => t / own[round]!);
    const spread = `${ratio(Math.min(...ratios))} .. ${ratio(Math.max(...ratios))}`;
    console.log(
      `  ${contenders[i]!.name.padEnd(44)} ${time(median(times)).padStart(10)}  ${ratio(median(ratios))} (${spread})`,
    );
  }
  return sink;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const ratio = (value: number): string => `${value.toFixed(2)}x`;

function time(seconds: number): string {
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(1)} us`;
  return `${(seconds * 1e3).toFixed(2)} ms`;
}
