import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type NodePages, newPageAllocator, type PageAllocator } from "../../src/machine/pages.js";
import { isKhoError, type KhoError } from "../../src/report/error.js";

const pageSize = 4096;

/** Two nodes in three pieces, with a hole, odd ends and a border of nodes that is not aligned; given out of order. */
const ranges: readonly NodePages[] = [
  { pfn: 3000, pages: 1500, node: 0 },
  { pfn: 5, pages: 1200, node: 0 },
  { pfn: 1205, pages: 1000, node: 1 },
];
const room = 4600;
const largestOrder = 10;

const fresh = (): PageAllocator => newPageAllocator({ ranges, pageSize });

function misuse(call: () => unknown): KhoError | undefined {
  try {
    call();
  } catch (error) {
    if (isKhoError(error, "machine-misuse")) return error;
    throw error;
  }
  return undefined;
}

/** What is known of a page: its node, its holder, and the block that it was handed out in. */
interface PlainPage {
  readonly node: number;
  owner: string | undefined;
  block: { readonly pfn: number; readonly order: number } | undefined;
}

/** The slow truth: one entry per page of RAM. Blocks are searched for among all addresses. */
function plainPages() {
  const pages: (PlainPage | undefined)[] = Array(room).fill(undefined);
  for (const { pfn, pages: count, node } of ranges)
    for (let i = 0; i < count; i++) pages[pfn + i] = { node, owner: undefined, block: undefined };

  const isFree = (pfn: number, node: number): boolean => {
    const page = pages[pfn];
    return page !== undefined && page.node === node && page.owner === undefined;
  };
  const freeBlock = (pfn: number, order: number): boolean => {
    const node = pages[pfn]?.node;
    if (node === undefined) return false;
    for (let i = 0; i < 2 ** order; i++) if (!isFree(pfn + i, node)) return false;
    return true;
  };
  /** The order of the free block that begins here: its pages are free, but not those of its buddy, too. */
  const orderAt = (pfn: number): number => {
    let order = -1;
    for (let wanted = 0; wanted <= largestOrder && pfn % 2 ** wanted === 0; wanted++)
      if (freeBlock(pfn, wanted)) order = wanted;
    return order;
  };
  /** Where the lowest of the smallest free blocks is that fit. */
  const place = (order: number, node: number | undefined): number | undefined => {
    let best: { pfn: number; order: number } | undefined;
    for (let pfn = 0; pfn < room; ) {
      const found = orderAt(pfn);
      const wanted = node === undefined || pages[pfn]?.node === node;
      if (found >= order && wanted && (!best || found < best.order)) best = { pfn, order: found };
      pfn += found < 0 ? 1 : 2 ** found;
    }
    return best?.pfn;
  };
  const stretch = (pfn: number, count: number) => Array.from({ length: count }, (_, i) => pages[pfn + i]);
  /** Pages of the blocks that only partly are in the stretch, and of those that are in it, are single ones from now on. */
  const breakBlocks = (pfn: number, count: number): void => {
    const broken = new Set(stretch(pfn, count).map((page) => page?.block));
    for (const page of pages) if (page?.block && broken.has(page.block)) page.block = undefined;
  };
  return { pages, place, stretch, breakBlocks };
}

const owner = fc.constantFrom("memfd vm0", "memfd vm1", "kho root");
const somePages = fc.record({ pfn: fc.nat(room), pages: fc.oneof(fc.nat(3), fc.nat(100), fc.nat(1500)) });
const order = fc.oneof(fc.nat(3), fc.nat(largestOrder + 1));
const operation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("allocate" as const),
      order,
      owner,
      node: fc.constantFrom(undefined, undefined, 0, 1),
    }),
  },
  // Mostly blocks that are held, by their place among these; else any.
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("free" as const), pick: fc.nat(), up: fc.nat(8) }) },
  fc.record({ kind: fc.constant("free anything" as const), pfn: fc.nat(room), order }),
  fc.record({
    kind: fc.constantFrom("reserve" as const, "release" as const, "recut" as const),
    at: somePages,
    owner,
  }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("release held" as const, "recut held" as const),
      pick: fc.nat(),
      skip: fc.nat(9),
      less: fc.nat(9),
      owner,
    }),
  },
);

