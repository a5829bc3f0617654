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
import { putIncoming, putOutgoing, requestIncoming, requestOutgoing } from "./flbs.js";
import {
  createSession,
  finish,
  getName,
  lowestFree,
  openDevice,
  preserve,
  retrieveFile,
  retrieveSession,
  type Wrong,
} from "./luo.js";
import { since } from "./releases.js";
import { hasLuo, type Model } from "./state.js";
import { both, descriptors, fault, pick, rarely, type Step, step, type Where } from "./step.js";
import { closeBoth } from "./steps-files.js";
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
export const token = fc.constantFrom(0n, 1n, 1n, 2n, 3n, 4n, 5n, 0xffff_ffff_ffff_ffffn);
const unwritable = rarely;

/** Mostly nothing. */
export const wrong: fc.Arbitrary<Wrong> = fc.oneof(
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

export const devices = (m: Model) => descriptors(m, "device");
export const sessions = (m: Model) => descriptors(m, "session");
export const field = (text: string): string => Buffer.from(nameField(text)).toString("latin1");

/** Few, as there is one allocation for each session. */
export const openFault: fc.Arbitrary<AllocationFault | undefined> = fc.option(
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
export function openBoth(m: Model, world: World, p: number, wrong?: AllocationFault): string {
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

export function createBoth(
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

export function preserveBoth(
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
  closeSession,
];
