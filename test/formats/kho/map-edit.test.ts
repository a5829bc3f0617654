import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bitmapTracker } from "../../../formats/kho/bitmap-tracker.js";
import { encodeBitmapMap, encodeChunks, planBitmapMap } from "../../../formats/kho/map-bitmaps-encode.js";
import type { MapEditor } from "../../../formats/kho/map-editor.js";
import { radixShape } from "../../../formats/kho/map-radix.js";
import { encodeRadixMap, planRadixMap } from "../../../formats/kho/map-radix-encode.js";
import { radixEditor } from "../../../formats/kho/radix-editor.js";
import { type BitmapSize, type BitmapSkeleton, rootOf } from "../../../formats/kho/skeleton.js";
import { physAddr } from "../../../src/memory/index.js";
import { writeRadix } from "../../handover/synthetic/map.js";
import { Ram } from "../../handover/synthetic/ram.js";
import { type Row, rowsOf, runsOf, Store } from "./store.js";

const pageSizes = [4096, 16384, 65536] as const;
const shiftOf = (pageSize: number): number => Math.log2(pageSize);

/**
 * Blocks around places where something changes: the ends of leaves and bitmaps, of tables, of memory. Positions are in
 * blocks of the order.
 */
const rowFor = (pageSize: number, highest = 63 - shiftOf(pageSize)): fc.Arbitrary<Row> =>
  fc
    .record({
      order: fc.oneof({ weight: 3, arbitrary: fc.nat(4) }, { weight: 1, arbitrary: fc.nat(highest) }),
      near: fc.constantFrom(0, 4096, 8 * pageSize, 8 * pageSize * 3, pageSize ** 2, 2 ** 33, 2 ** 52),
      off: fc.integer({ min: -70, max: 70 }),
      count: fc.oneof(fc.integer({ min: 1, max: 80 }), fc.constantFrom(1, 32, 5000, 9 * pageSize)),
    })
    .map(({ order, near, off, count }): Row => {
      const blocks = 2 ** (64 - shiftOf(pageSize) - order);
      const first = Math.min(Math.max(0, Math.min(near, blocks) + off), blocks - 1);
      return [order, first * 2 ** order, Math.min(count, blocks - first)];
    });

const sized = fc.constantFrom(...pageSizes).chain((pageSize) =>
  fc.record({
    pageSize: fc.constant(pageSize),
    rows: fc.array(rowFor(pageSize), { maxLength: 12 }),
  }),
);

/** Runs that overlap are legal to write, but come back merged. */
function union(rows: readonly Row[]): Row[] {
  const merged: Row[] = [];
  for (const [order, pfn, count] of [...rows].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const last = merged.at(-1);
    const end = last && last[1] + last[2] * 2 ** order;
    if (last && end !== undefined && last[0] === order && pfn <= end) {
      const more = Math.max(end, pfn + count * 2 ** order);
      merged[merged.length - 1] = [order, last[1], (more - last[1]) / 2 ** order];
    } else merged.push([order, pfn, count]);
  }
  return merged;
}

/** What a release before 7.2 cannot do with large blocks is no fault of the map. */
const faultsOf = (faults: readonly string[]): string[] =>
  faults.filter((fault) => !fault.includes("order-too-large"));

