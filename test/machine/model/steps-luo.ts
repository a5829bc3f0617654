/** Commands on /dev/liveupdate and its sessions, and in-kernel requests for FLBs. */
import fc from "fast-check";
import { expect } from "vitest";
import type { MemfdFile } from "../../../src/machine/index.js";
import {
  finishCall,
  getNameCall,
  nameField,
  preserveCall,
  requests,
  retrieveCall,
  sessionCall,
} from "./calls.js";
import { checkContent } from "./check-status.js";
import {
  createSession,
  finish,
  getName,
  lowestFree,
  mostFiles,
  mostSessions,
  openDevice,
  perBlock,
  preserve,
  putIncoming,
  putOutgoing,
  requestIncoming,
  requestOutgoing,
  retrieveFile,
  retrieveSession,
  type Wrong,
} from "./luo.js";
import { since } from "./releases.js";
import { hasLuo, type Model, nextId, type Trait } from "./state.js";
import { both, descriptors, fault, pick, rarely, type Step, step, type Where } from "./step.js";
import { addToy, closeBoth, filledMemfd } from "./steps-files.js";
import { type AllocationFault, resultOf, type World } from "./world.js";

const process = fc.constantFrom(0, 0, 0, 0, 1, 1, 2);
const nat = fc.nat({ max: 1000 });
/** One character per byte; some are too long, one is the other's beginning. */
const name = fc.constantFrom(
  "a",
  "a",
  "b",
  "b",
  "c",
  "vm-0",
  "\xff\xfe",
  "",
  "x".repeat(63),
  "x".repeat(64),
  "x".repeat(63).concat("y"),
);
const token = fc.constantFrom(0n, 1n, 1n, 2n, 3n, 4n, 5n, 0xffff_ffff_ffff_ffffn);
const unwritable = rarely;

/** Mostly nothing. */
const wrong: fc.Arbitrary<Wrong> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({}) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Wrong>(
      { unwritable: true },
      { flbPreserve: "f1" },
      { flbPreserve: "f2" },
      { toyPreserve: true },
    ),
  },
);

const devices = (m: Model) => descriptors(m, "device");
const sessions = (m: Model) => descriptors(m, "session");
const field = (text: string): string => Buffer.from(nameField(text)).toString("latin1");

/** Few, as there is one allocation for each session. */
const openFault: fc.Arbitrary<AllocationFault | undefined> = fc.option(
  fc.record({ after: fc.nat({ max: 2 }), forGood: fc.boolean() }),
  { freq: 2, nil: undefined },
);

const open = step(
  "open device",
  fc.record({ p: process, fault: openFault }),
  hasLuo,
  ({ m }, world, args) => {
    openBoth(m, world, args.p, args.fault);
  },
);

/** The errno of both sides. */
function openBoth(m: Model, world: World, p: number, wrong?: AllocationFault): string {
  world.asked = 0;
  world.failed = [];
  world.allocationFault = wrong;
  const result = resultOf(() => world.processes[p]!.openLiveUpdate());
  world.allocationFault = undefined;
  // Each session takes one allocation, and the first that fails ends it.
  expect(result).toBe(openDevice(m, m.processes[p]!, world.failed[0]?.at));
  return result;
}

const create = step(
  "create session",
  fc.record({ n: nat, name, unwritable, fault }),
  (m) => devices(m).length > 0,
  ({ m }, world, { n, name: text, unwritable: wrong, fault: allocation }) => {
    const { p, fd } = pick(devices(m), n);
    createBoth(m, world, p, fd, text, { unwritable: wrong }, allocation);
  },
);

function createBoth(
  m: Model,
  world: World,
  p: number,
  device: number,
  text: string,
  wrong: Wrong,
  allocation?: Parameters<typeof both>[4],
): string {
  const process = m.processes[p]!;
  const expected = lowestFree(process);
  return both(
    m,
    world,
    () => {
      const fd = sessionCall(world.processes[p]!, device, "create", text, wrong.unwritable);
      expect(fd).toBe(expected);
    },
    () => createSession(m, process, field(text), wrong),
    allocation,
  );
}