describe("the page allocator", () => {
  it("agrees with a list of single pages", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const allocator = fresh();
        const empty = allocator.vacancies();
        const { pages, place, stretch, breakBlocks } = plainPages();

        const free = (pfn: number, order: number): void => {
          const inside = stretch(pfn, 2 ** order);
          const allowed =
            pfn % 2 ** order === 0 &&
            inside.every((page) => page?.owner !== undefined && (page.block?.order ?? 0) <= order);
          expect(misuse(() => allocator.free(pfn, order)) === undefined).toBe(allowed);
          if (allowed) for (const page of inside) page!.owner = page!.block = undefined;
        };
        const change = (
          kind: "reserve" | "release" | "recut",
          pfn: number,
          count: number,
          owner: string,
        ): void => {
          const inside = stretch(pfn, count);
          const held = kind !== "reserve";
          const allowed = inside.every((page) => page && (page.owner !== undefined) === held);
          const call = () =>
            kind === "release" ? allocator.release(pfn, count) : allocator[kind](pfn, count, owner);
          expect(misuse(call) === undefined).toBe(allowed);
          if (!allowed) return;
          breakBlocks(pfn, count);
          for (const page of inside) page!.owner = kind === "release" ? undefined : owner;
        };

        for (const operation of operations) {
          if (operation.kind === "allocate") {
            const { order, owner, node } = operation;
            const wanted = place(order, node);
            expect(allocator.allocate(order, owner, node)).toBe(wanted);
            if (wanted === undefined) continue;
            const block = { pfn: wanted, order };
            for (const page of stretch(wanted, 2 ** order)) Object.assign(page!, { owner, block });
          } else if (operation.kind === "free") {
            const blocks = [...new Set(pages.flatMap((page) => page?.block ?? []))];
            const { pfn, order } = blocks[operation.pick % blocks.length] ?? { pfn: 5, order: 0 };
            // Now and then the block above, which may be held, free or in part both; or half of the block.
            const other = Math.max(order + ([1, -1][operation.up] ?? 0), 0);
            free(pfn - (pfn % 2 ** other), other);
          } else if (operation.kind === "free anything") free(operation.pfn, operation.order);
          else if ("at" in operation)
            change(operation.kind, operation.at.pfn, operation.at.pages, operation.owner);
          else {
            const holdings = allocator.holdings();
            const held = holdings[operation.pick % holdings.length];
            const skip = Math.min(operation.skip, held?.pages ?? 0);
            const count = Math.max((held?.pages ?? 0) - skip - operation.less, 0);
            const kind = operation.kind === "release held" ? "release" : "recut";
            change(kind, (held?.pfn ?? 5) + skip, count, operation.owner);
          }

          const owners: (string | undefined)[] = Array(room).fill(undefined);
          for (const { pfn, pages, owner } of allocator.holdings()) owners.fill(owner, pfn, pfn + pages);
          expect(owners).toEqual(pages.map((page) => page?.owner));
          expect(allocator.freePages).toBe(pages.filter((page) => page && page.owner === undefined).length);
        }

        const vacant: boolean[] = Array(room).fill(false);
        for (const { pfn, pages } of allocator.vacancies()) vacant.fill(true, pfn, pfn + pages);
        expect(vacant).toEqual(pages.map((page) => page !== undefined && page.owner === undefined));
        for (const list of [allocator.holdings(), allocator.vacancies()])
          for (const [i, { pfn, pages }] of list.entries()) {
            expect(pages).toBeGreaterThan(0);
            const next: { readonly pfn: number; readonly owner?: string } | undefined = list[i + 1];
            const merged = next && "owner" in next && next.owner !== (list[i] as { owner?: string }).owner;
            if (next) expect(next.pfn).toBeGreaterThan(pfn + pages - (merged ? 1 : 0));
          }

        // All given back, it is as it was: the same blocks at the same places.
        for (const { pfn, pages } of allocator.holdings()) allocator.release(pfn, pages);
        expect(allocator.vacancies()).toEqual(empty);
        const other = fresh();
        for (const order of [10, 0, 9, 3, 10, 5, 0])
          expect(allocator.allocate(order, "again")).toBe(other.allocate(order, "again"));
      }),
      { numRuns: 150 },
    );
  });

  it("hands every page out once, in ascending order, until none is left", () => {
    const allocator = fresh();
    const seen: number[] = [];
    for (let pfn = allocator.allocate(0, "all"); pfn !== undefined; pfn = allocator.allocate(0, "all"))
      seen.push(pfn);
    const all = ranges.flatMap(({ pfn, pages }) => Array.from({ length: pages }, (_, i) => pfn + i));
    expect([...seen].sort((a, b) => a - b)).toEqual(all.sort((a, b) => a - b));
    expect(allocator.freePages).toBe(0);
    expect(allocator.vacancies()).toEqual([]);
    expect(allocator.holdings()).toEqual([
      { pfn: 5, pages: 2200, owner: "all" },
      { pfn: 3000, pages: 1500, owner: "all" },
    ]);
    expect(allocator.allocate(0, "more")).toBeUndefined();
  });

  it("takes the lowest of the smallest blocks that fit and keeps the upper halves", () => {
    const allocator = newPageAllocator({ ranges: [{ pfn: 1024, pages: 2048, node: 0 }], pageSize });
    const sequence = [0, 0, 3, 1, 2, 10, 9].map((order) => allocator.allocate(order, "x"));
    expect(sequence).toEqual([1024, 1025, 1032, 1026, 1028, 2048, 1536]);
    expect(allocator.allocate(10, "x")).toBeUndefined();
    allocator.free(1025, 0);
    expect(allocator.allocate(1, "x")).toBe(1040);
    allocator.free(1024, 0);
    expect(allocator.allocate(1, "x")).toBe(1024);
  });

  it("stays on the node that is asked for", () => {
    const allocator = fresh();
    const seen: number[] = [];
    for (let pfn = allocator.allocate(3, "x", 1); pfn !== undefined; pfn = allocator.allocate(3, "x", 1))
      seen.push(pfn);
    // Whole blocks of 8 pages between 1205 and 2205.
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 124 }, (_, i) => 1208 + 8 * i));
    expect(seen.map((pfn) => allocator.nodeOf(pfn))).toEqual(seen.map(() => 1));
    expect(allocator.allocate(0, "x", 7)).toBeUndefined();
    expect([5, 1204, 1205, 2204, 3000].map((pfn) => allocator.nodeOf(pfn))).toEqual([0, 0, 1, 1, 0]);
    for (const pfn of [4, 2205, 4500]) expect(misuse(() => allocator.nodeOf(pfn))).toBeDefined();
  });

  it.each([
    [4096, 10],
    [16384, 11],
    [65536, 13],
  ])("with pages of %d bytes has blocks of order %d", (pageSize, largest) => {
    const size = 2 ** largest;
    const allocator = newPageAllocator({ ranges: [{ pfn: 0, pages: 4 * size, node: 0 }], pageSize });
    expect(allocator.largestOrder).toBe(largest);
    expect(allocator.allocate(largest + 1, "x")).toBeUndefined();
    expect([0, 1].map(() => allocator.allocate(largest, "x"))).toEqual([0, size]);
  });

  it("lets blocks reach over where pieces of one node meet", () => {
    const allocator = newPageAllocator({
      ranges: [0, 1, 2, 3].map((i) => ({ pfn: 256 * i, pages: 256, node: 0 })),
      pageSize,
    });
    expect(allocator.allocate(10, "x")).toBe(0);
    const ranges = [
      { pfn: 0, pages: 10, node: 0 },
      { pfn: 9, pages: 10, node: 0 },
    ];
    expect(misuse(() => newPageAllocator({ ranges, pageSize }))?.pa).toBe(9n * 4096n);
  });

  it("says which page is misused, and who had it", () => {
    const allocator = fresh();
    const pfn = allocator.allocate(4, "memfd vm0")!;
    expect(misuse(() => allocator.free(pfn, 3))).toMatchObject({ expected: "order 4", actual: "order 3" });
    expect(misuse(() => allocator.free(pfn + 1, 1))?.pa).toBe(BigInt(pfn + 1) * 4096n);
    expect(misuse(() => allocator.reserve(pfn - 1, 3, "x"))?.message).toContain("held by memfd vm0");
    allocator.free(pfn, 4);
    expect(misuse(() => allocator.free(pfn, 4))).toMatchObject({
      pa: BigInt(pfn) * 4096n,
      message: `page 0x${pfn.toString(16)} is free already: free since memfd vm0 gave it back`,
    });
    expect(misuse(() => allocator.release(4096, 1))?.actual).toBe("never held");
    expect(misuse(() => allocator.recut(2500, 1, "x"))?.message).toContain("none of this allocator's");
    expect(misuse(() => allocator.reserve(2204, 2, "x"))?.pa).toBe(2205n * 4096n);
    expect(allocator.freePages).toBe(3700);
  });

  it("frees recut pages as blocks of any size, and blocks as pages", () => {
    const allocator = newPageAllocator({ ranges: [{ pfn: 0, pages: 8192, node: 0 }], pageSize });
    allocator.reserve(1024, 4096, "received");
    allocator.recut(1024, 2048, "memfd vm0");
    expect(allocator.holdings()).toEqual([
      { pfn: 1024, pages: 2048, owner: "memfd vm0" },
      { pfn: 3072, pages: 2048, owner: "received" },
    ]);
    allocator.free(2048, 11);
    allocator.free(1024, 9);
    for (let i = 0; i < 512; i++) allocator.free(1536 + i, 0);
    allocator.release(4096, 1024);
    expect(allocator.vacancies()).toEqual([{ pfn: 0, pages: 8192 }]);
    expect(allocator.allocate(9, "whole")).toBe(0);
    allocator.release(100, 0);
    allocator.recut(100, 0, "nobody");
    expect(misuse(() => allocator.free(0, 6))).toBeDefined();
    allocator.recut(100, 1, "pinned");
    allocator.free(0, 6);
    expect(allocator.vacancies()[0]).toEqual({ pfn: 0, pages: 64 });
  });

  it("manages 1 TiB in large folios", () => {
    const allocator = newPageAllocator({ ranges: [{ pfn: 0, pages: 2 ** 28, node: 0 }], pageSize });
    const folios: number[] = [];
    for (let i = 0; i < 500_000; i++) folios.push(allocator.allocate(9, "vm")!);
    expect(folios.every((pfn, i) => pfn === 512 * i)).toBe(true);
    expect(allocator.holdings()).toEqual([{ pfn: 0, pages: 256_000_000, owner: "vm" }]);
    // 7919 is prime and divides no count here: a fixed order that leaves holes everywhere.
    for (let i = 0; i < folios.length; i++) allocator.free(folios[(i * 7919) % folios.length]!, 9);
    expect(allocator.vacancies()).toEqual([{ pfn: 0, pages: 2 ** 28 }]);
    expect(allocator.allocate(10, "vm")).toBe(0);
  });
});