describe("any blocks come out of the map that they are put into", () => {
  it("a radix tree", () => {
    fc.assert(
      fc.property(sized, ({ pageSize, rows }) => {
        const store = new Store(pageSize);
        const shape = radixShape(store.abi);
        const runs = runsOf(rows);
        const skeleton = planRadixMap(runs, shape, store.abi, store.place);
        encodeRadixMap(store, skeleton, runs);
        const { map, faults } = store.decodeRadix(rootOf(skeleton, store.abi), shape);
        expect(faultsOf(faults)).toEqual([]);
        expect(rowsOf(map.runs)).toEqual(union(rows));
        expect(map.skeleton).toEqual(skeleton);
      }),
      { numRuns: 150, seed: 20260201 },
    );
  });

  it.each<BitmapSize>([512, "page"])("bitmaps of %s", (size) => {
    fc.assert(
      fc.property(sized, ({ pageSize, rows }) => {
        const store = new Store(pageSize, size === 512 ? "6.17" : "6.18");
        const runs = runsOf(rows);
        const skeleton = planBitmapMap(runs, size, store.abi, (what) =>
          store.place(what === "bitmap" && size === 512 ? 512 : pageSize),
        );
        encodeBitmapMap(store, skeleton, runs);
        const { map, faults } = store.decodeBitmaps(rootOf(skeleton, store.abi), size);
        expect(faultsOf(faults)).toEqual([]);
        expect(rowsOf(map.runs)).toEqual(union(rows));
        expect(map.skeleton).toEqual(skeleton);
        const left = store.left.reduce((sum, { length }) => sum + length, 0);
        expect(store.bytesWritten + left).toBe(map.mapPages * pageSize);
      }),
      { numRuns: 100, seed: 20260202 },
    );
  });

  it("an early tree with pages of 16K keeps every order but 0", () => {
    fc.assert(
      fc.property(
        fc.array(
          rowFor(16384).filter(([order]) => order > 0),
          { maxLength: 12 },
        ),
        (rows) => {
          const store = new Store(16384);
          const shape = radixShape(store.abi, true);
          const runs = runsOf(rows);
          const skeleton = planRadixMap(runs, shape, store.abi, store.place);
          expect(skeleton.early).toBe(true);
          encodeRadixMap(store, skeleton, runs);
          const { map, faults } = store.decodeRadix(rootOf(skeleton, store.abi), shape);
          expect(faultsOf(faults)).toEqual([]);
          expect(rowsOf(map.runs)).toEqual(union(rows));
        },
      ),
      { numRuns: 50, seed: 20260203 },
    );
  });

  it("and of order 0 writes what a second writer writes, marker lost", () => {
    const ram = new Ram();
    const blocks = [
      { pfn: 0, order: 0 },
      { pfn: 5, order: 0 },
      { pfn: 2 ** 20 + 1, order: 0 },
      { pfn: 2 ** 40, order: 0 },
      { pfn: 8, order: 3 },
    ];
    let next = 0x40000000n;
    const { root, at } = writeRadix(
      ram,
      blocks,
      16384,
      () => {
        next += 16384n;
        return next;
      },
      true,
    );
    const store = new Store(16384);
    const runs = runsOf(blocks.map(({ pfn, order }): Row => [order, pfn, 1]));
    const skeleton = planRadixMap(runs, radixShape(store.abi, true), store.abi, store.place);
    encodeRadixMap(store, skeleton, runs);
    expect(skeleton.length).toBe(new Set([root, ...at.values()]).size);
    // Leaves by prefix: the second writer names them.
    let leaves = 0;
    for (let i = 0; i < skeleton.length; i++) {
      if (skeleton.level[i] !== 0) continue;
      leaves++;
      const theirs = ram.read(at.get(`leaf:${skeleton.prefix[i]}`)!, 16384);
      const ours = store.read(physAddr(BigInt(skeleton.pfn[i]!) * 16384n), 16384);
      expect(Buffer.compare(ours, theirs)).toBe(0);
    }
    // Page 0 and 5 are keys 0 and 5 now.
    expect(leaves).toBe(4);
  });
});

interface Step {
  readonly add: boolean;
  readonly row: Row;
}
const steps = fc.constantFrom(...pageSizes).chain((pageSize) =>
  fc.record({
    pageSize: fc.constant(pageSize),
    list: fc.array(fc.record({ add: fc.integer({ max: 2 }).map((n) => n > 0), row: rowFor(pageSize) }), {
      maxLength: 10,
    }),
  }),
);

const nameOf = (order: number, pfn: number): string => `${order}:${pfn}`;

/** Does the steps on an editor and on a plain set, and returns the set as rows. */
function play(editor: MapEditor, list: readonly Step[]): Row[] {
  const model = new Map<string, Row>();
  for (const { add, row } of list) {
    const [order, pfn, count] = row;
    if (add) editor.add(order, pfn, count);
    else editor.remove(order, pfn, count);
    for (let i = 0; i < count; i++) {
      const block = pfn + i * 2 ** order;
      if (add) model.set(nameOf(order, block), [order, block, 1]);
      else model.delete(nameOf(order, block));
    }
  }
  for (const { row } of list) {
    const [order, pfn, count] = row;
    for (const i of [0, count - 1, Math.floor(count / 2)]) {
      const block = pfn + i * 2 ** order;
      expect([order, block, editor.has(order, block)]).toEqual([
        order,
        block,
        model.has(nameOf(order, block)),
      ]);
    }
  }
  return [...model.values()];
}

