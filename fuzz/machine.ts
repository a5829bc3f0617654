/** Calls on a simulated machine, then a kexec: what was preserved is what is handed over, and what the next kernel gets. */
import { kernels } from "../formats/kernels.js";
import { type Lookup, lookupIn } from "../formats/kho/runs.js";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import type { Limits } from "../src/fuzz/target.js";
import { memfdContent } from "../src/handover/content.js";
import { encodeHandover } from "../src/handover/encode.js";
import { type Decoded, decodeHandover } from "../src/handover/index.js";
import { placedAs } from "../src/handover/placement.js";
import { pageSizes } from "../src/layout/index.js";
import {
  addSeals,
  captureOf,
  type Departure,
  type Errno,
  errnoOf,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  fallocate,
  type LiveUpdateSession,
  Machine,
  type MemfdFile,
  openFile,
  read,
  seek,
  truncate,
  write,
} from "../src/machine/index.js";
import type { Memory, PhysAddr } from "../src/memory/index.js";
import type { Code } from "../src/report/codes.js";
import { isKhoError } from "../src/report/error.js";
import { type Cursor, cursorOf } from "./mutate/cursor.js";
import { mutateSteps } from "./mutate/steps.js";
import { checkArrival } from "./oracles/arrival.js";
import { firstDifference } from "./oracles/equal.js";
import { reading } from "./oracles/errors.js";
import { plainFlb, plainHandler, smallScratch } from "./seeds/machines.js";
import type { Seed } from "./seeds/seed.js";

export const about = "sequences of calls on machines of every release, and kexecs between them";

/** Bytes of choices for the whole run, and of each call. */
const head = 4;
const size = 5;
/** Calls of one run, and kexecs. */
const mostCalls = 60;
const mostJumps = 2;

const calls = [
  "session",
  "memfd",
  "write",
  "write-on",
  "read",
  "preserve",
  "preserve-plain",
  "close-session",
  "close-file",
  "truncate",
  "punch",
  "allocate",
  "seal",
  "seek",
  "folio",
  "unpreserve-folio",
  "area",
  "fault-freeze",
  "fault-allocation",
  "retrieve",
  "finish",
  "jump",
] as const;
const opOf = (name: (typeof calls)[number]): number => calls.indexOf(name);

export function* seeds(): Generator<Seed> {
  const call = (name: (typeof calls)[number], ...more: number[]): number[] =>
    [opOf(name), ...more, 0, 0, 0, 0].slice(0, size);
  const session = [
    ...call("session", 0),
    ...call("memfd", 3, 0),
    ...call("write", 0, 0, 8, 40),
    ...call("preserve", 0, 0, 7),
  ];
  const driver = [
    ...call("folio", 0),
    ...call("folio", 3),
    ...call("folio", 0),
    ...call("unpreserve-folio", 2),
  ];
  const area = [...call("area", 3, 0), ...call("folio", 1)];
  const kinds = [
    ...call("memfd", 0, 0),
    ...call("memfd", 9, 2),
    ...call("write", 1, 0, 5, 255),
    ...call("seal", 1, 2),
    ...call("preserve", 0, 1, 1),
    ...call("preserve", 0, 0, 2),
    ...call("preserve-plain", 0, 0, 3),
    ...call("session", 1),
    ...call("preserve-plain", 1, 0, 3),
    ...call("punch", 1, 1, 1),
  ];
  const again = [
    ...call("jump", 0),
    ...call("retrieve", 0, 0),
    ...call("write", 0, 0, 1, 9),
    ...call("finish", 0),
  ];
  for (const [row, { release, luo }] of kernels.entries()) {
    yield {
      name: `${release}-driver`,
      data: Uint8Array.of(row, 0, row, 0, ...driver, ...(row > 2 ? area : [])),
    };
    if (!luo) continue;
    yield { name: `${release}-session`, data: Uint8Array.of(row, 0, 8, 0, ...session) };
    yield { name: `${release}-kinds`, data: Uint8Array.of(row, 0, 7, 0, ...session, ...kinds, ...area) };
    yield {
      name: `${release}-again`,
      data: Uint8Array.of(row, row === 8 ? 1 : 0, 6, 0, ...session, ...again, ...session),
    };
  }
}

export const mutate = (data: Uint8Array, random: Random): Uint8Array => mutateSteps(data, head, size, random);

/** What a run has at hand. */
interface World {
  machine: Machine;
  readonly sessions: LiveUpdateSession[];
  readonly files: MemfdFile[];
  /** What each session has preserved, by token. */
  readonly preserved: Map<string, Map<bigint, MemfdFile | "plain">>;
  readonly folios: { readonly pfn: number; readonly order: number }[];
  /** Blocks that are no longer preserved; their pages stay in use. */
  readonly given: { readonly pfn: number; readonly order: number }[];
  readonly faults: { freeze?: Errno | undefined; allocations: number };
}

