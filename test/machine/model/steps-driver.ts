/** Commands of a kernel driver, and of whoever finalizes: spec/luo-machine, section 7. */
import fc from "fast-check";
import { expect } from "vitest";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { blocksOf, chunksOf } from "./driver.js";
import { since } from "./releases.js";
import { hasLuo, type Item, type Model, nextId } from "./state.js";
import { both, fault, pick, rarely, type Step, step } from "./step.js";
import { emptyTree, resultOf, type World } from "./world.js";

const nat = fc.nat({ max: 1000 });
const always = (): boolean => true;
const paOf = (pfn: number, { pageSize }: Model): PhysAddr => physAddr(BigInt(pfn) * BigInt(pageSize));

/** Writes the item's number into each of its blocks, so that it is known again. */
function tag(m: Model, { machine }: World, { id, kind, blocks }: Item): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, id, true);
  for (const { pfn } of blocks) machine.memory.write(paOf(pfn, m), kind === "blob" ? emptyTree : bytes);
}

function checkTag(m: Model, { machine }: World, { id, kind, blocks }: Item): void {
  for (const { pfn } of blocks) {
    const bytes = machine.memory.read(paOf(pfn, m), kind === "blob" ? emptyTree.length : 4).slice();
    if (kind === "blob") expect(Buffer.compare(bytes, emptyTree)).toBe(0);
    else expect(new DataView(bytes.buffer).getUint32(0, true), `tag at page ${pfn}`).toBe(id);
  }
}

const allocate = step(
  "driver: allocate",
  fc.record({
    kind: fc.constantFrom(
      "folio" as const,
      "range" as const,
      "range" as const,
      "area" as const,
      "blob" as const,
    ),
    order: fc.constantFrom(0, 0, 1, 2, 3, 5, 9),
    skip: fc.nat({ max: 7 }),
    count: fc.constantFrom(1, 2, 3, 7, 510, 511, 512),
  }),
  always,
  ({ m }, world, asked) => {
    newItem(m, world, asked);
  },
);

interface Wanted {
  readonly kind: "folio" | "range" | "area" | "blob";
  readonly order: number;
  readonly skip: number;
  readonly count: number;
}

function newItem(m: Model, world: World, { kind, order, skip, count }: Wanted): Item {
  const { pages } = world.machine.core;
  const id = nextId();
  const take = (of: number) => ({ pfn: pages.allocate(of, `driver ${id}`)! as number, order: of });
  const blocks =
    kind === "area"
      ? Array.from({ length: count }, () => take(order === 2 && count < 10 ? 2 : 0))
      : [take(kind === "blob" ? 0 : order)];
  const [first] = blocks;
  const from = Math.min(skip, 2 ** order - 1);
  const range = { pfn: first!.pfn + from, count: Math.max(1, 2 ** order - from - (skip % 3)) };
  const item: Item = { id, kind, blocks, preserved: false, ...(kind === "range" && { range }) };
  m.items.push(item);
  tag(m, world, item);
  if (kind === "range") stamp(m, world, item);
  return item;
}

/** Of a range the blocks that it is handed over as carry its number. */
const stamp = (m: Model, world: World, item: Item): void =>
  tag(m, world, { ...item, blocks: blocksOf(item.range!.pfn, item.range!.count) });

const allocatePreserved = step(
  "driver: allocate preserved",
  fc.record({ pages: fc.constantFrom(0, 1, 2, 3, 8, 2 ** 14), fault }),
  always,
  ({ m }, world, { pages, fault: wrong }) => {
    const id = nextId();
    let pa = 0n;
    const result = both(
      m,
      world,
      () => {
        pa = world.machine.kho.allocPreserve(pages * m.pageSize, `driver ${id}`);
      },
      () =>
        !since(m.release, "6.19.10")
          ? "EOPNOTSUPP"
          : pages === 0
            ? "EINVAL"
            : pages > 2 ** 13
              ? "E2BIG"
              : "ok",
      wrong,
    );
    if (result !== "ok") return;
    const blocks = [{ pfn: Number(pa) / m.pageSize, order: Math.ceil(Math.log2(pages)) }];
    const item: Item = { id, kind: "own", blocks, preserved: true };
    m.items.push(item);
    tag(m, world, item);
  },
);

const preserve = step(
  "driver: preserve",
  fc.record({ n: nat, fault }),
  ({ items }) => items.length > 0,
  ({ m }, world, { n, fault: wrong }) => {
    const item = pick(m.items, n);
    if (item.kind === "own" || (item.kind === "area" && item.preserved)) return;
    preserveItem(m, world, item, wrong);
  },
);

