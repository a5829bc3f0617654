/** Handovers of one release, made by a simulated machine, given to a real kernel of another one. */
import { readFileSync } from "node:fs";
import { kernelOf } from "../../formats/kernels.js";
import type { Expected } from "../../src/compat/craft/expected.js";
import type { Outcome } from "../../src/compat/craft/outcome.js";
import { filled } from "../../src/compat/fills.js";
import { harnessMeta, harnessRanges } from "../../src/compat/harness.js";
import { newTestFlbs } from "../../src/compat/liveupdate-test.js";
import { departureIn, type State } from "../../src/compat/states/state.js";
import { readingOf, truthOf } from "../../src/compat/truth.js";
import { type VerdictKind, worstOf } from "../../src/compat/verdict.js";
import { totalMemory } from "../../src/machine/firmware.js";
import { type Departure, Machine } from "../../src/machine/index.js";
import { type MemoryRange, physAddr } from "../../src/memory/index.js";
import type { Fixture } from "../conformance/truth.js";
import { decodeDeparture, departureOf } from "../machine/arrival.js";
import { accept } from "./accept.js";
import { writeFiles } from "./image.js";
import { newWatch, observe } from "./observe.js";
import { expectation, type SessionPlan } from "./plan.js";

/** What is handed over, and what whoever boots a real kernel on it needs to know. */
export interface Crossing {
  readonly departure: Departure;
  readonly sessions: readonly SessionPlan[];
  /** Names of FLBs that are handed over. */
  readonly flbs: readonly string[];
  /** Names of regions, and the command line that asks for them again. */
  readonly regions: readonly string[];
  readonly cmdline: string;
  /** Bytes of the whole machine. */
  readonly ramSize: number;
  readonly metadata: boolean;
  /** Memory that is in the image beside the handover. */
  readonly beside?: readonly MemoryRange[];
}

const abi = { byteOrder: "little", pageSize: 4096 } as const;
const MiB = 2 ** 20;

/** The FLBs of the test that is built into the real kernels. Without their data these warn. */
function registerTestFlbs(machine: Machine): void {
  if (machine.kernel.flb && machine.luo.enabled) for (const flb of newTestFlbs()) machine.registerFlb(flb);
}

/** A state of a release, as a real kernel would have it. */
export function crossingOf(state: State, from: string): Crossing {
  const kernel = kernelOf(from);
  const own = state.name === "flb";
  const departure = departureIn(state, from, undefined, (machine) => {
    if (!own) registerTestFlbs(machine);
  });
  const sessions = state.sessions?.(kernel, abi) ?? [];
  const files = sessions.some((session) => session.files.length > 0);
  const regions = state.reserveMem?.(abi) ?? [];
  return {
    departure,
    sessions,
    flbs: kernel.flb && files ? newTestFlbs().map(({ name }) => name) : [],
    regions: regions.map(({ name }) => name),
    cmdline: regions.map(({ name, size, align = 4096 }) => `reserve_mem=${size}:${align}:${name}`).join(" "),
    ramSize: Math.ceil(Number(totalMemory(departure.hardware)) / (256 * MiB)) * 256 * MiB,
    metadata: kernel.metadata !== undefined,
  };
}

/** What a real kernel left, without a look at its sessions: those are for kernels of its own release. */
export function captured(fixture: Fixture): Crossing {
  const { truth, meta } = fixture;
  return {
    departure: departureOf(fixture),
    sessions: [],
    flbs: [],
    regions: Object.keys(truth.reserveMem ?? {}),
    cmdline: (truth.reserveMemParams ?? []).map((option) => `reserve_mem=${option}`).join(" "),
    ramSize: Number(JSON.parse(meta).ramSize),
    metadata: kernelOf(truth.kernelRelease).metadata !== undefined,
  };
}

/** The same handover, with this byte wherever release `to` looks and nobody wrote. */
export function filledFor(crossing: Crossing, to: string, byte: number): Crossing {
  const memory = crossing.departure.memory.snapshot();
  const departure = { ...crossing.departure, memory };
  const { undefinedBytes } = readingOf(truthOf(departure)!, to, abi.pageSize);
  filled(departure, undefinedBytes, byte);
  const page = BigInt(abi.pageSize);
  const beside = undefinedBytes.map(({ pa, size }) => {
    const start = pa - (pa % page);
    return { pa: physAddr(start), size: ((pa + size - start + page - 1n) / page) * page };
  });
  return { ...crossing, departure, beside };
}

/** How a boot went: with the handover, without it, or not at all. */
export type BootKind = Outcome["boot"]["kind"];

/** How a simulated kernel boots on it. */
export function bootsOf(departure: Departure, to: string): BootKind {
  const { kind } = Machine.arrive(departure, { release: to }).outcome;
  return kind === "panic" ? "stops" : kind === "received" ? "received" : "ignored";
}

/** The emulated timer does not come up now and then on a busy host, whatever was handed over. */
const spoilt = /IO-APIC \+ timer doesn't work/;
const attempts = 4;
/** Milliseconds without a word, which the program needs to look at every word of half a GiB. */
const patience = 240_000;

/** Boots a real kernel on it. The log stays in the folder. */
export async function realVerdict(kernels: string, to: string, crossing: Crossing, folder: string) {
  const { departure, sessions, flbs, beside = [] } = crossing;
  const told = expectation(to, sessions) as Expected;
  const ranges = [...harnessRanges(decodeDeparture(departure)), ...beside];
  const files = writeFiles(folder, departure, ranges, {
    meta: harnessMeta(departure, crossing),
    expected: told,
  });
  for (let attempt = 1; ; attempt++) {
    await accept(kernels, to, files, folder, { over: newWatch(patience) });
    if (attempt < attempts && spoilt.test(readFileSync(`${folder}/console.txt`, "utf8"))) continue;
    const outcome = observe(folder, told, flbs);
    return { boot: outcome.boot.kind, verdict: verdictOf(outcome, crossing, told) };
  }
}

/** What a real kernel made of it, in the words of the judge. */
function verdictOf(outcome: Outcome, { flbs, regions, metadata }: Crossing, told: Expected): VerdictKind {
  if (outcome.boot.kind === "stops") return "panic";
  if (outcome.boot.kind === "ignored") return "ignored";
  const kinds: VerdictKind[] = ["works"];
  const call = (result: string | undefined): void => {
    if (result !== undefined && result !== "fine") kinds.push(result === "oops" ? "panic" : "refused");
  };
  if (told.sessions.length > 0) call(outcome.open);
  for (const session of outcome.sessions) {
    call(session.result);
    call(session.finish);
    const files = told.sessions.find(({ name }) => name === session.name)!.files;
    for (const { result, token, file } of session.files) {
      call(result);
      const wanted = files.find((candidate) => BigInt(candidate.token) === token)!;
      if (!file) continue;
      if (file.size !== BigInt(wanted.size) || file.pages.includes("other")) kinds.push("misread");
      if (file.pos !== BigInt(wanted.pos) || file.seals !== wanted.seals) kinds.push("lossy");
    }
  }
  const found = (name: string): boolean => outcome.flbs.some((flb) => flb.name === name && flb.found);
  if (flbs.some((name) => !found(name))) kinds.push("lossy");
  if (regions.some((name) => !outcome.revived.includes(name))) kinds.push("lossy");
  if (metadata && !outcome.metadata) kinds.push("lossy");
  return worstOf(kinds.map((verdict) => ({ verdict })))!.verdict;
}