const names = ["vm0", "vm1", "", "n".repeat(63), "ü-\udcff", "n".repeat(64), "s"];
/** Longer ones the calls have no room for. */
const nameOf = (a: number, b: number): string =>
  (names[a % names.length]! + (b > 0 ? String(b) : "")).slice(-64);
const errnos: readonly Errno[] = ["EINVAL", "ENOMEM", "EBUSY"];
/** Allocations that go well unless a fault says otherwise. */
const unlimited = Number.POSITIVE_INFINITY;

/** RAM in bytes by page size: as little as a machine can have. */
const memoryOf = { 4096: 2 ** 26, 16384: 2 ** 29, 65536: 2 ** 31 } as const;

function boot(recipe: Cursor): { world: World; next: string } {
  const { release } = recipe.pick(kernels);
  const pageSize = recipe.pick(pageSizes);
  const next = recipe.pick(kernels).release;
  const faults: World["faults"] = { allocations: unlimited };
  const machine = Machine.boot({ ...optionsOf(release, faults), pageSize, memory: memoryOf[pageSize] });
  const world: World = {
    machine,
    sessions: [],
    files: [],
    preserved: new Map(),
    folios: [],
    given: [],
    faults,
  };
  setUp(machine);
  if (recipe.u8() % 4 === 3) machine.init.close(machine.liveupdate.fd);
  return { world, next };
}

const optionsOf = (release: string, faults: World["faults"]) => ({
  release,
  scratch: smallScratch,
  faults: {
    allocation: () => faults.allocations-- <= 0,
    freeze: () => faults.freeze,
  },
});

function setUp(machine: Machine): void {
  if (!machine.kernel.luo || !machine.luo.enabled) return;
  if (machine.kernel.flb) machine.registerFlb(plainFlb("iommu", 5n));
  machine.registerFileHandler(plainHandler);
}

/** Runs a call; true if the kernel did not refuse it. Nothing in an undamaged machine kills a process. */
function call(run: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (errnoOf(error) !== undefined || isKhoError(error, "machine-misuse")) return false;
    if (isKhoError(error)) fail("machine", `a call ends with ${error.code}: ${error.message}`, error);
    throw error;
  }
}

/** A few boots of a kernel, each of which reads everything twice. */
export const limits = (length: number): Limits => ({
  steps: 200_000_000 + 800 * length,
  bytes: 2 ** 29 + 256 * length,
});

export function fuzz(data: Uint8Array): void {
  const recipe = cursorOf(data);
  const started = reading("boot", () => boot(recipe)).value;
  if (!started) return;
  const { world, next } = started;
  let jumps = 0;
  for (let left = mostCalls; left > 0 && recipe.left > 0; left--) {
    const name = calls[recipe.u8() % calls.length]!;
    const [a, b, c, d] = [recipe.u8(), recipe.u8(), recipe.u8(), recipe.u8()];
    if (name !== "jump") call(() => act(world, name, a, b, c, d));
    else if (jumps++ < mostJumps && !jump(world)) return;
  }
  const departure = leave(world);
  if (departure) checkArrival(departure, next);
}

