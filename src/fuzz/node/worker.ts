/** The entry of a worker thread, bundled beside the instrumented targets: runs rounds as it is told. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import type { Instrumentation } from "../execute.js";
import { type Fuzzer, newFuzzer } from "../fuzzer.js";
import { newRandom } from "../random.js";
import { defaultMaxLength, type TargetModule } from "../target.js";
import { maxInput, type Request, type Response, type WorkerStart, word } from "./protocol.js";

const { build, edges, seed, shared, skipped } = workerData as WorkerStart;
const { words, input } = shared;
const port = parentPort!;
const fuzzers = new Map<string, Promise<Fuzzer>>();

// Errors of the library are normal, and many. These frames tell one fault from another.
Error.stackTraceLimit = 8;
process.setSourceMapsEnabled(true);

async function load(name: string): Promise<Fuzzer> {
  const module: TargetModule & { readonly instrumentation: Instrumentation } = await import(
    pathToFileURL(join(build, `${name}.mjs`)).href
  );
  const { instrumentation, ...target } = module;
  const fuzzer = newFuzzer({
    target: { ...target, maxLength: Math.min(target.maxLength ?? defaultMaxLength, maxInput) },
    instrumentation,
    edges,
    random: newRandom(seed ^ BigInt(`0x${sha256(new TextEncoder().encode(name)).slice(0, 16)}`)),
    onInput(data) {
      input.set(data);
      words[word.length] = data.length;
      Atomics.add(words, word.executions, 1);
    },
  });
  const seeds = [...(target.seeds?.() ?? [])].map(({ data }) => data);
  fuzzer.offer(withoutSkipped(seeds), false);
  return fuzzer;
}

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

const withoutSkipped = (inputs: readonly Uint8Array[]): readonly Uint8Array[] =>
  skipped.length === 0 ? inputs : inputs.filter((data) => !skipped.includes(sha256(data)));

async function serve({ target, executions, steps, inputs }: Request): Promise<Response> {
  if (!fuzzers.has(target)) fuzzers.set(target, load(target));
  const fuzzer = await fuzzers.get(target)!;
  const { coverage, corpus } = fuzzer;
  const before = coverage.seen.slice();
  const began = performance.now();
  fuzzer.offer(withoutSkipped(inputs), false);
  const result = fuzzer.round({ executions, steps, late: () => Atomics.load(words, word.stop) !== 0 });
  return {
    executions: result.executions,
    seconds: (performance.now() - began) / 1000,
    added: result.added.map(({ data, features, steps }) => ({ data, features, steps })),
    found: result.found,
    reached: Uint32Array.from(
      [...coverage.seen.keys()].filter((edge) => coverage.seen[edge] !== 0 && before[edge] === 0),
    ),
    corpus: corpus.entries.length,
  };
}

port.on("message", async (request: Request) => port.postMessage(await serve(request)));
