/** KHO's operations and the three ways to finalize: behaviour of luo-machine, section 7. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Errno } from "../../src/machine/errno.js";
import { type Faults, Machine } from "../../src/machine/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import {
  allReleases,
  before,
  blocksIn,
  decoded,
  depart,
  holdings,
  preservedIn,
  since,
} from "./departures.js";
import { outcome } from "./luo-support.js";

const MiB = 2 ** 20;
const page = 4096;
/** Memory that nobody uses: half way up. */
const spare = 0x8000;

/** A kernel without live update, so that all that is preserved is what the test preserves. */
const kernel = (release: string, more: Partial<Parameters<typeof Machine.boot>[0]> = {}): Machine =>
  Machine.boot({ release, liveupdate: false, ...more });
/** Where the blob of a subtree could be. */
const somewhere = (i: number): PhysAddr => physAddr(BigInt((spare + i) * page));

describe.each(allReleases)("Linux %s", (release) => {
  it("has the operations of its release", () => {
    const operations: [first: string, call: (machine: Machine) => unknown][] = [
      ["6.16", ({ kho }) => kho.preserveFolio(spare, 3)],
      ["6.16", ({ kho }) => kho.preservePages(spare + 1, 77)],
      ["6.16", ({ kho }) => kho.restoreFolio(spare, "test")],
      ["6.18.15", ({ kho }) => kho.preserveVmalloc([spare, spare + 1], 0, "test")],
      ["6.18.15", ({ kho }) => kho.restorePages(spare, 1, "test")],
      [
        "6.18.15",
        ({ kho }) => kho.restoreVmalloc({ first: physAddr(0), total_pages: 0, flags: 0, order: 0 }, "test"),
      ],
      ["6.19.10", ({ kho }) => kho.unpreserveFolio(spare, 3)],
      ["6.19.10", ({ kho }) => kho.unpreservePages(spare + 1, 77)],
      [
        "6.19.10",
        ({ kho }) => kho.unpreserveVmalloc({ first: physAddr(0), total_pages: 0, flags: 0, order: 0 }),
      ],
      ["6.19.10", ({ kho }) => kho.unpreserveFree(kho.allocPreserve(1, "test"), 1)],
      ["6.19.10", ({ kho }) => kho.removeSubtree(somewhere(0))],
    ];
    const machine = kernel(release);
    const has = operations.map(([, call]) => outcome(() => call(machine)));
    const rank = (name: string): number => (allReleases as readonly string[]).indexOf(name);
    expect(has).toEqual(operations.map(([first]) => (rank(release) >= rank(first) ? "ok" : "EOPNOTSUPP")));
  });

  it("preserves a set: twice is once", () => {
    const machine = kernel(release);
    for (let i = 0; i < 3; i++) machine.kho.preserveFolios(spare, 2, 3);
    if (release >= "6.19") {
      machine.kho.preserveFolio(spare + 64, 0);
      machine.kho.preserveFolio(spare + 64, 0);
      machine.kho.unpreserveFolio(spare + 64, 0);
    }
    const { preserved } = decoded(depart(machine)).handover;
    const found = blocksIn(preserved!.runs).filter((block) => Number.parseInt(block, 10) >= spare);
    expect(found).toEqual([`${spare}:2`, `${spare + 4}:2`, `${spare + 8}:2`]);
  });

  it("cuts ranges greedily", () => {
    const machine = kernel(release);
    machine.kho.preservePages(0x9003, 0x20);
    const { preserved } = decoded(depart(machine)).handover;
    const found = blocksIn(preserved!.runs).filter((block) => Number.parseInt(block, 10) >= spare);
    const wanted = ["0x9003 0", "0x9004 2", "0x9008 3", "0x9010 4", "0x9020 1", "0x9022 0"];
    expect(found.sort()).toEqual(wanted.map((block) => block.split(" ").map(Number).join(":")).sort());
  });

  it("cuts a block at the border of two nodes since 7.1 only", () => {
    // Nodes meet at 132 MiB, in the middle of an aligned block of 8 MiB.
    const machine = kernel(release, { memory: 264 * MiB, nodes: 2 });
    machine.kho.preservePages(0x8000, 0x800);
    const found = preservedIn(depart(machine));
    const split = release >= "7.1";
    expect(found(0x8000)).toEqual({ kind: "block", order: split ? 10 : 11 });
    expect(found(0x8400)).toEqual(
      split ? { kind: "block", order: 10 } : { kind: "inside", order: 11, pfn: 0x8000 },
    );
  });

  it("restores each block once, and larger ones than buddies since 7.1", () => {
    const old = kernel(release);
    old.kho.preserveFolio(spare, 4);
    old.kho.preservePages(0x9000, 0x800);
    const { kho, core } = Machine.arrive(depart(old), { release, liveupdate: false });
    expect(kho.receivedOrder(spare)).toBe(4);
    expect(kho.receivedOrder(spare + 1)).toBe(-1);
    expect(kho.restoreFolio(spare + 1, "test")).toBe(-1);
    expect(kho.restoreFolio(spare, "test")).toBe(4);
    expect([kho.receivedOrder(spare), kho.restoreFolio(spare, "test")]).toEqual([-1, -1]);
    core.pages.free(spare, 4);
    // 0x9000 is aligned to 2^12 pages, so that the range is one block of order 11.
    expect(kho.restoreFolio(0x9000, "test")).toBe(release >= "7.1" ? 11 : -1);
  });

  it("does nothing with KHO off", () => {
    const machine = kernel(release, { kho: false });
    const { kho } = machine;
    const calls = [
      () => kho.preserveFolio(spare, 0),
      () => kho.preservePages(spare, 5),
      () => kho.addSubtree("test", somewhere(0), 8),
      () => kho.finalize(),
    ];
    expect(calls.map(outcome)).toEqual(calls.map(() => "EOPNOTSUPP"));
    expect([kho.enabled, machine.scratch]).toEqual([false, []]);
    expect(machine.leave().bootData).toBeUndefined();
  });

  it("finds no subtree after a cold boot", () => {
    expect(outcome(() => kernel(release).kho.retrieveSubtree("memblock"))).toBe("ENOENT");
  });
});

