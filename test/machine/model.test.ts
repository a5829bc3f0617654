/**
 * Random sequences of calls, legal and illegal, on every release: each answers as a plain model of spec/luo-machine says,
 * what is handed over is what the model has, and no page is lost. KHO_MODEL_RUNS multiplies the number of sequences.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { checkOwners, checkPartition } from "./model/check-pages.js";
import { type Release, releases, since } from "./model/releases.js";
import { newModel, restartIds } from "./model/state.js";
import { type Box, begin, type Step, verify } from "./model/step.js";
import { agentSteps, bulkSteps } from "./model/steps-agents.js";
import { driverSteps, finalizeBoth, freeItem } from "./model/steps-driver.js";
import { exitBoth, fileSteps } from "./model/steps-files.js";
import { jump, kexecSteps } from "./model/steps-kexec.js";
import { luoSteps } from "./model/steps-luo.js";
import { newWorld, type World } from "./model/world.js";

const factor = Number(process.env.KHO_MODEL_RUNS ?? 1);

/** Everybody goes, and everything that is left is what a kernel needs or what nobody took. */
function wrapUp(box: Box, world: World): void {
  begin(box, world);
  const { m } = box;
  for (const p of m.processes.keys()) exitBoth(m, world, p);
  for (const flb of m.flbs)
    for (let i = world.flbs.findIndex(({ name }) => name === flb.name); flb.heldOut > 0; flb.heldOut--) {
      world.machine.luo.putOutgoingFlb(world.flbs[i]!);
      if (--flb.count === 0) m.events.push(`${flb.name} unpreserve`);
    }
  verify(m, world);
  expect(m.outgoing).toEqual([]);
  if (!since(m.release, "6.19.10") && m.finalized) finalizeBoth(m, world, false);
  for (const item of [...m.items])
    if (item.kind !== "own" && !item.preserved && !item.subtree) freeItem(m, world, item);
  checkPartition(world);
  checkOwners(m, world);
  // Nothing of it is handed over.
  begin(box, world);
  if (!since(m.release, "6.19.10")) finalizeBoth(m, world, true);
  world.machine.load();
  m.loaded = true;
  jump(box, world, m.release);
  checkOwners(box.m, world);
}

/** Commands, as often as there are to be many of them. */
const commandsOf = (release: Release): fc.Arbitrary<Iterable<Step>> => {
  const steps = since(release, "6.19.10")
    ? [
        ...luoSteps,
        ...luoSteps,
        ...agentSteps,
        ...agentSteps,
        ...bulkSteps,
        ...fileSteps,
        ...fileSteps,
        ...kexecSteps,
        ...driverSteps,
      ]
    : [...driverSteps, ...driverSteps, ...kexecSteps, ...fileSteps];
  return fc.commands(steps, { maxCommands: 150, size: "max" });
};

const timeout = 60_000 * Math.max(factor, 1);

it.each(releases)("Linux %s does as the model says", { timeout }, (release) => {
  const pageSize = fc.constantFrom(4096, 4096, 4096, 4096, 16384, 65536);
  fc.assert(
    fc.property(pageSize, commandsOf(release), (page, commands) => {
      restartIds();
      const box: Box = { m: newModel(release, page) };
      const world = newWorld(release, page);
      fc.modelRun(() => ({ model: box, real: world }), commands);
      wrapUp(box, world);
    }),
    { numRuns: (since(release, "6.19.10") ? 25 : 10) * factor },
  );
});
