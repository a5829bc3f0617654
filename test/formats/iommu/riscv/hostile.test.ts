import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Limits } from "../../../../formats/context.js";
import { openRiscv } from "../../../../formats/iommu/riscv/devices.js";
import type { Memory, PhysAddr } from "../../../../src/memory/index.js";
import { isKhoError } from "../../../../src/report/error.js";
import { codesOf, contextOver } from "../context.js";
import { newStore, type Store } from "../store.js";
import { atp, page, pointerTo, poke } from "./support.js";

/** Counts reads. */
function counting(memory: Memory): Memory & { reads: number } {
  const counted = {
    reads: 0,
    has: (pa: PhysAddr, length: number) => memory.has(pa, length),
    read: (pa: PhysAddr, length: number) => {
      counted.reads++;
      return memory.read(pa, length);
    },
    ranges: memory.ranges,
  };
  return counted;
}

/** All 512 entries of a page. */
const full = (word: bigint): bigint[] => Array.from({ length: 512 }, () => word);

function listing(store: Store, root: bigint, limits: Partial<Limits>, cfg?: bigint) {
  const memory = counting(store.memory);
  const { ctx, findings } = contextOver(memory, limits);
  const unit = openRiscv(ctx, { root, ...(cfg !== undefined && { cfg }) });
  return { entries: [...unit.devices()], findings, reads: memory.reads };
}

describe("work ends", () => {
  it("at devices: one page of contexts for all of 2^24", () => {
    const store = newStore();
    const [root, middle, contexts] = [page(store), page(store), page(store)];
    poke(store, root, ...full(pointerTo(middle)));
    poke(store, middle, ...full(pointerTo(contexts)));
    poke(store, contexts, ...Array.from({ length: 128 }, () => [1n, 0n, 0n, 0n]).flat());
    const { entries, findings, reads } = listing(store, (root >> 2n) | 4n, { maxRecords: 1000 }, 0n);
    expect(entries).toHaveLength(1000);
    expect(codesOf(findings)).toEqual(["limit-exceeded"]);
    expect(reads).toBeLessThan(20);
  });

  it("at pages that are reached again", () => {
    const store = newStore();
    const [root, middle, contexts] = [page(store), page(store), page(store)];
    poke(store, root, ...full(pointerTo(middle)));
    poke(store, middle, ...full(pointerTo(contexts)));
    const { entries, findings, reads } = listing(store, (root >> 2n) | 4n, { maxSharedTables: 100 }, 0n);
    expect(entries).toEqual([]);
    expect(codesOf(findings)).toEqual(["limit-exceeded"]);
    expect(reads).toBeLessThan(120);
  });

  it("at pages", () => {
    const store = newStore();
    const root = page(store);
    poke(store, root, ...Array.from({ length: 512 }, () => pointerTo(page(store))));
    const { findings, reads } = listing(store, (root >> 2n) | 3n, { maxTables: 50 });
    expect(codesOf(findings)).toEqual(["iommu-mode-guessed", "limit-exceeded"]);
    // Once to find out how large contexts are, and once to read them.
    expect(reads).toBeLessThan(120);
  });

  it.each([1, 2, 3])("at a page that leads to itself, of %i levels", (levels) => {
    const store = newStore();
    const root = page(store);
    poke(store, root, ...full(pointerTo(root)));
    for (const cfg of [undefined, 0n, 1n << 22n]) {
      const { reads } = listing(store, (root >> 2n) | BigInt(levels + 1), { maxSharedTables: 50 }, cfg);
      expect(reads).toBeLessThan(60 + 2);
    }
  });

  it("at process directories that all devices share", () => {
    const store = newStore();
    const [root, processes] = [page(store), page(store)];
    poke(store, processes, ...full(pointerTo(processes)));
    const words = [0x21n, 0n, 0n, atp(3, processes)];
    poke(store, root, ...Array.from({ length: 128 }, () => words).flat());
    const limits = { maxSharedTables: 200, maxRecords: 5000 };
    const { entries, findings, reads } = listing(store, (root >> 2n) | 2n, limits, 0x1cn << 36n);
    expect(entries.length).toBeLessThanOrEqual(5000);
    expect(codesOf(findings)).toContain("limit-exceeded");
    expect(reads).toBeLessThan(300);
  });

  it("at a guest's directory behind a parent that leads to itself", () => {
    const store = newStore();
    const root = page(store);
    const parent = store.allocate(16384, 2)!;
    poke(store, parent, ...Array.from({ length: 2048 }, () => pointerTo(parent)));
    poke(store, root, 0x21n, atp(8, parent), 0n, atp(3, 0x5000n));
    const { entries, findings } = listing(
      store,
      (root >> 2n) | 2n,
      {},
      (0x2n << 16n) | (0x7n << 38n) | (1n << 9n),
    );
    expect(entries.map(({ kind }) => kind)).toEqual(["table"]);
    expect(codesOf(findings)).toEqual(["memory-absent"]);
  });
});

describe("garbage", () => {
  const word = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    // What looks like something: pointers and tables within the few pages that there are.
    fc.nat({ max: 12 }).map((n) => pointerTo(0x100000000n + BigInt(n * 4096))),
    fc
      .tuple(fc.constantFrom(0, 1, 2, 3, 8, 9, 10, 15), fc.nat({ max: 12 }))
      .map(([mode, n]) => atp(mode, 0x100000000n + BigInt(n * 4096))),
    fc.constantFrom(0n, 1n, 0x21n, 0x221n, 0x101n),
  );
  const pages = fc.array(fc.array(word, { minLength: 512, maxLength: 512 }), { minLength: 2, maxLength: 10 });
  const root = fc.oneof(
    fc
      .tuple(fc.nat({ max: 12 }), fc.nat({ max: 15 }))
      .map(([n, mode]) => (BigInt(n) << 10n) + (0x100000000n >> 2n) + BigInt(mode)),
    fc.nat({ max: 12 }).map((n) => 0x100000000n + BigInt(n * 4096)),
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  );

  it("throws nothing but KhoErrors, and does the same twice", () =>
    fc.assert(
      fc.property(
        pages,
        root,
        fc.option(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { nil: undefined }),
        fc.nat({ max: 0xffffff }),
        fc.option(fc.nat({ max: 0xfffff }), { nil: undefined }),
        (contents, at, cfg, device, pasid) => {
          const store = newStore();
          for (const words of contents) poke(store, page(store), ...words);
          const limits = { maxRecords: 300, maxSharedTables: 50, maxFindings: 100 };
          const once = () => {
            const { ctx, findings } = contextOver(store.memory, limits);
            try {
              const unit = openRiscv(ctx, { root: at, ...(cfg !== undefined && { cfg }) });
              const entries = [...unit.devices()];
              const one = unit.device(device, pasid);
              for (const entry of entries)
                expect(entry.kind === "table" || entry.kind === "nested").toBe(entry.table !== undefined);
              return { entries, one, findings };
            } catch (error) {
              if (!isKhoError(error, "iommu-root-malformed")) throw error;
              return error.message;
            }
          };
          expect(once()).toEqual(once());
        },
      ),
      { numRuns: 100 },
    ));
});