function preserveItem(m: Model, world: World, item: Item, wrong?: World["allocationFault"]): void {
  const { id, kind, blocks } = item;
  const { kho } = world.machine;
  const [first] = blocks;
  const result = both(
    m,
    world,
    () => {
      if (kind === "range") kho.preservePages(item.range!.pfn, item.range!.count);
      else if (kind !== "area") kho.preserveFolio(first!.pfn, first!.order);
      else {
        const pfns = blocks.map(({ pfn }) => pfn);
        const { first: chunk, total_pages } = kho.preserveVmalloc(pfns, first!.order, "driver area");
        expect(total_pages).toBe(blocks.length * 2 ** first!.order);
        m.areas.set(id, chunk);
      }
    },
    () => {
      if (kind === "area" && !since(m.release, "6.18.15")) return "EOPNOTSUPP";
      return m.finalized ? "EBUSY" : "ok";
    },
    wrong,
  );
  if (result === "ok") item.preserved = true;
}

/** Something of each kind, preserved: so that there is mostly something to hand over. */
const keep = step(
  "driver: keep",
  fc.record({
    order: fc.constantFrom(0, 1, 4),
    count: fc.constantFrom(1, 5, 511),
    skip: fc.nat({ max: 3 }),
    fault,
  }),
  ({ finalized }) => !finalized,
  ({ m }, world, { order, count, skip, fault: wrong }) => {
    for (const kind of ["folio", "range", "area"] as const) {
      if (kind === "area" && !since(m.release, "6.18.15")) continue;
      const item = newItem(m, world, { kind, order: kind === "area" ? 0 : order, skip, count });
      preserveItem(m, world, item, wrong);
    }
  },
);

const descriptorOf = ({ id, blocks }: Item, { areas }: Model) => ({
  first: physAddr(areas.get(id)!),
  total_pages: blocks.length * 2 ** blocks[0]!.order,
  flags: 1,
  order: blocks[0]!.order,
});

const unpreserve = step(
  "driver: unpreserve",
  fc.record({ n: nat }),
  ({ items }) => items.some(({ preserved }) => preserved),
  ({ m }, world, { n }) => {
    const item = pick(
      m.items.filter(({ preserved }) => preserved),
      n,
    );
    const { kind, blocks, range } = item;
    const [first] = blocks;
    const { kho } = world.machine;
    const can = since(m.release, "6.19.10");
    if (item.subtree && can) {
      kho.removeSubtree(paOf(first!.pfn, m));
      delete item.subtree;
    }
    const result = both(
      m,
      world,
      () => {
        if (kind === "range") kho.unpreservePages(range!.pfn, range!.count);
        else if (kind === "area") kho.unpreserveVmalloc(descriptorOf(item, m));
        else if (kind === "own") kho.unpreserveFree(paOf(first!.pfn, m), 2 ** first!.order * m.pageSize);
        else kho.unpreserveFolio(first!.pfn, first!.order);
      },
      () => (can ? "ok" : "EOPNOTSUPP"),
    );
    if (result !== "ok") return;
    item.preserved = false;
    if (kind === "own") m.items.splice(m.items.indexOf(item), 1);
  },
);

const free = step(
  "driver: free",
  fc.record({ n: nat }),
  ({ items }) => items.some(({ preserved, subtree }) => !preserved && !subtree),
  ({ m }, world, { n }) =>
    freeItem(
      m,
      world,
      pick(
        m.items.filter(({ preserved, subtree }) => !preserved && !subtree),
        n,
      ),
    ),
);

export function freeItem(m: Model, { machine }: World, item: Item): void {
  for (const { pfn, order } of item.blocks) machine.core.pages.free(pfn, order);
  m.items.splice(m.items.indexOf(item), 1);
}

const names = ["s0", "s1", "s2", "a-subtree-with-a-long-name"];

/** From 6.19 on a subtree is added when its owner likes, before while finalizing. */
const addSubtree = step(
  "driver: add subtree",
  fc.record({ n: nat, name: fc.constantFrom(...names, "memblock", "LUO") }),
  ({ items }) => items.some(({ kind, subtree }) => kind === "blob" && !subtree),
  ({ m }, world, { n, name }) => {
    const item = pick(
      m.items.filter(({ kind, subtree }) => kind === "blob" && !subtree),
      n,
    );
    const { pfn } = item.blocks[0]!;
    const taken =
      name === "memblock" || (name === "LUO" && hasLuo(m)) || m.items.some(({ subtree }) => subtree === name);
    if (!since(m.release, "6.19.10")) {
      // What is finalized does not change any more, and names are not compared.
      if (m.finalized || taken || name === "LUO") return;
      item.subtree = name;
      world.trees.push({ name, pfn });
      return;
    }
    if (!item.preserved || (name === "LUO" && !hasLuo(m))) return;
    const result = both(
      m,
      world,
      () => world.machine.kho.addSubtree(name, paOf(pfn, m), emptyTree.length),
      () => (taken ? "EEXIST" : "ok"),
    );
    if (result === "ok") item.subtree = name;
  },
);

const removeSubtree = step(
  "driver: remove subtree",
  fc.record({ n: nat }),
  (m) => since(m.release, "6.19.10") && m.items.some(({ subtree }) => subtree),
  ({ m }, world, { n }) => {
    const item = pick(
      m.items.filter(({ subtree }) => subtree),
      n,
    );
    world.machine.kho.removeSubtree(paOf(item.blocks[0]!.pfn, m));
    delete item.subtree;
  },
);