/** Up to where a list of sessions is full, and one more name that is taken. */
const createMany = step(
  "create many sessions",
  fc.record({ n: nat, goal: fc.integer({ min: 0, max: 3 }), duplicate: fc.boolean() }),
  (m, { goal }) => devices(m).length > 0 && (m.pageSize === 4096 || (goal < 3 && since(m.release, "7.2.13"))),
  ({ m }, world, { n, goal, duplicate }) => {
    const { p, fd } = pick(devices(m), n);
    const block = perBlock(m, "session");
    const until = since(m.release, "7.2.13")
      ? [block - 1, block, block + 1, 2 * block][goal]!
      : goal === 3
        ? mostSessions(m) + 1
        : 20;
    for (let i = 0; m.outgoing.length < until; i++) {
      const result = createBoth(m, world, p, fd, `n${i}`, {});
      if (result !== "ok" && result !== "EEXIST") break;
    }
    if (duplicate && m.outgoing.length > 0) createBoth(m, world, p, fd, m.outgoing[0]!.name, {});
  },
);

const retrieve = step(
  "retrieve session",
  fc.record({ n: nat, which: nat, name: fc.option(name, { freq: 2 }), unwritable }),
  (m) => devices(m).length > 0,
  ({ m }, world, { n, which, name: given, unwritable: wrong }) => {
    const { p, fd } = pick(devices(m), n);
    const text = given ?? (m.incoming.length > 0 ? pick(m.incoming, which).name : "none");
    const process = m.processes[p]!;
    const expected = lowestFree(process);
    both(
      m,
      world,
      () => expect(sessionCall(world.processes[p]!, fd, "retrieveSession", text, wrong)).toBe(expected),
      () => retrieveSession(m, process, field(text), { unwritable: wrong }),
    );
  },
);

const preserveOne = step(
  "preserve",
  fc.record({
    n: nat,
    file: nat,
    token,
    odd: fc.constantFrom("no", "no", "no", "no", "no", "no", "no", "no", "device", "session", "closed"),
    wrong,
    fault,
  }),
  (m) => sessions(m).length > 0,
  ({ m }, world, { n, file, token: asked, odd, wrong, fault: allocation }) => {
    // Before 7.1 an incoming session takes files that nobody gives back; what comes of that is not told.
    const where = pick(sessions(m), n);
    const { p, fd } = where;
    const { session } = where.open;
    const unsafe = session.kind === "incoming" && !since(m.release, "7.1.13");
    const files = descriptors(m, "file").filter((other) => other.p === p);
    const device = devices(m).find((other) => other.p === p);
    let given = 9999;
    if (odd === "session") given = fd;
    else if (odd === "device" && device) given = device.fd;
    else if (odd !== "closed" && files.length > 0) given = pick(files, file).fd;
    if (unsafe) given = 9999;
    preserveBoth(m, world, where, given, asked, wrong, allocation);
  },
);

function preserveBoth(
  m: Model,
  world: World,
  { p, fd, open: { session } }: ReturnType<typeof sessions>[number],
  given: number,
  asked: bigint,
  wrong: Wrong,
  allocation?: Parameters<typeof both>[4],
): string {
  const open = m.processes[p]!.fds.get(given);
  const before = open?.kind === "file" ? open.inode.preserved : 0;
  const { script } = world;
  if (wrong.flbPreserve) script.flbPreserve = wrong.flbPreserve;
  if (wrong.toyPreserve) script.toyPreserve = true;
  const result = both(
    m,
    world,
    () => preserveCall(world.processes[p]!, fd, given, asked, wrong.unwritable),
    () => preserve(m, session, open, asked, wrong),
    allocation,
  );
  delete script.flbPreserve;
  delete script.toyPreserve;
  // Before 7.1 a memfd can be preserved twice. Once one of both is given back, or fails half way, the other is damaged:
  // nobody should, and here everything of it is given back.
  const twice = open?.kind === "file" && open.inode.type === "memfd" && before > 0;
  if (twice && !since(m.release, "7.1.13") && ["ok", "EFAULT", "ENOMEM"].includes(result))
    for (const other of m.outgoing.filter(({ files }) =>
      files.some(({ file }) => file!.inode === open.inode),
    ))
      for (const found of sessions(m).filter(({ open: { session: one } }) => one === other))
        closeBoth(m, world, found.p, found.fd);
  return result;
}