describe.each(before("6.19.10"))("Linux %s finalizes once", (release) => {
  it("goes from open to finalized and back", () => {
    const machine = kernel(release);
    const { kho, core } = machine;
    const steps: [boolean, Errno | "ok"][] = [
      [false, "ENOENT"],
      [true, "ok"],
      [true, "EEXIST"],
      [false, "ok"],
      [false, "ENOENT"],
      [true, "ok"],
    ];
    const free = core.pages.freePages;
    for (const [on, wanted] of steps) {
      const was = kho.finalized;
      expect(outcome(() => kho.finalize(on))).toBe(wanted);
      expect(kho.finalized).toBe(wanted === "ok" ? on : was);
      if (!kho.finalized) expect(core.pages.freePages).toBe(free);
    }
  });

  it("takes nothing more while finalized, and forgets all when it is taken back", () => {
    const machine = kernel(release);
    const { kho, core } = machine;
    const free = core.pages.freePages;
    kho.preserveFolio(spare, 5);
    kho.finalize();
    expect(outcome(() => kho.preserveFolio(spare + 32, 0))).toBe("EBUSY");
    expect(outcome(() => kho.preservePages(spare + 32, 9))).toBe("EBUSY");
    kho.finalize(false);
    expect(core.pages.freePages).toBe(free);
    kho.preserveFolio(spare + 32, 0);
    const found = preservedIn(depart(machine));
    expect([found(spare).kind, found(spare + 32).kind]).toEqual(["absent", "block"]);
  });

  it("adds subtrees while it finalizes, again each time, in the order of the notifiers", () => {
    const machine = kernel(release);
    const { kho } = machine;
    expect(() => kho.addSubtree("early", somewhere(0), 8)).toThrowError(/onFinalize/);
    for (const [i, name] of ["b", "a", "c"].entries())
      kho.onFinalize(() => {
        kho.preserveFolio(spare + i, 0);
        kho.addSubtree(name, somewhere(i), 8);
      });
    kho.finalize();
    kho.finalize(false);
    kho.finalize();
    const { handover } = decoded(machine.leave());
    expect(handover.subtrees.map(({ name, pa }) => [name, pa])).toEqual(
      ["b", "a", "c"].map((name, i) => [name, somewhere(i)]),
    );
  });

  it("aborts when a notifier refuses, or the page is full", () => {
    const machine = kernel(release);
    const { kho, core } = machine;
    let names = 500;
    kho.onFinalize(() => {
      kho.preserveFolio(spare, 0);
      for (let i = 0; i < names; i++) kho.addSubtree(`subtree-${i}`, somewhere(i), 8);
    });
    const free = core.pages.freePages;
    expect(outcome(() => kho.finalize())).toBe("ENOMEM");
    expect([kho.finalized, core.pages.freePages]).toEqual([false, free]);
    expect(outcome(() => kho.finalize(false))).toBe("ENOENT");
    names = 2;
    kho.finalize();
    expect(decoded(machine.leave()).handover.subtrees).toHaveLength(2);
  });

  it("hands nothing over with an image that was loaded before", () => {
    const machine = kernel(release);
    machine.kho.preserveFolio(spare, 0);
    machine.load();
    machine.kho.finalize();
    const departure = machine.leave();
    expect([departure.handoff, departure.bootData]).toEqual([undefined, undefined]);
    expect(Machine.arrive(departure, { release }).outcome).toEqual({ kind: "cold" });
  });

  it("hands nothing over if nobody finalizes", () => {
    const next = kernel(release).kexec({ release });
    expect(next.outcome).toEqual({ kind: "cold" });
  });
});

