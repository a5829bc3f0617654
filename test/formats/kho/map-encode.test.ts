import { describe, expect, it } from "vitest";
import { encodeBitmapMap, encodeChunks, planBitmapMap } from "../../../formats/kho/map-bitmaps-encode.js";
import { radixShape } from "../../../formats/kho/map-radix.js";
import { encodeRadixMap, planRadixMap } from "../../../formats/kho/map-radix-encode.js";
import type { PreservedMemory } from "../../../formats/kho/preserved.js";
import { type BitmapSkeleton, newRadixSkeleton, rootOf } from "../../../formats/kho/skeleton.js";
import { decodeHandover, openImage } from "../../../src/index.js";
import { type Memory, physAddr } from "../../../src/memory/index.js";
import { isKhoError } from "../../../src/report/error.js";
import { fixtures } from "../../conformance/truth.js";
import { decodeWritten } from "../../handover/synthetic/compare.js";
import { everything } from "../../handover/synthetic/plans.js";
import { dump } from "../../handover/synthetic/ram.js";
import { formOf } from "../../handover/synthetic/releases.js";
import { write } from "../../handover/synthetic/writer.js";
import { type Row, rowsOf, runsOf, Store } from "./store.js";

/** Bytes that are equal; the matchers of the test runner take seconds for a page of 64K. */
function expectBytes(pa: bigint, found: Uint8Array, wanted: Uint8Array): void {
  const at = found.findIndex((byte, i) => byte !== wanted[i]);
  expect({ pa, length: found.length, differsAt: at }).toEqual({ pa, length: wanted.length, differsAt: -1 });
}

/** A page with the bytes of a dump at its start and single bytes elsewhere. */
function page(size: number, text: string, bytes: readonly (readonly [number, number])[] = []): Uint8Array {
  const whole = new Uint8Array(size);
  whole.set(dump(text));
  for (const [at, value] of bytes) whole[at] = value;
  return whole;
}

describe("the order-0 page 0x10456c000, as kernels wrote it", () => {
  const chunkPa = physAddr(0x104570000n);
  const runs = runsOf([[0, 0x10456c, 1]]);

  it("6.18: a bitmap of a page", () => {
    const store = new Store(4096, "6.18");
    const skeleton = planBitmapMap(runs, "page", store.abi, (what) =>
      what === "chunk" ? chunkPa : physAddr(0x104572000n),
    );
    encodeBitmapMap(store, skeleton, runs);
    expect(rootOf(skeleton, store.abi)).toBe(chunkPa);
    expect(store.read(chunkPa, 4096)).toEqual(
      page(
        4096,
        `
0000  00 00 00 00 00 00 00 00  00 00 00 00 01 00 00 00
0010  00 00 00 00 01 00 00 00  00 20 57 04 01 00 00 00`,
      ),
    );
    expect(store.read(physAddr(0x104572000n), 4096)).toEqual(page(4096, "", [[0x8ad, 0x10]]));
    expect(store.left).toEqual([]);
    expect(store.bytesWritten).toBe(8192);
  });

  it("6.17.8: a bitmap of 512 bytes, whose neighbours are left alone", () => {
    const store = new Store(4096, "6.17.8");
    const skeleton = planBitmapMap(runs, 512, store.abi, (what) =>
      what === "chunk" ? chunkPa : physAddr(0x104573a00n),
    );
    encodeBitmapMap(store, skeleton, runs);
    expect(store.read(chunkPa, 4096)).toEqual(
      page(
        4096,
        `
0000  00 00 00 00 00 00 00 00  00 00 00 00 01 00 00 00
0010  00 00 00 04 01 00 00 00  00 3a 57 04 01 00 00 00`,
      ),
    );
    expect(store.read(physAddr(0x104573a00n), 512)).toEqual(page(512, "", [[0xad, 0x10]]));
    expect(store.left).toEqual([
      { what: "slab-neighbours", pa: 0x104573000n, length: 0xa00 },
      { what: "slab-neighbours", pa: 0x104573c00n, length: 0x400 },
    ]);
    expect(store.bytesWritten).toBe(4096 + 512);
  });
});

