/** What the main thread and the workers say to each other. */
import type { Entry } from "../corpus.js";
import type { Found } from "../fuzzer.js";

/** What a worker is started with. */
export interface WorkerStart {
  readonly build: string;
  /** Number of edges in the build. */
  readonly edges: number;
  /** Of this worker alone. */
  readonly seed: bigint;
  readonly shared: Shared;
  /** Hashes of inputs that ended a worker and are not run again. */
  readonly skipped: readonly string[];
}

/** Memory that outlives a worker: what it was doing when it stopped answering. */
export interface Shared {
  readonly words: Int32Array;
  /** The input of the execution that runs. */
  readonly input: Uint8Array;
}

/** Index of a word in {@link Shared}. */
export const word = {
  /** Executions begun, modulo 2^32. */
  executions: 0,
  /** Bytes of the input. */
  length: 1,
  /** Set by the main thread: end the round now. */
  stop: 2,
} as const;

/** Longest input that a worker runs: it has to fit into {@link Shared}. */
export const maxInput = 2 ** 24;

export const newShared = (): Shared => ({
  words: new Int32Array(new SharedArrayBuffer(16)),
  input: new Uint8Array(new SharedArrayBuffer(maxInput)),
});

/** To a worker: run a round. */
export interface Request {
  readonly target: string;
  readonly executions: number;
  readonly steps: number;
  /** Inputs that others found, or a corpus on disk holds. */
  readonly inputs: readonly Uint8Array[];
}

/** From a worker, when the round is over. */
export interface Response {
  readonly executions: number;
  readonly seconds: number;
  readonly added: readonly Pick<Entry, "data" | "features" | "steps">[];
  readonly found: readonly Found[];
  /** Edges reached in this round and not before, by this worker. */
  readonly reached: Uint32Array;
  /** Inputs that the worker holds for this target. */
  readonly corpus: number;
}