describe.each(["6.19.10", "7.0"])("Linux %s finalizes when it likes", (release) => {
  it("finalizes again and again, and takes nothing back", () => {
    const machine = kernel(release);
    const { kho, core } = machine;
    kho.preserveFolio(spare, 3);
    kho.finalize();
    const free = core.pages.freePages;
    // Of an order that there was none of yet: of others the bitmap is there, and shows it at once.
    kho.preserveFolio(0x9000, 7);
    expect(outcome(() => kho.finalize(false))).toBe("EINVAL");
    expect(kho.finalized).toBe(false);
    const unseen = preservedIn(machine.leave());
    expect([unseen(spare).kind, unseen(0x9000).kind]).toEqual(["block", "absent"]);

    const other = kernel(release);
    other.kho.preserveFolio(spare, 3);
    other.kho.finalize();
    other.kho.preserveFolio(0x9000, 7);
    other.kho.finalize();
    other.kho.finalize();
    // One more bitmap, and the chunks of one map: the older maps are given back.
    expect(other.core.pages.freePages).toBe(free - 2);
    expect(preservedIn(other.leave())(0x9000)).toEqual({ kind: "block", order: 7 });
  });

  it("is ignored by the next kernel if nobody finalizes", () => {
    const machine = kernel(release);
    machine.kho.preserveFolio(spare, 0);
    const departure = machine.leave();
    expect(departure.bootData).toBeDefined();
    for (const next of ["6.19.10", "7.0"]) {
      const { outcome: result } = Machine.arrive(departure, { release: next });
      expect(result).toMatchObject({ kind: "ignored", reason: { code: "map-missing" } });
    }
    // 6.18 takes it for a map of nothing.
    expect(Machine.arrive(departure, { release: "6.18.15" }).outcome.kind).toBe("received");
  });

  it("is finalized by live update, whenever the image was loaded", () => {
    const machine = Machine.boot({ release });
    machine.load();
    machine.kho.preserveFolio(spare, 0);
    const next = machine.kexec({ release });
    expect([next.outcome.kind, next.kho.receivedOrder(spare)]).toEqual(["received", 0]);
  });
});

describe.each(since("7.1.13"))("Linux %s has nothing to finalize", (release) => {
  it("hands over what is preserved at the jump", () => {
    const machine = kernel(release);
    machine.load();
    expect(outcome(() => machine.kho.finalize())).toBe("EOPNOTSUPP");
    machine.kho.preserveFolio(spare, 6);
    machine.kho.preserveFolio(spare + 64, 6);
    machine.kho.unpreserveFolio(spare + 64, 6);
    const next = machine.kexec({ release });
    expect([next.kho.receivedOrder(spare), next.kho.receivedOrder(spare + 64)]).toEqual([6, -1]);
  });
});