/** Page size, address, order; then table indices from the root, byte and mask in the leaf. */
const keys: [number, bigint, number, number[], number, number][] = [
  [4096, 0x1000n, 0, [2, 0, 0, 0, 0], 0x000, 0x02],
  [4096, 0x12345000n, 0, [2, 0, 0, 0, 2], 0x468, 0x20],
  [4096, 0x100a52000n, 0, [2, 0, 0, 0, 32], 0x14a, 0x04],
  [4096, 0x3ffff000n, 0, [2, 0, 0, 0, 7], 0xfff, 0x80],
  [4096, 0x200000n, 9, [0, 2, 0, 0, 0], 0x000, 0x02],
  [4096, 0x40000000n, 9, [0, 2, 0, 0, 0], 0x040, 0x01],
  [4096, 0x80000000n, 10, [0, 1, 0, 0, 0], 0x040, 0x01],
  [4096, 0x40000000n, 18, [0, 0, 2, 0, 0], 0x000, 0x02],
  [16384, 0x4000n, 0, [1, 0, 0, 0], 0x000, 0x02],
  [16384, 0x12344000n, 0, [1, 0, 0, 0], 0x91a, 0x02],
  [16384, 0x2000000n, 11, [0, 1, 0, 0], 0x000, 0x02],
  [65536, 0x10000n, 0, [8, 0, 0], 0x000, 0x02],
  [65536, 0x1230000n, 0, [8, 0, 0], 0x024, 0x08],
  [65536, 0x40000000n, 5, [0, 2048, 0], 0x040, 0x01],
  [65536, 0x20000000n, 13, [0, 8, 0], 0x000, 0x02],
];

describe("a tree of one block, byte for byte", () => {
  it.each(keys)("pages of %i, %s, order %i", (pageSize, pa, order, indices, byte, mask) => {
    const store = new Store(pageSize);
    const runs = runsOf([[order, Number(pa) / pageSize, 1]]);
    const skeleton = planRadixMap(runs, radixShape(store.abi), store.abi, store.place);
    encodeRadixMap(store, skeleton, runs);
    expect(store.pages).toBe(indices.length + 1);
    let node = rootOf(skeleton, store.abi);
    for (const index of indices) {
      const table = store.read(node, pageSize);
      const view = new DataView(table.buffer, table.byteOffset, pageSize);
      const child = view.getBigUint64(index * 8, true);
      const wanted = new Uint8Array(pageSize);
      new DataView(wanted.buffer).setBigUint64(index * 8, child, true);
      expectBytes(node, table, wanted);
      node = physAddr(child);
    }
    expectBytes(node, store.read(node, pageSize), page(pageSize, "", [[byte, mask]]));
  });
});

it("five pages in one leaf", () => {
  const store = new Store(4096);
  const runs = runsOf([
    [0, 0x100a51, 1],
    [0, 0x101c20, 1],
    [0, 0x103e44, 1],
    [0, 0x103e50, 1],
    [0, 0x103e51, 1],
  ]);
  let next = 0x100a52000n;
  const skeleton = planRadixMap(runs, radixShape(store.abi), store.abi, () => {
    next += 0x1000n;
    return physAddr(next - 0x1000n);
  });
  encodeRadixMap(store, skeleton, runs);
  // root[2], then [0], [0], [0], [32]: each node is placed right behind its parent.
  for (const [i, index] of [2, 0, 0, 0, 32].entries()) {
    const wanted = new Uint8Array(4096);
    new DataView(wanted.buffer).setBigUint64(8 * index, 0x100a52000n + BigInt(i + 1) * 0x1000n, true);
    expect(store.read(physAddr(0x100a52000n + BigInt(i) * 0x1000n), 4096)).toEqual(wanted);
  }
  expect(store.read(physAddr(0x100a57000n), 4096)).toEqual(
    page(4096, "", [
      [0x14a, 0x02],
      [0x384, 0x01],
      [0x7c8, 0x10],
      [0x7ca, 0x03],
    ]),
  );
  expect(store.pages).toBe(6);
});