/** Up to where a session is full. */
const preserveMany = step(
  "preserve many",
  fc.record({ n: nat, goal: fc.integer({ min: 0, max: 4 }) }),
  (m, { goal }) => sessions(m).length > 0 && (m.pageSize === 4096 || goal < 1),
  ({ m }, world, { n, goal }) => {
    const where = pick(sessions(m), n);
    const { p, open } = where;
    const { session } = open;
    if (session.kind === "incoming") return;
    const block = perBlock(m, "file");
    const until = m.pageSize > 4096 ? 9 : [7, block - 1, block, block + 1, mostFiles(m) + 1][goal]!;
    for (let i = 0; session.files.length < until; i++) {
      const fd = lowestFree(m.processes[p]!);
      if (fd === undefined) return;
      addToy(m, world, p, { type: "lone", trait: "plain", order: 0, value: i });
      const result = preserveBoth(m, world, where, fd, 1000n + BigInt(i), {});
      closeBoth(m, world, p, fd);
      if (result !== "ok" && result !== "EEXIST") return;
    }
  },
);

const retrieveOne = step(
  "retrieve",
  fc.record({ n: nat, which: nat, token: fc.option(token, { freq: 3 }), unwritable }),
  (m) => sessions(m).length > 0,
  ({ m }, world, { n, which, token: given, unwritable: wrong }) => {
    const { p, fd, open: on } = pick(preferring(m, "incoming"), n);
    const { session } = on;
    // Before 7.1 an outgoing session would retrieve its own files; what comes of that is not told.
    const unsafe = session.kind === "outgoing" && !since(m.release, "7.1.13");
    const asked = unsafe
      ? 777n
      : (given ?? (session.files.length > 0 ? pick(session.files, which).token : 777n));
    const process = m.processes[p]!;
    const expected = lowestFree(process);
    const result = both(
      m,
      world,
      () => expect(retrieveCall(world.processes[p]!, fd, asked, wrong)).toBe(expected),
      () => retrieveFile(m, process, session, asked, { unwritable: wrong }),
    );
    const file = process.fds.get(expected ?? -1);
    if (result === "ok" && file?.kind === "file" && file.inode.type === "memfd")
      checkContent(file.inode, world.processes[p]!.file(expected!) as MemfdFile, m.pageSize);
  },
);

/** All descriptors of sessions, those of one kind thrice. */
const preferring = (m: Model, kind: "incoming" | "outgoing") => {
  const all = sessions(m);
  const preferred = all.filter(({ open: { session } }) => session.kind === kind);
  return [...preferred, ...preferred, ...preferred, ...all];
};

const finishOne = step(
  "finish",
  fc.record({ n: nat, reserved: fc.constantFrom(0, 0, 0, 0, 1), unwritable }),
  (m) => sessions(m).length > 0,
  ({ m }, world, { n, reserved, unwritable: wrong }) => {
    const { p, fd, open: on } = pick(preferring(m, "incoming"), n);
    const { session } = on;
    // Before 7.1 an outgoing session can be finished, and forgets its files.
    if (session.kind === "outgoing" && session.files.length > 0 && !since(m.release, "7.1.13")) return;
    both(
      m,
      world,
      () => finishCall(world.processes[p]!, fd, reserved, wrong),
      () => finish(m, session, reserved, { unwritable: wrong }),
    );
  },
);

const askName = step(
  "get name",
  fc.record({ n: nat, reserved: fc.constantFrom(0, 0, 1), unwritable }),
  (m) => sessions(m).length > 0,
  ({ m }, world, { n, reserved, unwritable: wrong }) => {
    const { p, fd, open: on } = pick(sessions(m), n);
    both(
      m,
      world,
      () => expect(getNameCall(world.processes[p]!, fd, reserved, wrong)).toBe(on.session.name),
      () => getName(m, reserved, { unwritable: wrong }),
    );
  },
);

/** A session is closed for good: by every process that has it. */
const closeSession = step(
  "close session",
  fc.record({ n: nat }),
  (m) => sessions(m).length > 0,
  ({ m }, world, { n }) => {
    const { session } = pick(sessions(m), n).open;
    for (const { p, fd } of sessions(m).filter(({ open: { session: other } }) => other === session))
      closeBoth(m, world, p, fd);
  },
);