describe.each(since("6.19.10"))("Linux %s", (release) => {
  it("allocates what it preserves: zeroed, one folio, a power of two of pages", () => {
    const { kho, core } = kernel(release);
    const { pages, ram } = core;
    expect(outcome(() => kho.allocPreserve(0, "test"))).toBe("EINVAL");
    expect(outcome(() => kho.allocPreserve(page * 2 ** 10 + 1, "test"))).toBe("E2BIG");
    const { pfn } = pages.vacancies()[0]!;
    ram.poison(pfn, 64);
    const free = pages.freePages;
    const pa = kho.allocPreserve(5 * page, "test");
    expect(pages.freePages).toBeLessThanOrEqual(free - 8);
    expect(pa % BigInt(8 * page)).toBe(0n);
    expect(ram.read(pa, 8 * page).every((byte) => byte === 0)).toBe(true);
    expect(core.kho.receivedOrder(Number(pa) / page)).toBe(-1);
    kho.unpreserveFree(pa, 5 * page);
    expect(pages.holdings().some(({ owner }) => owner === "test")).toBe(false);
  });

  it("refuses what there is no memory for, and holds nothing then", () => {
    const machine = kernel(release);
    while (outcome(() => machine.kho.allocPreserve(page * 2 ** 10, "test")) === "ok");
    for (const order of [9, 4, 0])
      while (outcome(() => machine.kho.allocPreserve(page * 2 ** order, "test")) === "ok");
    expect(outcome(() => machine.kho.allocPreserve(page, "test"))).toBe("ENOMEM");
    expect(machine.core.pages.freePages).toBeLessThan(8);
  });

  it("says so if what is unpreserved was not preserved like that", () => {
    const { kho, log } = kernel(release);
    kho.preserveFolio(spare, 3);
    kho.unpreserveFolio(spare, 2);
    expect(log.at(-1)).toMatch(/not preserved/);
    expect(outcome(() => kho.unpreserveFolio(spare, 3))).toBe("ok");
  });

  it("keeps what was preserved before a range that fails, and takes the rest back", () => {
    let fail = false;
    const faults: Faults = { allocation: () => fail };
    const machine = kernel(release, { faults });
    const { kho } = machine;
    kho.preservePages(0x9000, 2);
    fail = true;
    // The last page needs a bitmap or a leaf that there is not.
    expect(outcome(() => kho.preservePages(0x9002, 0x15))).toBe("ENOMEM");
    fail = false;
    const found = preservedIn(depart(machine));
    expect([found(0x9000), found(0x9002), found(0x9010)].map(({ kind }) => kind)).toEqual([
      "block",
      "absent",
      "absent",
    ]);
  });

  it("adds and removes subtrees, the last one in front", () => {
    const machine = kernel(release);
    const { kho } = machine;
    for (const [i, name] of ["one", "two", "three"].entries()) kho.addSubtree(name, somewhere(i), 8);
    expect(outcome(() => kho.addSubtree("two", somewhere(9), 8))).toBe("EEXIST");
    kho.removeSubtree(somewhere(0));
    kho.removeSubtree(somewhere(7));
    kho.addSubtree("one", somewhere(4), 24);
    for (let i = 0; i < 5; i++) kho.preserveFolio(spare + i, 0);
    const departure = depart(machine);
    const names = ["one", "three", "two"];
    const { subtrees } = decoded(departure).handover;
    expect(subtrees.map(({ name }) => name)).toEqual(release >= "7.1" ? [...names, "kexec-metadata"] : names);
    const next = Machine.arrive(departure, { release });
    expect(next.kho.retrieveSubtree("one")).toMatchObject({ pa: somewhere(4) });
    expect(outcome(() => next.kho.retrieveSubtree("four"))).toBe("ENOENT");
  });

  it("keeps the node of a subtree whose properties find no room", () => {
    const machine = kernel(release);
    const { kho, core } = machine;
    const root = (): PhysAddr => {
      machine.load();
      const { pfn } = core.pages.holdings().find(({ owner }) => owner === "kho root")!;
      return physAddr(BigInt(pfn) * BigInt(page));
    };
    /** Bytes that are left, by the tree's own header. */
    const room = (): number => page - new DataView(core.ram.read(root(), 8).slice().buffer).getUint32(4);
    let count = 0;
    for (; room() > 250; count++) kho.addSubtree(`s${String(count).padStart(4, "0")}`, somewhere(0), 8);
    const tooLong = "x".repeat(room() - 8);
    expect(outcome(() => kho.addSubtree(tooLong, somewhere(1), 8))).toBe("ENOMEM");
    // A node takes 8 bytes and its name with NUL, padded to 4; a property takes 20.
    const left = room() - (room() % 4);
    const kept = "y".repeat(left - 8 - 16 - 1);
    const wanted = release < "7.1" ? "ESRCH" : "ENOMEM";
    expect(outcome(() => kho.addSubtree(kept, somewhere(2), 8))).toBe(wanted);
    expect(outcome(() => kho.addSubtree(kept, somewhere(2), 8))).toBe("EEXIST");
    kho.preserveFolio(spare, 0);
    const next = Machine.arrive(depart(machine), { release });
    expect(next.outcome.kind).toBe("received");
    expect(outcome(() => next.kho.retrieveSubtree(kept))).toBe("EINVAL");
    expect(outcome(() => next.kho.retrieveSubtree(tooLong))).toBe("ENOENT");
    expect(next.kho.retrieveSubtree("s0000").pa).toBe(somewhere(0));
  });
});