/** Encodes a decoded map again and compares every byte of it with the memory that it was read from. */
function expectSameBytes(memory: Pick<Memory, "read">, preserved: PreservedMemory, pageSize: number): void {
  const store = new Store(pageSize);
  const { skeleton, runs, rootPa, mapPages } = preserved;
  expect(rootOf(skeleton, store.abi)).toBe(rootPa);
  const pages: bigint[] = [];
  const expectSame = (pa: bigint, length: number): void =>
    expectBytes(pa, store.read(physAddr(pa), length), memory.read(physAddr(pa), length));
  if (skeleton.kind === "bitmaps") {
    encodeBitmapMap(store, skeleton, runs);
    for (const { pa, entries } of skeleton.chunks) {
      pages.push(pa);
      expectSame(pa, pageSize);
      for (const { bitmap } of entries) {
        pages.push(bitmap - (bitmap % BigInt(pageSize)));
        expectSame(bitmap, skeleton.size === 512 ? 512 : pageSize);
      }
    }
    const left = store.left.reduce((sum, { length }) => sum + length, 0);
    expect(store.bytesWritten + left).toBe(mapPages * pageSize);
  } else {
    encodeRadixMap(store, skeleton, runs);
    for (const pfn of skeleton.pfn) {
      pages.push(BigInt(pfn) * BigInt(pageSize));
      expectSame(BigInt(pfn) * BigInt(pageSize), pageSize);
    }
    expect(store.bytesWritten).toBe(mapPages * pageSize);
  }
  expect(new Set(pages).size).toBe(mapPages);
}

describe("maps that kernels wrote come out of their skeletons to the byte", () => {
  it.each(fixtures)("$name", ({ core }) => {
    const image = openImage(core);
    const { handover } = decodeHandover(image);
    expectSameBytes(image.memory, handover.preserved!, handover.pageSize);
  });
});

describe("and those of a second writer, with bitmaps and leaves that are empty", () => {
  // One of each kind of map; of kho-v2, pages of 16K have the tree that loses the marker of order 0.
  const cases = ["6.17.8", "6.18", "7.3", "kho-v2"].flatMap((label) =>
    [4096, 16384, 65536].map((pageSize) => ({ label, pageSize })),
  );
  it.each(cases)("$label, pages of $pageSize", ({ label, pageSize }) => {
    const form = formOf(label);
    const described = everything(form, pageSize);
    const written = write({
      ...described,
      cleared: [
        { pfn: 2 ** 40 / pageSize, order: 0 },
        { pfn: 2 ** 41 / pageSize, order: 3 },
      ],
    });
    const { handover } = decodeWritten(written, form.development ? {} : { release: form.release });
    const { skeleton } = handover.preserved!;
    if (skeleton.kind === "radix") expect(skeleton.early).toBe(label === "kho-v2" && pageSize === 16384);
    const read: Memory["read"] = (pa, length) => written.ram.read(pa, length);
    expectSameBytes({ read }, handover.preserved!, pageSize);
  });
});

describe("what the writer's order is", () => {
  it("bitmaps by order and address, chunks that are full go on in another one", () => {
    const store = new Store(4096, "6.18");
    // 256 bitmaps of order 0, one more than a chunk has room for, and one of order 9.
    const runs = runsOf([[9, 512, 1], ...Array.from({ length: 256 }, (_, i): Row => [0, i * 32768 + 7, 1])]);
    const places: string[] = [];
    const { chunks } = planBitmapMap(runs, "page", store.abi, (what) => {
      places.push(what);
      return store.place();
    });
    expect(chunks.map(({ order, entries }) => [order, entries.length])).toEqual([
      [0, 255],
      [0, 1],
      [9, 1],
    ]);
    expect(chunks[0]!.entries.slice(0, 2).map(({ physStart }) => physStart)).toEqual([0n, 0x8000000n]);
    expect(chunks[1]!.entries[0]!.physStart).toBe(255n * 0x8000000n);
    expect(places).toEqual([...Array(257).fill("bitmap"), "chunk", "chunk", "chunk"]);
  });

  it("no blocks: no chunks, and a root node alone", () => {
    const store = new Store(4096);
    const bitmaps = planBitmapMap(runsOf([]), "page", store.abi, () => store.place());
    expect([bitmaps.chunks, rootOf(bitmaps, store.abi)]).toEqual([[], 0n]);
    encodeBitmapMap(store, bitmaps, runsOf([]));
    expect(store.writes).toBe(0);
    const tree = planRadixMap(runsOf([]), radixShape(store.abi), store.abi, store.place);
    expect([[...tree.level], [...tree.prefix]]).toEqual([[5], [0]]);
    encodeRadixMap(store, tree, runsOf([]));
    expect(store.read(rootOf(tree, store.abi), 4096)).toEqual(new Uint8Array(4096));
  });

  it("nodes of higher orders first, parents before children", () => {
    const { abi, place } = new Store(4096);
    const runs = runsOf([
      [0, 1, 1],
      [0, 2 ** 30, 1],
      [9, 512, 1],
      [18, 2 ** 18, 1],
    ]);
    const { level, prefix } = planRadixMap(runs, radixShape(abi), abi, place);
    // Order 18 is below root[0][0][2], order 9 below [0][2], order 0 below [2].
    expect([...level]).toEqual([5, 4, 3, 2, 1, 0, 3, 2, 1, 0, 4, 3, 2, 1, 0, 1, 0]);
    expect([...prefix].slice(1, 7)).toEqual([0, 0, 2, 2 * 512, 2 * 512 ** 2, 2]);
    expect([...prefix].at(-1)).toBe(2 ** 37 + 2 ** 15);
  });

  it("chunks alone, around bitmaps that are there already", () => {
    const store = new Store(4096, "6.19");
    const runs = runsOf([[0, 5, 1]]);
    const skeleton = planBitmapMap(runs, "page", store.abi, () => store.place());
    encodeChunks(store, skeleton);
    expect([store.writes, store.bytesWritten]).toEqual([1, 4096]);
  });
});

