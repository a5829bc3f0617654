/** Runs a simulated kernel on a handover, and on it the program that asks for everything. */
import {
  type Departure,
  errnoOf,
  getSeals,
  isMemfdFile,
  type LiveUpdateSession,
  Machine,
  type MemfdFile,
  patternBytes,
  type ReserveMemOption,
  read,
} from "../../machine/index.js";
import { isKhoError } from "../../report/error.js";
import { newTestFlbs, type TestFlb } from "../liveupdate-test.js";
import type { FilePlan, SessionPlan } from "../plan.js";
import type { Boot, CallResult, FileResult, FlbResult, Outcome, SessionResult } from "./outcome.js";

/** A handover, what its machine's next kernel is booted with, and what a program there asks for. */
export interface Trial {
  readonly departure: Departure;
  readonly reserveMem: readonly ReserveMemOption[];
  /** What is asked for, which is what was planned. */
  readonly asked: readonly SessionPlan[];
}

/** What Linux `release` does with a handover, and what comes out of it. */
export function predict({ departure, reserveMem, asked }: Trial, release: string): Outcome {
  const machine = Machine.arrive(departure, { release, reserveMem });
  const boot = bootOf(machine);
  if (boot.kind === "stops") return { ...nothing, boot };
  const common = {
    ...nothing,
    boot,
    metadata: machine.log.some((line) => line.startsWith("KHO: exec from")),
    revived: machine.regions.filter(({ revived }) => revived).map(({ name }) => name),
  };
  if (!machine.kernel.luo) return { ...common, warns: warned(machine) };
  const flbs = machine.kernel.flb ? newTestFlbs() : [];
  if (call(() => requestFlbs(machine, flbs)) === "oops") return { ...nothing, boot: { kind: "stops" } };
  const run = runProgram(machine, asked);
  return { ...common, ...run, flbs: flbs.map(flbResult), warns: warned(machine) };
}

const nothing = { metadata: false, revived: [], flbs: [], sessions: [], warns: false };

function bootOf({ outcome }: Machine): Boot {
  if (outcome.kind === "panic") {
    const { errno } = outcome.reason.consequence ?? {};
    return { kind: "stops", ...(errno !== undefined && { errno }) };
  }
  return { kind: outcome.kind === "received" ? "received" : "ignored" };
}

const warned = ({ log }: Machine): boolean => log.some((line) => line.startsWith("WARNING"));

/** Runs a call: what it ended with, where the caller lives on or not. */
function call(run: () => unknown): CallResult {
  try {
    run();
    return "fine";
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== undefined) return errno;
    const killed = isKhoError(error) && error.consequence?.outcome === "panic";
    if (killed) return "oops";
    throw error;
  }
}

/** What lib/tests/liveupdate.c does when a handler registers. */
function requestFlbs(machine: Machine, flbs: readonly TestFlb[]): void {
  for (const flb of flbs) {
    machine.registerFlb(flb);
    try {
      machine.luo.incomingFlb(flb);
      machine.luo.putIncomingFlb(flb);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }
}

const flbResult = ({ name, events }: TestFlb): FlbResult => ({
  name,
  found: events.some((event) => event.startsWith("retrieve")),
  finished: events.includes("finish"),
});

/** Opens the device, retrieves every session with every file, and finishes it, until a call does not come back. */
function runProgram(machine: Machine, asked: readonly SessionPlan[]): Pick<Outcome, "open" | "sessions"> {
  const open = call(() => machine.liveupdate);
  const sessions: SessionResult[] = [];
  if (open === "EIO") return { open: machine.luo.openErrno ?? open, sessions };
  if (open !== "fine") return { open, sessions };
  for (const plan of asked) {
    const session = runSession(machine, plan);
    sessions.push(session);
    if ([session.result, session.finish, ...session.files.map(({ result }) => result)].includes("oops"))
      break;
  }
  return { open, sessions };
}

function runSession(machine: Machine, { name, files: plans }: SessionPlan): SessionResult {
  let session: LiveUpdateSession | undefined;
  const result = call(() => {
    session = machine.liveupdate.retrieveSession(name);
  });
  const files: FileResult[] = [];
  if (!session) return { name, result, files };
  for (const plan of plans) {
    const file = runFile(machine, session, plan);
    files.push(file);
    if (file.result === "oops") return { name, result, files };
  }
  const finish = call(session.finish);
  // Closing finishes what is not finished yet.
  const closed = finish === "oops" ? finish : call(session.close);
  return { name, result, files, finish: finish === "fine" ? closed : finish };
}

function runFile({ init, hardware }: Machine, session: LiveUpdateSession, plan: FilePlan): FileResult {
  const { token } = plan;
  let fd = -1;
  const result = call(() => {
    fd = session.retrieve(token);
  });
  const file = fd >= 0 ? init.file(fd) : undefined;
  if (!file || !isMemfdFile(file)) return { token, result };
  const size = BigInt.asUintN(64, file.inode.size);
  const pages = pagesOf(file, plan, hardware.abi.pageSize);
  return { token, result, file: { size, pos: file.pos, seals: getSeals(file), pages } };
}

/** Bytes of a word of the pattern. */
const word = 8;

/** What is in each page of the file that was planned, as far as the file reaches. */
function pagesOf(file: MemfdFile, { token, size }: FilePlan, pageSize: number): (number | "other")[] {
  return Array.from({ length: Math.ceil(size / pageSize) }, (_, page) => {
    const length = Math.min(pageSize, size - page * pageSize);
    const bytes = new Uint8Array(length);
    bytes.set(read(file, length, BigInt(page * pageSize)));
    const pattern = patternBytes(token, page, length);
    const first = bytes.findIndex((byte, i) => byte !== pattern[i]);
    const words = first < 0 ? Math.ceil(length / word) : Math.floor(first / word);
    if (bytes.subarray(words * word).every((byte) => byte === 0)) return words;
    return "other";
  });
}