describe.each(since("6.18.15"))("vmalloc areas of Linux %s", (release) => {
  const areaOf = (count: number): number[] =>
    Array.from({ length: count }, (_, i) => spare + 2 * count - 2 * i);

  it.each([
    [0, 0],
    [1, 1],
    [510, 1],
    [511, 2],
    [512, 2],
    [1022, 3],
  ])("%i pages are listed in %i chunks, and nothing is held once they are restored", (count, chunks) => {
    const old = kernel(release);
    const before = old.core.pages.freePages;
    const blocks = areaOf(count);
    const descriptor = old.kho.preserveVmalloc(blocks, 0, "area");
    expect(descriptor.total_pages).toBe(count);
    expect(holdings(old)["area chunk"] ?? 0).toBe(chunks);
    expect(old.core.pages.freePages).toBeLessThanOrEqual(before - chunks);

    const next = Machine.arrive(depart(old), { release, liveupdate: false });
    const taken = next.core.pages.freePages;
    expect(next.kho.restoreVmalloc(descriptor, "mine")).toEqual(blocks);
    expect(holdings(next).mine ?? 0).toBe(count);
    expect(next.core.pages.freePages).toBe(taken + chunks);
    if (count > 0) expect(next.kho.restoreVmalloc(descriptor, "mine")).toBeUndefined();
    for (const pfn of blocks) next.core.pages.free(pfn, 0);
  });

  it("lists large blocks", () => {
    const old = kernel(release);
    const descriptor = old.kho.preserveVmalloc([0x9200, 0x9000], 9, "area");
    expect(descriptor).toMatchObject({ total_pages: 1024, order: 9, flags: 3 });
    const next = Machine.arrive(depart(old), { release, liveupdate: false });
    expect(next.kho.restoreVmalloc({ ...descriptor, order: 8 }, "mine")).toBeUndefined();
    expect(next.kho.restoreVmalloc(descriptor, "mine")).toEqual([0x9200, 0x9000]);
  });

  it("is undone whichever allocation fails", () => {
    let left = Number.POSITIVE_INFINITY;
    const faults: Faults = { allocation: () => left-- === 0 };
    const machine = kernel(release, { faults });
    const { kho, core } = machine;
    const wanted = holdings(machine);
    let refused = 0;
    for (let n = 0; ; n++) {
      left = n;
      const result = outcome(() => kho.preserveVmalloc(areaOf(600), 0, "area"));
      if (result === "ok") break;
      expect(result).toBe("ENOMEM");
      refused++;
      // Bitmaps and tree nodes that were made stay, for the next who preserves something.
      const { "kho bitmap": _, "radix node": __, ...others } = holdings(machine);
      const { "kho bitmap": ___, "radix node": ____, ...expected } = wanted;
      expect(others).toEqual(expected);
    }
    expect(refused).toBeGreaterThanOrEqual(2);
    left = Number.POSITIVE_INFINITY;
    expect(core.pages.freePages).toBeGreaterThan(0);
  });

  it.runIf(release >= "6.19")("is taken back, chunks and all", () => {
    const machine = kernel(release);
    const { kho } = machine;
    kho.preserveVmalloc([spare + 5000], 0, "other");
    const wanted = holdings(machine);
    const descriptor = kho.preserveVmalloc(areaOf(600), 0, "area");
    kho.unpreserveVmalloc(descriptor);
    expect(holdings(machine)).toEqual(wanted);
    expect(preservedIn(depart(machine))(spare + 600).kind).toBe("absent");
  });
});

describe("any sequence of preserving and taking back", () => {
  it.each(["6.19.10", "7.3.4"])("is the set that is handed over by Linux %s", (release) => {
    const step = fc.record({
      add: fc.boolean(),
      order: fc.integer({ min: 0, max: 6 }),
      at: fc.integer({ min: 0, max: 15 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const machine = kernel(release);
        const wanted = new Set<string>();
        for (const { add, order, at } of steps) {
          const pfn = 0x9000 + at * 64;
          if (add) machine.kho.preserveFolio(pfn, order);
          else machine.kho.unpreserveFolio(pfn, order);
          if (add) wanted.add(`${pfn}:${order}`);
          else wanted.delete(`${pfn}:${order}`);
        }
        const { preserved } = decoded(depart(machine)).handover;
        const found = blocksIn(preserved!.runs).filter((block) => Number.parseInt(block, 10) >= 0x9000);
        expect(found.sort()).toEqual([...wanted].sort());
      }),
      { numRuns: 30 },
    );
  });
});