describe("a TiB of blocks of 2 MiB costs pages, not blocks", () => {
  const runs = runsOf([[9, 2 ** 28, 2 ** 19]]);
  it.each([
    ["page", 16 + 1, 17 * 4096],
    [512, 128 + 1, 128 * 512 + 4096],
  ] as const)("bitmaps of %s: %i writes of %i bytes", (size, writes, bytes) => {
    const store = new Store(4096, "6.18");
    const skeleton = planBitmapMap(runs, size, store.abi, (what) =>
      store.place(what === "chunk" || size === "page" ? 4096 : 512),
    );
    encodeBitmapMap(store, skeleton, runs);
    expect([store.writes, store.bytesWritten]).toEqual([writes, bytes]);
  });
  it("a tree: 16 leaves and the five nodes above them", () => {
    const store = new Store(4096);
    const skeleton = planRadixMap(runs, radixShape(store.abi), store.abi, store.place);
    encodeRadixMap(store, skeleton, runs);
    expect([store.writes, store.bytesWritten, skeleton.length]).toEqual([21, 21 * 4096, 21]);
  });
});

describe("what cannot be encoded", () => {
  const refused = (run: () => unknown): unknown => {
    try {
      run();
    } catch (error) {
      if (!isKhoError(error)) throw error;
      const { code, path, pa } = error;
      return { code, path, pa };
    }
    return undefined;
  };
  const { abi } = new Store(4096);
  const shape = radixShape(abi);
  const two = runsOf([
    [0, 1, 1],
    [0, 2 ** 20 + 3, 1],
  ]);

  it("a run without a leaf, without a bitmap", () => {
    const store = new Store(4096);
    const tree = planRadixMap(runsOf([[0, 1, 1]]), shape, abi, store.place);
    expect(refused(() => encodeRadixMap(store, tree, two))).toEqual({
      code: "value-range",
      path: "preserved[2][0][0][0][32]",
      pa: 0x100003000n,
    });
    const map = planBitmapMap(runsOf([[0, 1, 1]]), "page", abi, () => store.place());
    expect(refused(() => encodeBitmapMap(store, map, two))).toEqual({
      code: "value-range",
      path: "preserved.runs",
      pa: 0x100003000n,
    });
    // In front of the first bitmap, and of an order that has none.
    const behind = planBitmapMap(runsOf([[0, 2 ** 20, 1]]), "page", abi, () => store.place());
    expect(refused(() => encodeBitmapMap(store, behind, two))).toMatchObject({ pa: 0x1000n });
    expect(refused(() => encodeBitmapMap(store, behind, runsOf([[4, 32, 1]])))).toMatchObject({
      pa: 0x20000n,
    });
    // A run that begins in a bitmap and goes on where there is none.
    const on = runsOf([[0, 2 ** 20, 2 ** 15 + 1]]);
    expect(refused(() => encodeBitmapMap(store, behind, on))).toMatchObject({ pa: 0x108000000n });
  });

  it.each<[string, Row]>([
    ["not aligned", [3, 4, 1]],
    ["an order beyond the address", [52, 0, 1]],
    ["beyond 2^64", [0, 2 ** 52 - 1, 2]],
    ["not whole", [0, 0.5, 1]],
    ["negative", [0, -1, 1]],
  ])("blocks that there cannot be: %s", (_, row) => {
    const runs = runsOf([row]);
    const path = "preserved.runs[0]";
    expect(refused(() => planRadixMap(runs, shape, abi, () => physAddr(0)))).toMatchObject({
      code: "value-range",
      path,
    });
    expect(refused(() => planBitmapMap(runs, "page", abi, () => physAddr(0)))).toMatchObject({
      code: "value-range",
      path,
    });
  });

  it("more than a decoder follows", () => {
    const runs = runsOf([[0, 0, 2 ** 51]]);
    expect(refused(() => planRadixMap(runs, shape, abi, () => physAddr(4096)))).toMatchObject({
      code: "limit-exceeded",
    });
    expect(refused(() => planBitmapMap(runs, 512, abi, () => physAddr(4096)))).toMatchObject({
      code: "limit-exceeded",
    });
  });

  it("skeletons that are no map", () => {
    const tree = (...nodes: [level: number, prefix: number, pa: number][]) => {
      const skeleton = newRadixSkeleton(false, abi);
      for (const [level, prefix, pa] of nodes) skeleton.push(level, prefix, physAddr(pa));
      return skeleton.finish();
    };
    const none = runsOf([]);
    const trees = [
      tree(),
      tree([5, 0, 0x1000], [5, 0, 0x2000]),
      tree([5, 0, 0x1000], [4, 0, 0x1000]),
      tree([5, 0, 0x1000], [3, 0, 0x2000]),
      tree([5, 0, 0x1000], [4, 512, 0x2000]),
      tree([5, 0, 0x1000], [6, 0, 0x2000]),
      tree([5, 0, 0x1000], [4, 1, 0x2000], [4, 1, 0x3000]),
    ];
    for (const skeleton of trees)
      expect(refused(() => encodeRadixMap(new Store(4096), skeleton, none))).toMatchObject({
        code: "value-range",
      });
    const chunk = (order: number, ...entries: [physStart: number, bitmap: number][]) => ({
      order,
      pa: physAddr(0x1000),
      entries: entries.map(([physStart, bitmap]) => ({
        physStart: physAddr(physStart),
        bitmap: physAddr(bitmap),
      })),
    });
    const maps: BitmapSkeleton["chunks"][] = [
      [chunk(52)],
      [chunk(0, [0x1000, 0x2000])],
      [chunk(0, [0, 0])],
      [chunk(0, [0, 0x1000])],
      [chunk(0, [0, 0x2000], [0, 0x3000])],
      [chunk(0, [0, 0x2000], [0x8000000, 0x2800])],
      [
        chunk(
          0,
          ...Array.from({ length: 256 }, (_, i): [number, number] => [i * 0x8000000, 0x2000 + i * 0x1000]),
        ),
      ],
    ];
    for (const chunks of maps)
      expect(
        refused(() => encodeBitmapMap(new Store(4096), { kind: "bitmaps", size: "page", chunks }, none)),
      ).toMatchObject({ code: "value-range" });
  });
});

it("runs in any order are as good", () => {
  const rows: Row[] = [
    [0, 9, 1],
    [3, 64, 2],
    [0, 3, 2],
    [3, 8, 1],
  ];
  const unsorted = {
    length: rows.length,
    order: Uint8Array.from(rows, ([order]) => order),
    pfn: Float64Array.from(rows, ([, pfn]) => pfn),
    count: Float64Array.from(rows, ([, , count]) => count),
  };
  const sorted = rowsOf(runsOf(rows));
  const store = new Store(4096);
  const tree = planRadixMap(unsorted, radixShape(store.abi), store.abi, store.place);
  encodeRadixMap(store, tree, unsorted);
  expect(rowsOf(store.decodeRadix(rootOf(tree, store.abi), radixShape(store.abi)).map.runs)).toEqual(sorted);
  const map = planBitmapMap(unsorted, "page", store.abi, () => store.place());
  encodeBitmapMap(store, map, unsorted);
  expect(rowsOf(store.decodeBitmaps(rootOf(map, store.abi), "page").map.runs)).toEqual(sorted);
});