describe("blocks that are added and removed, against a plain set", () => {
  it("in a radix tree", () => {
    fc.assert(
      fc.property(steps, fc.boolean(), ({ pageSize, list }, early) => {
        const store = new Store(pageSize);
        const { abi } = store;
        const shape = radixShape(abi, early);
        const root = store.allocate();
        const isLossy = early && pageSize === 16384;
        const kept = isLossy ? list.filter(({ row }) => row[0] > 0) : list;
        const rows = play(radixEditor(store, root, shape, abi, store.allocate), kept);
        const { map, faults } = store.decodeRadix(root, shape);
        expect(faultsOf(faults)).toEqual([]);
        expect(rowsOf(map.runs)).toEqual(rowsOf(runsOf(rows)));

        // All of its bytes are what encoding gives for the same set; empty nodes remain and are in the skeleton.
        const again = new Store(pageSize);
        if (map.skeleton.kind !== "radix") throw new Error("no tree");
        encodeRadixMap(again, map.skeleton, runsOf(rows));
        expect(again.pages).toBe(store.pages);
        for (const pfn of map.skeleton.pfn) {
          const pa = physAddr(BigInt(pfn) * BigInt(pageSize));
          expect(Buffer.compare(again.read(pa, pageSize), store.read(pa, pageSize))).toBe(0);
        }
        // And no node is there that no block ever needed.
        const touched = runsOf(kept.filter(({ add }) => add).map(({ row }) => row));
        expect(map.skeleton.length).toBe(planRadixMap(touched, shape, abi, again.place).length);
      }),
      { numRuns: 80, seed: 20260204 },
    );
  });

  it.each<BitmapSize>([512, "page"])("in bitmaps of %s", (size) => {
    fc.assert(
      fc.property(steps, ({ pageSize, list }) => {
        const store = new Store(pageSize, "6.18");
        const { abi } = store;
        const given: bigint[] = [];
        const tracker = bitmapTracker(store, size, abi, () => {
          const pa = store.allocate(size === 512 ? 512 : pageSize);
          given.push(pa);
          return pa;
        });
        const rows = play(tracker, list);
        const skeleton = tracker.skeleton(store.place);
        encodeChunks(store, skeleton);
        const { map, faults } = store.decodeBitmaps(rootOf(skeleton, abi), size);
        expect(faultsOf(faults)).toEqual([]);
        expect(rowsOf(map.runs)).toEqual(rowsOf(runsOf(rows)));
        expect(map.skeleton).toEqual(skeleton);

        const again = new Store(pageSize, "6.18");
        encodeBitmapMap(again, skeleton, runsOf(rows));
        const places = skeleton.chunks.flatMap(({ pa, entries }) => [
          [pa, pageSize] as const,
          ...entries.map(({ bitmap }) => [bitmap, size === 512 ? 512 : pageSize] as const),
        ]);
        for (const [pa, length] of places)
          expect(Buffer.compare(again.read(pa, length), store.read(pa, length))).toBe(0);
        // The same bitmaps in the same order as for all that ever was added.
        const touched = runsOf(list.filter(({ add }) => add).map(({ row }) => row));
        const starts = ({ chunks }: BitmapSkeleton) =>
          chunks.map(({ order, entries }) => [order, entries.map(({ physStart }) => physStart)]);
        expect(starts(skeleton)).toEqual(starts(planBitmapMap(touched, size, abi, () => store.place())));

        const back: bigint[] = [];
        tracker.free((pa) => back.push(pa));
        expect(back.sort()).toEqual(given.sort());
        expect(tracker.skeleton(store.place).chunks).toEqual([]);
        for (const [order, pfn] of rows.slice(0, 3)) expect(tracker.has(order, pfn)).toBe(false);
      }),
      { numRuns: 80, seed: 20260205 },
    );
  });
});

/** Both, over one store of 4K pages. */
const editors: [string, (store: Store, allocate: () => ReturnType<Store["place"]>) => MapEditor][] = [
  [
    "a radix tree",
    (store, allocate) => radixEditor(store, store.allocate(), radixShape(store.abi), store.abi, allocate),
  ],
  ["bitmaps", (store, allocate) => bitmapTracker(store, "page", store.abi, allocate)],
];