/** Calls that no file takes as they are: the common checks, in their order. */
const illegal = step(
  "illegal call",
  fc.record({
    n: nat,
    nr: fc.constantFrom(0x00, 0x01, 0x02, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44),
    fault: fc.constantFrom(
      "no argument" as const,
      "short" as const,
      "type" as const,
      "small" as const,
      "surplus" as const,
    ),
  }),
  (m) => m.processes.some(({ fds }) => fds.size > 0),
  ({ m }, world, { n, nr, fault: kind }) => {
    const all: Where[] = [...devices(m), ...sessions(m), ...descriptors(m, "file")];
    const { p, fd, open: on } = pick(all, n);
    const least: Record<number, number> =
      on.kind === "device"
        ? { 0: 72, 1: 72 }
        : { 64: 16, 65: 16, 66: 8, ...(since(m.release, "7.2.13") && { 67: 72 }) };
    const size = least[nr] ?? 8;
    const bytes = new Uint8Array(kind === "surplus" ? size + 8 : size).fill(kind === "surplus" ? 1 : 0);
    new DataView(bytes.buffer).setUint32(
      0,
      kind === "small" ? size - 1 : kind === "surplus" ? size + 8 : size,
      true,
    );
    const argument = kind === "no argument" ? undefined : kind === "short" ? bytes.subarray(0, 3) : bytes;
    const request = kind === "type" ? 0xbb00 | nr : (requests.create & ~0xff) | nr;
    const expected = (): string => {
      if (on.kind === "file") return "ENOTTY";
      if (least[nr] === undefined) return "EINVAL";
      if (kind === "no argument" || kind === "short") return "EFAULT";
      if (kind === "type") return "ENOTTY";
      const kinds: Record<number, string> = { 64: "outgoing", 65: "incoming", 66: "incoming" };
      const wrong = on.kind === "session" && kinds[nr] !== undefined && kinds[nr] !== on.session.kind;
      if (wrong && since(m.release, "7.1.13")) return "EINVAL";
      return kind === "small" ? "EINVAL" : "E2BIG";
    };
    both(m, world, () => world.processes[p]!.ioctl(fd, request, argument), expected);
  },
);

const flbRequest = step(
  "request FLB",
  fc.record({
    which: fc.nat({ max: 1 }),
    what: fc.constantFrom("in", "in", "put in", "out", "put out"),
    refuse: rarely,
  }),
  (m, { what, which }) => {
    const flb = m.flbs[which];
    if (!flb) return false;
    return what === "put in" ? flb.heldIn > 0 : what === "put out" ? flb.heldOut > 0 : true;
  },
  ({ m }, world, { which, what, refuse }) => {
    const flb = m.flbs[which]!;
    const real = world.flbs[which]!;
    const { luo } = world.machine;
    const wrong: Wrong = refuse ? { flbRetrieve: flb.name } : {};
    if (what === "in") {
      if (refuse) world.script.flbRetrieve = flb.name;
      both(
        m,
        world,
        () => expect(luo.incomingFlb(real)).toBe(`${flb.name} in`),
        () => requestIncoming(m, flb, wrong),
      );
      delete world.script.flbRetrieve;
    } else if (what === "put in") {
      luo.putIncomingFlb(real);
      putIncoming(m, flb);
    } else if (what === "out") {
      const held = flb.count > 0;
      both(
        m,
        world,
        () => expect(luo.outgoingFlb(real)).toBe(held ? `${flb.name} out` : undefined),
        () => requestOutgoing(m, flb),
      );
    } else {
      luo.putOutgoingFlb(real);
      putOutgoing(m, flb);
    }
  },
);

/** A session with files: so that there is mostly something to hand over. */
const agent = step(
  "agent",
  fc.record({
    openFault,
    taken: rarely,
    files: fc.array(
      fc.record({
        wrong,
        fault,
        n: fc.integer({ min: 0, max: 6 }),
        toy: fc.boolean(),
        trait: fc.constantFrom<Trait[]>("plain", "plain", "stubborn", "stubborn", "broken"),
        old: fc.boolean(),
      }),
      {
        minLength: 1,
        maxLength: 4,
      },
    ),
    token,
  }),
  (m) => hasLuo(m) && m.opened !== "failed",
  ({ m }, world, { openFault: opening, taken, files, token: first }) => {
    if (devices(m).length === 0 && openBoth(m, world, 0, opening) !== "ok") return;
    const device = devices(m)[0]!;
    const { p } = device;
    const at = lowestFree(m.processes[p]!);
    const text = taken ? "a" : `agent ${nextId()}`;
    if (createBoth(m, world, p, device.fd, text, {}) !== "ok") return;
    const where = sessions(m).find((one) => one.p === p && one.fd === at)!;
    for (const [i, { n, toy, trait, old, wrong, fault: allocation }] of files.entries()) {
      if (lowestFree(m.processes[p]!) === undefined) return;
      const there = descriptors(m, "file").filter((other) => other.p === p);
      const fd =
        old && there.length > 0
          ? there.at(-1 - (n % there.length))!.fd
          : toy
            ? addToy(m, world, p, { type: n % 3 === 0 ? "lone" : "toy", trait, order: n % 2, value: n })
            : filledMemfd(m, world, p, n);
      preserveBoth(m, world, where, fd, BigInt.asUintN(64, first + BigInt(i)), wrong, allocation);
      if (m.processes[p]!.fds.get(where.fd) !== where.open) return;
    }
  },
);