const retrieveSubtree = step(
  "driver: retrieve subtree",
  fc.record({ name: fc.constantFrom(...names) }),
  always,
  ({ m }, world, { name }) => {
    let pa = -1n;
    const expected = m.subtreesReceived.get(name);
    both(
      m,
      world,
      () => {
        pa = world.machine.kho.retrieveSubtree(name).pa;
      },
      () => (expected === undefined ? "ENOENT" : "ok"),
    );
    if (expected !== undefined) expect(pa).toBe(BigInt(expected));
  },
);

const restore = step(
  "driver: restore",
  fc.record({ n: nat }),
  ({ itemsReceived }) => itemsReceived.length > 0,
  ({ m }, world, { n }) => {
    const item = pick(m.itemsReceived, n);
    m.itemsReceived.splice(m.itemsReceived.indexOf(item), 1);
    restoreItem(m, world, item);
  },
);

function restoreItem(m: Model, world: World, item: Item): void {
  const { id, kind, range } = item;
  const { kho } = world.machine;
  const owner = `driver ${id}`;
  const blocks = kind === "range" ? blocksOf(range!.pfn, range!.count) : item.blocks;
  // Before 6.18 there are folios alone.
  if (kind === "area") {
    if (!since(m.release, "6.18.15")) return void m.itemsReceived.push(item);
    const descriptor = descriptorOf(item, m);
    expect(kho.restoreVmalloc(descriptor, owner)).toEqual(blocks.map(({ pfn }) => pfn));
    m.areas.delete(id);
  } else if (kind === "range" && since(m.release, "6.18.15")) {
    expect(kho.restorePages(range!.pfn, range!.count, owner)).toBe(true);
    expect(kho.restorePages(range!.pfn, range!.count, owner)).toBe(false);
  } else
    for (const { pfn, order } of blocks) {
      expect(kho.receivedOrder(pfn)).toBe(order);
      expect(kho.restoreFolio(pfn, owner)).toBe(order);
      expect(kho.restoreFolio(pfn, owner)).toBe(-1);
    }
  m.received.delete(owner);
  const { subtree: _, ...rest } = item;
  const restored: Item = { ...rest, kind: kind === "own" ? "folio" : kind, blocks, preserved: false };
  m.items.push(restored);
  checkTag(m, world, restored);
}

/** debugfs `out/finalize`; what fails is taken back, and so is everything that was preserved. */
const finalize = step(
  "finalize",
  fc.record({ on: fc.constantFrom(true, true, false), refuse: rarely, fault }),
  (m, { on }) => !since(m.release, "7.1.13") && (on || !since(m.release, "6.19.10")),
  ({ m }, world, { on, refuse, fault: wrong }) => finalizeBoth(m, world, on, refuse, wrong),
);

export function finalizeBoth(
  m: Model,
  world: World,
  on: boolean,
  refuses = false,
  wrong?: World["allocationFault"],
): void {
  const { kho } = world.machine;
  const old = !since(m.release, "6.19.10");
  world.notifierRefuses = refuses;
  const before = m.finalized;
  const result = both(
    m,
    world,
    () => kho.finalize(on),
    () => {
      if (!old) return "ok";
      if (!on) return before ? "ok" : "ENOENT";
      if (before) return "EEXIST";
      return refuses ? "ENODEV" : "ok";
    },
    wrong,
  );
  world.notifierRefuses = false;
  if (!old) return;
  expect(kho.finalized).toBe(on ? result === "ok" || before : before && result !== "ok");
  if (on && result === "ok") {
    m.finalized = true;
    for (const item of m.items) if (item.subtree) item.preserved = true;
  }
  const aborted = (!on && result === "ok") || (on && !before && result !== "ok");
  if (!aborted) return;
  m.finalized = false;
  for (const item of m.items) {
    // The driver gives back the chunks itself: nothing else knows of them any more.
    if (item.kind === "area" && item.preserved)
      for (const pa of chunksOf(m.areas.get(item.id)!, world.machine.memory))
        world.machine.core.pages.free(Number(pa) / m.pageSize, 0);
    item.preserved = false;
  }
  // What was loaded refers to memory that is free now.
  if (m.loaded !== undefined) load(m, world);
}

function load(m: Model, world: World): void {
  expect(resultOf(() => world.machine.load())).toBe("ok");
  m.loaded = m.finalized;
}

const loadImage = step("load", fc.constant({}), always, ({ m }, world) => load(m, world));

export const driverSteps: readonly fc.Arbitrary<Step>[] = [
  allocate,
  allocate,
  allocatePreserved,
  preserve,
  preserve,
  preserve,
  keep,
  unpreserve,
  free,
  addSubtree,
  removeSubtree,
  retrieveSubtree,
  restore,
  restore,
  finalize,
  finalize,
  loadImage,
];