describe.each(editors)("%s", (name, make) => {
  it("writes the bytes that change, and no others", () => {
    const store = new Store(4096);
    const editor = make(store, () => store.allocate());
    const tables = name === "bitmaps" ? 0 : 5;
    const cost = (run: () => void): [writes: number, bytes: number] => {
      const { writes, bytesWritten } = store;
      run();
      return [store.writes - writes, store.bytesWritten - bytesWritten];
    };
    // Nodes are linked with eight bytes each; the bit is one byte.
    expect(cost(() => editor.add(0, 9, 1))).toEqual([tables + 1, tables * 8 + 1]);
    expect(cost(() => editor.add(0, 9, 1))).toEqual([0, 0]);
    expect(cost(() => editor.add(0, 10, 1))).toEqual([1, 1]);
    // Bits 8 to 47: the first byte changes, and four more.
    expect(cost(() => editor.add(0, 8, 40))).toEqual([1, 5]);
    expect(cost(() => editor.add(0, 8, 48))).toEqual([1, 1]);
    expect(cost(() => editor.remove(0, 16, 8))).toEqual([1, 1]);
    expect(cost(() => editor.remove(0, 2 ** 40, 2 ** 20))).toEqual([0, 0]);
    expect(cost(() => editor.has(0, 2 ** 40))).toEqual([0, 0]);
    // A TiB in blocks of 2 MiB: 16 bitmaps; of a tree, one more chain of tables above them, from the root's other half.
    expect(cost(() => editor.add(9, 2 ** 28, 2 ** 19))).toEqual([
      16 + (tables && 4 + 16),
      16 * 4096 + (tables && 8 * (4 + 16)),
    ]);
  });

  it("half a million blocks, one by one, are a byte each", () => {
    const store = new Store(4096);
    const editor = make(store, () => store.allocate());
    for (let i = 0; i < 500_000; i++) editor.add(0, 2 ** 20 + i, 1);
    const cells = Math.ceil(500_000 / 2 ** 15);
    expect(store.writes).toBe(500_000 + (name === "bitmaps" ? 0 : cells + 4));
    expect(editor.has(0, 2 ** 20 + 499_999)).toBe(true);
    expect(editor.has(0, 2 ** 20 + 500_000)).toBe(false);
  });

  it("adds nothing where memory runs out on the way", () => {
    const store = new Store(4096);
    let room = 100;
    const editor = make(store, () => {
      if (room-- === 0) throw new Error("no memory");
      return store.allocate();
    });
    editor.add(0, 0, 3);
    room = 2;
    expect(() => editor.add(0, 2, 4 * 2 ** 15)).toThrow("no memory");
    for (const pfn of [3, 2 ** 15 - 1, 2 ** 15, 2 ** 16, 2 ** 17]) expect(editor.has(0, pfn)).toBe(false);
    for (const pfn of [0, 1, 2]) expect(editor.has(0, pfn)).toBe(true);
    room = 100;
    editor.add(0, 2, 4 * 2 ** 15);
    for (const pfn of [3, 2 ** 15 - 1, 2 ** 15, 2 ** 16, 2 ** 17, 2 ** 17 + 1])
      expect(editor.has(0, pfn)).toBe(true);
    expect(editor.has(0, 2 ** 17 + 2)).toBe(false);
  });

  it("refuses what is no block", () => {
    const store = new Store(4096);
    const editor = make(store, () => store.allocate());
    const { writes } = store;
    for (const [order, pfn, count] of [
      [1, 3, 1],
      [52, 0, 1],
      [-1, 0, 1],
      [0, 2 ** 52, 1],
      [0, 0, 2 ** 52 + 1],
      [0, 0.5, 1],
      [0, 0, 1.5],
    ] as const) {
      expect(() => editor.add(order, pfn, count)).toThrow(expect.objectContaining({ code: "value-range" }));
      expect(() => editor.remove(order, pfn, count)).toThrow(
        expect.objectContaining({ code: "value-range" }),
      );
    }
    expect(() => editor.has(1, 3)).toThrow(expect.objectContaining({ code: "value-range" }));
    expect(() => editor.add(0, 0, 2 ** 51)).toThrow(expect.objectContaining({ code: "limit-exceeded" }));
    expect(() => editor.remove(0, 0, 2 ** 51)).toThrow(expect.objectContaining({ code: "limit-exceeded" }));
    editor.add(0, 7, 0);
    expect(editor.has(0, 7)).toBe(false);
    expect(store.writes).toBe(writes);
  });
});

it("a tree that is there already is gone on with", () => {
  const store = new Store(4096);
  const shape = radixShape(store.abi);
  const runs = runsOf([
    [0, 1, 1],
    [9, 512, 4],
  ]);
  const skeleton = planRadixMap(runs, shape, store.abi, store.place);
  encodeRadixMap(store, skeleton, runs);
  const root = rootOf(skeleton, store.abi);
  const editor = radixEditor(store, root, shape, store.abi, store.allocate);
  expect([editor.has(0, 1), editor.has(0, 2), editor.has(9, 4 * 512), editor.has(9, 5 * 512)]).toEqual([
    true,
    false,
    true,
    false,
  ]);
  const { pages } = store;
  editor.remove(9, 512, 1);
  editor.add(0, 2, 1);
  expect(store.pages).toBe(pages);
  expect(rowsOf(store.decodeRadix(root, shape).map.runs)).toEqual([
    [0, 1, 2],
    [9, 1024, 3],
  ]);
});