function act(world: World, name: (typeof calls)[number], a: number, b: number, c: number, d: number): void {
  const { machine, sessions, files, preserved, folios, faults } = world;
  const { pageSize } = machine.hardware.abi;
  const file = files[a % Math.max(1, files.length)];
  const session = sessions[a % Math.max(1, sessions.length)];
  const offset = BigInt(b * (pageSize >> 1) + (c & 7));
  switch (name) {
    case "session": {
      const made = machine.liveupdate.createSession(nameOf(a, b));
      sessions.push(made);
      break;
    }
    case "memfd":
      files.push(
        machine.memfd({ size: (a * pageSize) / 2 + (c & 3), folioOrder: b % 5, allowSealing: (c & 4) === 0 }),
      );
      break;
    case "write":
      if (file)
        write(
          file,
          Uint8Array.from({ length: d * ((c & 8) + 1) }, (_, i) => i + d),
          offset,
        );
      break;
    case "write-on":
      if (file)
        write(
          file,
          Uint8Array.from({ length: d }, (_, i) => i ^ d),
        );
      break;
    case "read":
      if (file) read(file, 1 + b);
      break;
    case "preserve":
    case "preserve-plain": {
      if (!session) break;
      const token = c > 250 ? (1n << 64n) - BigInt(c - 250) : BigInt(c);
      const other = name === "preserve" ? files[b % Math.max(1, files.length)] : undefined;
      if (name === "preserve" && !other) break;
      session.preserve(other ?? openFile({ type: "plain", opens: 0, release: () => {} }), token);
      const key = keyOf(session.name, machine);
      const held = preserved.get(key) ?? new Map<bigint, MemfdFile | "plain">();
      held.set(token, other ?? "plain");
      preserved.set(key, held);
      break;
    }
    case "close-session":
      if (!session) break;
      sessions.splice(sessions.indexOf(session), 1);
      preserved.delete(keyOf(session.name, machine));
      session.close();
      break;
    case "close-file":
      if (!file) break;
      // Its place stays: what is preserved is still there.
      machine.init.close(machine.init.fds.find((fd) => machine.init.file(fd) === file) ?? -1);
      break;
    case "truncate":
      if (file) truncate(file, offset);
      break;
    case "punch":
      if (file) fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, BigInt(d * 512));
      break;
    case "allocate":
      if (file) fallocate(file, d & 1 ? FALLOC_FL_KEEP_SIZE : 0, offset, BigInt(d * 512));
      break;
    case "seal":
      if (file) addSeals(file, b & 0x3f);
      break;
    case "seek":
      if (file) seek(file, offset);
      break;
    case "folio": {
      const order = a % 10;
      const pfn = machine.core.pages.allocate(order, "fuzz");
      if (pfn === undefined) break;
      machine.kho.preserveFolio(pfn, order);
      folios.push({ pfn, order });
      break;
    }
    case "unpreserve-folio": {
      const folio = folios[a % Math.max(1, folios.length)];
      if (!folio) break;
      machine.kho.unpreserveFolio(folio.pfn, folio.order);
      folios.splice(folios.indexOf(folio), 1);
      world.given.push(folio);
      break;
    }
    case "area": {
      const order = b % 3;
      const blocks = Array.from({ length: a % 5 }, () => machine.core.pages.allocate(order, "fuzz area"));
      machine.kho.preserveVmalloc(
        blocks.filter((pfn) => pfn !== undefined),
        order,
        "fuzz area",
      );
      break;
    }
    case "fault-freeze":
      faults.freeze = a % 2 === 0 ? errnos[b % errnos.length] : undefined;
      break;
    case "fault-allocation":
      faults.allocations = a % 2 === 0 ? b : unlimited;
      break;
    case "retrieve": {
      const incoming = machine.luo.sessions("incoming");
      const wanted = incoming[a % Math.max(1, incoming.length)];
      if (!wanted) break;
      const retrieved = machine.liveupdate.retrieveSession(wanted.name);
      sessions.push(retrieved);
      for (const { token } of wanted.files.slice(0, 1 + (b % 4))) retrieved.retrieve(token);
      break;
    }
    case "finish":
      if (!session) break;
      session.finish();
      // Before 7.1 every session takes every call.
      preserved.delete(keyOf(session.name, machine));
      break;
    case "jump":
  }
}

/** As sessions are told apart: before 7.1 names are cut. */
const keyOf = (name: string, machine: Machine): string =>
  machine.kernel.metadata === undefined ? [...name].slice(0, 63).join("") : name;

/** A file as it is at the jump. */
interface Content {
  readonly size: bigint;
  readonly pos: bigint;
  readonly bytes: Uint8Array | undefined;
}

/** Files that are compared byte by byte. */
const readable = 1n << 21n;

/** What kernels do leave: 7.2 and 7.3 an empty block of a session that they refused, 6.19 and 7.0 a file that is preserved twice. */
const ofKernels: ReadonlySet<Code> = new Set<Code>(["block-bad-count", "folio-shared"]);

