/** Whole pieces of work, made of the calls of single commands: so that runs get far, and lists get full. */
import fc from "fast-check";
import { expect } from "vitest";
import type { MemfdFile } from "../../../src/machine/index.js";
import { finishCall, retrieveCall, sessionCall } from "./calls.js";
import { checkContent } from "./check-status.js";
import { putIncoming, requestIncoming } from "./flbs.js";
import {
  finish,
  lowestFree,
  mostFiles,
  mostSessions,
  perBlock,
  retrieveFile,
  retrieveSession,
} from "./luo.js";
import { since } from "./releases.js";
import { hasLuo, type Model, nextId, type Trait } from "./state.js";
import { both, descriptors, fault, pick, rarely, type Step, step } from "./step.js";
import { addToy, closeBoth, filledMemfd } from "./steps-files.js";
import { jump } from "./steps-kexec.js";
import {
  createBoth,
  devices,
  field,
  openBoth,
  openFault,
  preserveBoth,
  sessions,
  token,
  wrong,
} from "./steps-luo.js";
import type { World } from "./world.js";

const nat = fc.nat({ max: 1000 });

/** Up to where a list of sessions is full, and one more name that is taken, which is how an empty block is left behind. */
const createMany = step(
  "create many sessions",
  fc.record({ n: nat, goal: fc.integer({ min: 0, max: 3 }), duplicate: fc.boolean(), leaves: fc.boolean() }),
  (m, { goal }) => devices(m).length > 0 && (m.pageSize === 4096 || (goal < 3 && since(m.release, "7.2.13"))),
  (box, world, { n, goal, duplicate, leaves }) => {
    const { m } = box;
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
    if (leaves) jump(box, world, m.release);
  },
);

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
            ? addToy(m, world, p, { type: n === 3 ? "lone" : "toy", trait, order: n % 2, value: n })
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
    every: fc.constantFrom(1, 2, 1, 5),
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
      for (const { token: one } of session.files.filter((_, i) => (i + 1) % every === 0)) {
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

export const agentSteps: readonly fc.Arbitrary<Step>[] = [
  agent,
  agent,
  agent,
  agent,
  agent,
  restoreAll,
  restoreAll,
  restoreAll,
];

/** These are slow. */
export const bulkSteps: readonly fc.Arbitrary<Step>[] = [createMany, preserveMany];
