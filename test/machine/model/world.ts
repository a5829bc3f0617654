/** The real side: a simulated machine, the processes on it, and what is to go wrong. */
import { buildSequential } from "../../../formats/fdt/build.js";
import {
  attempt,
  type Departure,
  type Faults,
  type Flb,
  Machine,
  type MemfdFile,
  type Process,
  refusal,
} from "../../../src/machine/index.js";
import { physAddr } from "../../../src/memory/index.js";
import type { Release } from "./releases.js";
import { limits, type Model, type ModelInode } from "./state.js";
import { lateHandler, type Script, toyFlb, toyHandler } from "./toys.js";

/** Which allocations of one command fail. */
export interface AllocationFault {
  /** How many go well before. */
  readonly after: number;
  /** True if all later ones fail, too. */
  readonly forGood: boolean;
}

export interface World {
  machine: Machine;
  processes: Process[];
  flbs: Flb[];
  readonly script: Script;
  /** Inodes of memfds, once they were seen behind a descriptor. */
  readonly memfds: Map<ModelInode, MemfdFile["inode"]>;
  allocationFault?: AllocationFault | undefined;
  freezeFault?: { readonly session: string; readonly token: bigint } | undefined;
  /** Allocations of this command that were asked for, and those that failed. */
  asked: number;
  failed: { readonly what: string; readonly at: number }[];
  readonly faults: Faults;
  /** Trees that notifiers of 6.16 to 6.18 hand over, and whether one refuses. */
  trees: { readonly name: string; readonly pfn: number }[];
  notifierRefuses: boolean;
  /** Pages that firmware and kernel keep for themselves, and those of the map when they were counted last. */
  base: Map<string, number>;
  mapPages: number;
}

/** A region that every kernel of the test reserves, in pages. */
export const region = { name: "r1", pages: 3 };

export const optionsOf = (release: Release, { faults }: Pick<World, "faults">, pageSize: number) => ({
  release,
  faults,
  reserveMem: [{ name: region.name, size: region.pages * pageSize }],
});

export function newWorld(release: Release, pageSize: number): World {
  const world: Omit<World, "machine"> & Partial<World> = {
    processes: [],
    flbs: [],
    script: { events: [] },
    memfds: new Map(),
    asked: 0,
    failed: [],
    faults: {
      allocation(what) {
        const at = world.asked++;
        const { allocationFault: fault } = world;
        const fails = fault !== undefined && (at === fault.after || (fault.forGood && at > fault.after));
        if (fails) world.failed.push({ what, at });
        return fails;
      },
      freeze: (session, token) =>
        world.freezeFault?.session === session && world.freezeFault.token === token ? "EIO" : undefined,
    },
    trees: [],
    notifierRefuses: false,
    base: new Map(),
    mapPages: 0,
  };
  const machine = Machine.boot({ ...optionsOf(release, world, pageSize), pageSize });
  const started: World = Object.assign(world, { machine });
  settle(started);
  return started;
}

/** Gives a kernel that has booted its handlers and processes. */
export function settle(world: World): void {
  const { machine, script } = world;
  world.processes = limits.map((descriptors) => machine.process({ descriptors }));
  world.memfds.clear();
  world.trees = [];
  world.flbs = [];
  world.mapPages = 0;
  world.base = new Map();
  for (const { owner, pages } of machine.core.pages.holdings())
    if (owner === "firmware" || owner === "kernel")
      world.base.set(owner, (world.base.get(owner) ?? 0) + pages);
  if (!machine.kernel.luo) {
    notify(world);
    return;
  }
  const [toy, lone] = [toyHandler("toy", script), toyHandler("lone", script)];
  machine.registerFileHandler(toy);
  machine.registerFileHandler(lone);
  machine.registerFileHandler(lateHandler());
  if (!machine.kernel.flb) return;
  const [f1, f2] = [toyFlb("f1", script), toyFlb("f2", script)];
  world.flbs = [f1, f2];
  machine.registerFlb(f1, toy);
  machine.registerFlb(f2, toy);
  machine.registerFlb(f2, lone);
  machine.registerFlb(f1, lone);
  machine.registerFlb(f1);
}

/** Subtrees of 6.16 to 6.18 are added while these finalize. */
function notify(world: World): void {
  const { kho, hardware } = world.machine;
  kho.onFinalize(() => {
    if (world.notifierRefuses) throw refusal("ENODEV", "as told");
    for (const { name, pfn } of world.trees) {
      kho.preserveFolio(pfn, 0);
      kho.addSubtree(name, physAddr(BigInt(pfn * hardware.abi.pageSize)), emptyTree.length);
    }
  });
}

/** A tree without properties, for subtrees of whose content nobody knows anything. */
export const emptyTree: Uint8Array = buildSequential({ name: "", properties: [], children: [] });

/** Switches a new machine on. */
export function reboot(world: World, { release, pageSize }: Pick<Model, "release" | "pageSize">): void {
  world.machine = Machine.boot({ ...optionsOf(release, world, pageSize), pageSize });
  settle(world);
}

export function arrive(world: World, departure: Departure, release: Release): Machine {
  return Machine.arrive(departure, optionsOf(release, world, departure.hardware.abi.pageSize));
}

/** The errno of a call, or `ok`. */
export function resultOf(call: () => unknown): string {
  const result = attempt(call);
  return "errno" in result ? result.errno : "ok";
}
