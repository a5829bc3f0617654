import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { newShared, type Request, type Response, type Shared, type WorkerStart, word } from "./protocol.js";

/** Why a worker is no more, and the input that it ran. */
export interface Death {
  readonly oracle: "hang" | "memory";
  readonly message: string;
  readonly input: Uint8Array;
  /** Executions of the round, this one included. */
  readonly executions: number;
}

/** One worker thread, which answers one request at a time. */
export interface Thread {
  /** @throws whatever the worker throws outside of an execution; resolves to a death where an execution ended it */
  ask(request: Request): Promise<Response | Death>;
  /** Makes the round that runs end early; with nothing, where it does not within {@link graceMs}. */
  hurry(): void;
  stop(): Promise<void>;
}

export const isDeath = (answer: Response | Death): answer is Death => "oracle" in answer;

const watchIntervalMs = 500;
/** A worker that loads, or an execution that takes long, does not delay the end of a run. */
const graceMs = 2000;

const nothing: Response = {
  executions: 0,
  seconds: 0,
  added: [],
  found: [],
  reached: new Uint32Array(),
  corpus: 0,
};

export interface ThreadOptions extends Omit<WorkerStart, "shared"> {
  /** Seconds of processor time after which an execution counts as one that does not end. */
  readonly patience: number;
  /** Workers that share the processor time of this process. */
  readonly workers: number;
  /** Memory beside typed arrays, in MiB. */
  readonly heap: number;
}

export function newThread(options: ThreadOptions): Thread {
  const { patience, workers, heap, ...start } = options;
  const shared = newShared();
  const worker = new Worker(join(start.build, "worker.mjs"), {
    workerData: { ...start, shared } satisfies WorkerStart,
    resourceLimits: { maxOldGenerationSizeMb: heap },
    // What the main thread was started with, a loader for TypeScript, is not for the bundle.
    execArgv: [],
  });
  let settle: { resolve: (answer: Response | Death) => void; reject: (error: unknown) => void } | undefined;
  let over: Death | undefined;
  let before = 0;
  const begun = (): number => Atomics.load(shared.words, word.executions);
  const die = (oracle: Death["oracle"], message: string): void => {
    const input = shared.input.slice(0, Atomics.load(shared.words, word.length));
    over = { oracle, message, input, executions: begun() - before };
    finish(over);
  };

  const finish = (answer: Response | Death): void => {
    settle?.resolve(answer);
    settle = undefined;
  };
  worker.on("message", finish);
  worker.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "ERR_WORKER_OUT_OF_MEMORY") return die("memory", "runs out of memory");
    settle?.reject(error);
    settle = undefined;
  });
  return {
    ask(request) {
      if (over) return Promise.resolve(over);
      return new Promise((resolve, reject) => {
        before = begun();
        const unwatch = watch(shared, options, () => die("hang", `does not end within ${patience} s`));
        settle = {
          resolve: (answer) => {
            unwatch();
            resolve(answer);
          },
          reject: (error) => {
            unwatch();
            reject(error);
          },
        };
        worker.postMessage(request);
      });
    },
    hurry() {
      Atomics.store(shared.words, word.stop, 1);
      setTimeout(() => finish(nothing), graceMs).unref();
    },
    stop: async () => void (await worker.terminate()),
  };
}

/**
 * Calls `hung` once when no execution begins for so many seconds of processor time, as the machine may be busy with
 * other work, or for ten times as long by the clock. The first may take longer: loading comes before it.
 */
function watch({ words }: Shared, { patience, workers }: ThreadOptions, hung: () => void): () => void {
  const processor = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6 / workers;
  };
  const clock = (): number => performance.now() / 1000;
  let last = Atomics.load(words, word.executions);
  let since = { processor: processor(), clock: clock() };
  const timer = setInterval(() => {
    const now = Atomics.load(words, word.executions);
    if (now !== last) {
      last = now;
      since = { processor: processor(), clock: clock() };
      return;
    }
    const allowed = now === 0 ? 10 * patience : patience;
    if (processor() - since.processor < allowed && clock() - since.clock < 10 * allowed) return;
    clearInterval(timer);
    hung();
  }, watchIntervalMs);
  return () => clearInterval(timer);
}