/** Requests every FLB, and gives it back. */
function askForFlbs(m: Model, world: World, refuse: boolean): void {
  const { luo } = world.machine;
  for (const [i, flb] of m.flbs.entries())
    for (const refused of refuse ? [true, false] : [false]) {
      const held = flb.heldIn;
      if (refused) world.script.flbRetrieve = flb.name;
      both(
        m,
        world,
        () => expect(luo.incomingFlb(world.flbs[i]!)).toBe(`${flb.name} in`),
        () => requestIncoming(m, flb, refused ? { flbRetrieve: flb.name } : {}),
      );
      delete world.script.flbRetrieve;
      if (flb.heldIn === held) continue;
      luo.putIncomingFlb(world.flbs[i]!);
      putIncoming(m, flb);
    }
}

/** Takes every session and every file that can be had. */
const restoreAll = step(
  "restore all",
  fc.record({
    finish: fc.boolean(),
    flbs: fc.constantFrom("none", "all", "refused first"),
    every: fc.constantFrom(1, 1, 2, 5),
    ends: fc.boolean(),
    fault: openFault,
  }),
  (m) => hasLuo(m) && m.opened !== "failed",
  ({ m }, world, { finish: finishes, flbs, every, ends, fault: first }) => {
    if (flbs !== "none") askForFlbs(m, world, flbs === "refused first");
    if (devices(m).length === 0 && openBoth(m, world, 0, first) !== "ok") return;
    const device = devices(m)[0]!;
    const process = m.processes[device.p]!;
    for (const session of m.incoming.filter(({ retrieved }) => !retrieved)) {
      const fd = lowestFree(process);
      if (fd === undefined) return;
      both(
        m,
        world,
        () => sessionCall(world.processes[device.p]!, device.fd, "retrieveSession", session.name),
        () => retrieveSession(m, process, field(session.name), {}),
      );
      for (const { token: one } of session.files.filter((_, i) => i % every === 0)) {
        const at = lowestFree(process);
        if (at === undefined) return;
        const result = both(
          m,
          world,
          () => expect(retrieveCall(world.processes[device.p]!, fd, one)).toBe(at),
          () => retrieveFile(m, process, session, one, {}),
        );
        const file = process.fds.get(at);
        if (result === "ok" && file?.kind === "file" && file.inode.type === "memfd")
          checkContent(file.inode, world.processes[device.p]!.file(at) as MemfdFile, m.pageSize);
      }
      if (finishes)
        both(
          m,
          world,
          () => finishCall(world.processes[device.p]!, fd, 0),
          () => finish(m, session, 0, {}),
        );
      if (ends) closeBoth(m, world, device.p, fd);
    }
    if (flbs !== "none") askForFlbs(m, world, false);
  },
);

export const luoSteps: readonly fc.Arbitrary<Step>[] = [
  open,
  open,
  open,
  create,
  create,
  create,
  retrieve,
  retrieve,
  preserveOne,
  preserveOne,
  preserveOne,
  preserveOne,
  retrieveOne,
  retrieveOne,
  retrieveOne,
  finishOne,
  finishOne,
  askName,
  closeSession,
  illegal,
  flbRequest,
  flbRequest,
  flbRequest,
  flbRequest,
  agent,
  agent,
  agent,
  agent,
  agent,
  restoreAll,
  restoreAll,
  restoreAll,
  closeSession,
];

/** These are slow. */
export const bulkSteps: readonly fc.Arbitrary<Step>[] = [createMany, preserveMany];