/** Leaves the machine, and holds what it left against what it had; undefined if it does not jump or hands over nothing. */
function leave({
  machine,
  sessions,
  preserved,
  folios,
  given,
  faults,
}: World): (Departure & { readonly bootData: PhysAddr }) | undefined {
  if (machine.kernel.kho === "kho-v1") call(() => machine.kho.finalize());
  const contents = new Map<string, Map<bigint, Content | "plain">>();
  for (const [name, files] of preserved) {
    const held = new Map<bigint, Content | "plain">();
    contents.set(name, held);
    for (const [token, file] of files) {
      if (file === "plain") held.set(token, "plain");
      else if (file.refs > 0) {
        const { inode, pos } = file;
        const bytes = inode.size <= readable ? read(file, Number(inode.size), 0n) : undefined;
        held.set(token, { size: inode.size, pos, bytes });
      }
    }
  }
  let departure: Departure | undefined;
  const went = call(() => {
    departure = machine.leave();
  });
  if (!went || !departure) {
    if (faults.freeze === undefined && faults.allocations > 1000)
      fail("machine", "the machine does not leave, and no fault was asked for");
    return undefined;
  }
  const { bootData, release, hardware } = departure;
  if (bootData === undefined) return undefined;
  const image = captureOf(departure);
  const options = { handoff: bootData, release, pageSize: hardware.abi.pageSize, mode: "forensic" } as const;
  const { value: decoded, error } = reading("departure", () => decodeHandover(image, options));
  if (error) fail("machine", `what ${release} leaves cannot be decoded: ${error.message}`);
  const wrong = decoded.findings.find(({ severity, code }) => severity !== "info" && !ofKernels.has(code));
  if (wrong) fail("machine", `${release} leaves ${wrong.code} at ${wrong.path}: ${wrong.message}`);
  const open = new Set(sessions.map(({ name }) => keyOf(name, machine)));
  for (const { name } of decoded.handover.luo?.sessions ?? [])
    if (!open.has(name)) fail("machine", `session ${name} is handed over, and nobody has it open`);
  checkSessions(decoded, contents, image.memory, hardware.abi.pageSize);
  const lookup: (pfn: number) => Lookup = decoded.handover.preserved
    ? lookupIn(decoded.handover.preserved.runs)
    : () => ({ kind: "absent" });
  for (const { pfn, order } of folios) {
    const found = lookup(pfn);
    if (found.kind !== "block" || found.order !== order)
      fail("machine", `the folio at ${pfn} is handed over as ${found.kind}`);
  }
  for (const { pfn } of given)
    if (lookup(pfn).kind !== "absent")
      fail("machine", `the folio at ${pfn} is handed over, and was given back`);
  if (decoded.findings.every(({ severity }) => severity === "info")) checkBytes(decoded, image.memory);
  return { ...departure, bootData };
}

/** What a kernel wrote is what writing the decoded handover gives, byte for byte. */
function checkBytes({ handover, structures }: Decoded, memory: Memory): void {
  const { value: encoded, error } = reading("encode", () => encodeHandover(handover, placedAs(structures)));
  if (error) fail("roundtrip", `what a kernel wrote cannot be written: ${error.message}`);
  for (const { pa, size } of encoded.written) {
    const length = Number(size);
    const at = firstDifference(memory.read(pa, length), encoded.memory.read(pa, length));
    if (at >= 0) fail("roundtrip", `byte ${at} of ${length} at ${pa} is written otherwise`);
  }
}

function checkSessions(
  { handover }: Decoded,
  contents: ReadonlyMap<string, ReadonlyMap<bigint, Content | "plain">>,
  memory: Memory,
  pageSize: number,
): void {
  const sessions = new Map(handover.luo?.sessions.map((session) => [session.name, session]));
  for (const [name, files] of contents) {
    const session = sessions.get(name);
    if (!session) fail("machine", `session ${name} is not handed over`);
    if (session.files.length !== files.size)
      fail("machine", `${session.files.length} files are handed over, ${files.size} were preserved`);
    for (const [token, wanted] of files) {
      const file = session.files.find((candidate) => candidate.token === token);
      if (!file) fail("machine", `the file ${token} is not handed over`);
      if (wanted === "plain") continue;
      const { memfd } = file;
      if (!memfd) fail("machine", `the file ${token} is handed over as nothing`);
      if (memfd.size !== wanted.size || memfd.pos !== wanted.pos)
        fail(
          "machine",
          `a file of ${wanted.size} bytes at ${wanted.pos} is handed over as ${memfd.size} at ${memfd.pos}`,
        );
      if (!wanted.bytes) continue;
      const bytes = new Uint8Array(wanted.bytes.length);
      for (const piece of memfdContent(memory, memfd, pageSize))
        if (piece.kind === "data") bytes.set(piece.bytes, piece.offset);
      const at = firstDifference(wanted.bytes, bytes);
      if (at >= 0) fail("machine", `byte ${at} of a file is handed over as another`);
    }
  }
}

/** Jumps into the same release, which has to take everything; false if the run ends here. */
function jump(world: World): boolean {
  const { release } = world.machine;
  const departure = leave(world);
  if (!departure) return false;
  const arrived = reading("arrive", () =>
    Machine.arrive(departure, optionsOf(release, { allocations: unlimited })),
  );
  const { value: machine, error } = arrived;
  if (error) fail("machine", `the next kernel ends in an error: ${error.message}`);
  if (machine.outcome.kind !== "received") {
    // The empty block stops it.
    if (machine.outcome.kind === "panic" && machine.outcome.reason.code === "block-bad-count") return false;
    fail("machine", `${release} does not take what it left: ${machine.outcome.kind}`);
  }
  world.machine = machine;
  world.sessions.length = 0;
  world.files.length = 0;
  world.folios.length = 0;
  world.given.length = 0;
  world.preserved.clear();
  world.faults.freeze = undefined;
  world.faults.allocations = unlimited;
  setUp(machine);
  return true;
}
