/** Reboots: refused ones, and those into another kernel. */
import fc from "fast-check";
import { expect } from "vitest";
import { physAddr } from "../../../src/memory/index.js";
import { checkDeparture, hasEmptyBlock } from "./check-bytes.js";
import { freezeAll, handedOver } from "./reboot.js";
import { fateOf, misread, type Release, releases, since } from "./releases.js";
import { hasLuo, type Inherited, type Model, newModel } from "./state.js";
import { type Box, fault, rarely, type Step, step } from "./step.js";
import { arrive, reboot, resultOf, settle, type World } from "./world.js";

const nat = fc.nat({ max: 1000 });

/** A freeze fails, and everything goes on. */
const refused = step(
  "reboot with a freeze that fails",
  fc.record({ session: nat, file: nat, last: fc.boolean(), byHandler: fc.boolean() }),
  (m) => m.outgoing.some(({ files }) => files.length > 0),
  ({ m }, world, { session: n, file: k, last, byHandler }) => {
    const filled = [...m.outgoing.entries()].filter(([, { files }]) => files.length > 0);
    let [s, session] = last ? filled.at(-1)! : filled[n % filled.length]!;
    // Who comes last has most that is unfrozen again.
    let f = last ? session.files.length - 1 : k % session.files.length;
    const { inode } = session.files[f]!.file!;
    const own = byHandler && inode.type === "toy";
    if (own) {
      // Of a toy that is preserved twice, before 7.1, the first one is frozen first.
      [s, session] = filled.find(([, { files }]) =>
        files.some(({ file }) => file!.inode.id === inode.id && file!.inode.type === "toy"),
      )!;
      f = session.files.findIndex(({ file }) => file!.inode.id === inode.id && file!.inode.type === "toy");
      world.script.toyFreeze = inode.id;
    } else world.freezeFault = { session: textOf(world, s), token: session.files[f]!.token };
    expect(resultOf(() => world.machine.leave())).toBe(own ? "ENODATA" : "EIO");
    expect(freezeAll(m, { session: s, file: f, byHandler: own })).toBe(false);
    if (m.loaded === undefined) m.loaded = true;
  },
);

/** A session's name as the machine says it. */
const textOf = ({ machine }: World, s: number): string => machine.luo.sessions("outgoing")[s]!.name;

const kexec = step(
  "kexec",
  fc.record({ far: rarely, to: nat, fault }),
  (m, { to, far }) => !misread(m.release, target(m, to, far)),
  (box, world, { to, far, fault: wrong }) => jump(box, world, target(box.m, to, far), wrong),
);

/** Mostly a release that takes the handover. */
function target({ release }: Model, n: number, far: boolean): Release {
  const near = releases.filter((other) => fateOf(release, other) === "received");
  return far ? releases[n % releases.length]! : near[n % near.length]!;
}

/** Leaves, looks at what is in memory, and boots the other kernel. */
export function jump(box: Box, world: World, to: Release, wrong?: World["allocationFault"]): void {
  const { m } = box;
  const { core, regions } = world.machine;
  const { pageSize } = m;
  const handed = since(m.release, "6.19.10") || (m.loaded ?? m.finalized);
  const tag = Uint8Array.from({ length: 8 }, (_, i) => (m.kexecCount * 31 + i) & 0xff);
  core.ram.write(regions[0]!.start, tag);

  world.allocationFault = wrong;
  let departure!: ReturnType<World["machine"]["leave"]>;
  const result = resultOf(() => {
    departure = world.machine.leave();
  });
  world.allocationFault = undefined;
  freezeAll(m);
  if (result !== "ok") {
    // Only finalizing takes memory that late, and files stay frozen then.
    expect({ result, failed: world.failed.length > 0, finalizes: !since(m.release, "7.1.13") }).toEqual({
      result: "EAGAIN",
      failed: true,
      finalizes: true,
    });
    return;
  }
  expect(world.failed).toEqual([]);
  expect(world.script.events, "callbacks at the jump").toEqual(m.events);

  const sessions = handedOver(m);
  expect(departure.handoff !== undefined).toBe(handed);
  const labels = handed
    ? checkDeparture(m, sessions, departure, core.pages.holdings())
    : new Map<string, number>();
  const empty = hasLuo(m) && since(m.release, "7.2.13") && hasEmptyBlock(m);
  const compatible = handed ? fateOf(m.release, to) : "cold";
  const fate = compatible === "received" && empty ? "panic" : compatible;
  world.machine = arrive(world, departure, to);
  expect(world.machine.outcome.kind).toBe(fate);
  if (fate === "panic") reboot(world, { release: to, pageSize });
  else settle(world);
  box.m =
    fate === "received" ? newModel(to, pageSize, inherited(m, to, sessions, labels)) : newModel(to, pageSize);

  const [region] = world.machine.regions;
  expect(region!.revived).toBe(fate === "received");
  if (fate === "received") expect([...world.machine.memory.read(region!.start, 8)]).toEqual([...tag]);
  world.script.events.length = 0;
}

/** What a kernel finds that receives. */
function inherited(
  m: Model,
  to: Release,
  sessions: ReturnType<typeof handedOver>,
  received: Map<string, number>,
): Inherited {
  const luo = hasLuo(m) && since(to, "6.19.10");
  // The region is taken over at boot, and live update's root is given back.
  received.delete("reserve_mem r1");
  if (since(to, "7.2.13")) received.delete("subtrees.LUO");
  const flbs = since(m.release, "7.0") && since(to, "7.0");
  return {
    received,
    waiting: luo ? sessions : [],
    number: luo ? m.number + 1n : 1n,
    kexecCount: since(m.release, "7.1.13") && since(to, "7.1.13") ? m.kexecCount + 1 : 1,
    ...(flbs && {
      flbsReceived: new Map(m.flbs.filter(({ count }) => count > 0).map(({ name, count }) => [name, count])),
    }),
    itemsReceived: m.items.filter(({ preserved }) => preserved),
    areas: new Map(m.areas),
    subtreesReceived: new Map(
      m.items.flatMap(({ subtree, blocks }) =>
        subtree ? [[subtree, Number(physAddr(BigInt(blocks[0]!.pfn * m.pageSize)))]] : [],
      ),
    ),
  };
}

export const kexecSteps: readonly fc.Arbitrary<Step>[] = [refused, refused, kexec, kexec, kexec];
