/** What a run of the fuzzer found and took, gathered from the rounds of all workers. */
import type { Entry } from "./corpus.js";
import type { Found } from "./fuzzer.js";

/** A finding, with where it was found. */
export interface Finding extends Omit<Found, "executions"> {
  readonly target: string;
  /** Executions of all workers on this target before the round that found it. */
  readonly executions: number;
  /** Seconds since the run began. */
  readonly seconds: number;
}

export interface Sample {
  readonly seconds: number;
  readonly executions: number;
  readonly reached: number;
}

/** What is known about one target. */
export interface TargetState {
  readonly name: string;
  /** Edges that it could take. */
  readonly edges: number;
  executions: number;
  /** Seconds of all workers. */
  seconds: number;
  readonly reached: Set<number>;
  /** What the run added to the seeds and to the corpus that it began with. */
  readonly added: Pick<Entry, "data" | "features" | "steps">[];
  /** Inputs that a worker holds, the most of all. */
  corpus: number;
  readonly findings: Finding[];
  /** Ascending. */
  readonly samples: Sample[];
}

export const newTargetState = (name: string, edges: number): TargetState => ({
  name,
  edges,
  executions: 0,
  seconds: 0,
  reached: new Set(),
  added: [],
  corpus: 0,
  findings: [],
  samples: [],
});

/** What one round of one worker adds. */
export interface Gained {
  readonly executions: number;
  readonly seconds: number;
  readonly added: readonly Pick<Entry, "data" | "features" | "steps">[];
  readonly found: readonly Found[];
  readonly reached: Iterable<number>;
  readonly corpus: number;
}

/** Takes in a round. Returns the findings that are new. */
export function gather(state: TargetState, gained: Gained, seconds: number): Finding[] {
  const { executions, added, found, reached, corpus } = gained;
  const fresh = found
    .filter(
      ({ oracle, place }) =>
        !state.findings.some((known) => known.oracle === oracle && known.place === place),
    )
    .map((each) => ({ ...each, target: state.name, executions: state.executions, seconds }));
  state.findings.push(...fresh);
  state.executions += executions;
  state.seconds += gained.seconds;
  state.added.push(...added);
  for (const edge of reached) state.reached.add(edge);
  state.corpus = Math.max(state.corpus, corpus);
  sample(state, seconds);
  return fresh;
}

/** Keeps samples a hundredth of the time apart, so that there are some hundreds after an hour too. */
function sample({ samples, executions, reached }: TargetState, seconds: number): void {
  const [before = 0, last = 0] = samples.slice(-2).map((each) => each.seconds);
  if (samples.length > 1 && last - before < Math.max(0.2, before / 100)) samples.pop();
  samples.push({ seconds, executions, reached: reached.size });
}
