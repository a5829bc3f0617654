import { describe, expect, it } from "vitest";
import {
  decodeRadixMap,
  radixBlock,
  radixKey,
  radixPath,
  radixShape,
} from "../../../formats/kho/map-radix.js";
import { physAddr } from "../../../src/memory/index.js";
import { Ram } from "../../handover/synthetic/ram.js";
import { abiOf, contextOf } from "./support.js";

/** Page size, address, order; then key, table indices from the root, bit, byte and mask in the leaf. */
const keys: [number, bigint, number, bigint, number[], number, number, number][] = [
  [4096, 0x1000n, 0, 0x10000000000001n, [2, 0, 0, 0, 0], 1, 0x000, 0x02],
  [4096, 0x12345000n, 0, 0x10000000012345n, [2, 0, 0, 0, 2], 9029, 0x468, 0x20],
  [4096, 0x100a52000n, 0, 0x10000000100a52n, [2, 0, 0, 0, 32], 2642, 0x14a, 0x04],
  [4096, 0x3ffff000n, 0, 0x1000000003ffffn, [2, 0, 0, 0, 7], 32767, 0xfff, 0x80],
  [4096, 0x200000n, 9, 0x80000000001n, [0, 2, 0, 0, 0], 1, 0x000, 0x02],
  [4096, 0x40000000n, 9, 0x80000000200n, [0, 2, 0, 0, 0], 512, 0x040, 0x01],
  [4096, 0x80000000n, 10, 0x40000000200n, [0, 1, 0, 0, 0], 512, 0x040, 0x01],
  [4096, 0x40000000n, 18, 0x400000001n, [0, 0, 2, 0, 0], 1, 0x000, 0x02],
  [16384, 0x4000n, 0, 0x4000000000001n, [1, 0, 0, 0], 1, 0x000, 0x02],
  [16384, 0x12344000n, 0, 0x40000000048d1n, [1, 0, 0, 0], 18641, 0x91a, 0x02],
  [16384, 0x2000000n, 11, 0x8000000001n, [0, 1, 0, 0], 1, 0x000, 0x02],
  [65536, 0x10000n, 0, 0x1000000000001n, [8, 0, 0], 1, 0x000, 0x02],
  [65536, 0x1230000n, 0, 0x1000000000123n, [8, 0, 0], 291, 0x024, 0x08],
  [65536, 0x40000000n, 5, 0x80000000200n, [0, 2048, 0], 512, 0x040, 0x01],
  [65536, 0x20000000n, 13, 0x800000001n, [0, 8, 0], 1, 0x000, 0x02],
];

describe("keys of the radix tree", () => {
  it.each(keys)("pages of %i, %s, order %i", (pageSize, pa, order, key, indices, bit, byte, mask) => {
    const abi = abiOf(pageSize);
    expect(radixKey(physAddr(pa), order, abi)).toBe(key);
    expect(radixBlock(key, abi)).toEqual({ pa, order });
    expect(radixPath(key, radixShape(abi))).toEqual({ indices, bit });
    expect([Math.floor(bit / 8), 2 ** (bit % 8)]).toEqual([byte, mask]);
  });

  it.each(keys)(
    "pages of %i, %s, order %i, found where it is written",
    (pageSize, pa, order, _, indices, __, byte, mask) => {
      const ram = new Ram();
      const node = (i: number): bigint => 0x40000000n + BigInt(i * pageSize);
      ram.have(node(0), pageSize * (indices.length + 1));
      for (const [i, index] of indices.entries()) ram.u64(node(i) + BigInt(8 * index), node(i + 1));
      ram.u8(node(indices.length) + BigInt(byte), mask);
      const { ctx, findings } = contextOf(ram, "7.3", pageSize);
      const { runs, mapPages, kind } = decodeRadixMap(ctx, physAddr(node(0)), radixShape(ctx.abi))!;
      expect(findings).toEqual([]);
      expect([runs.length, runs.order[0], runs.pfn[0], runs.count[0]]).toEqual([
        1,
        order,
        Number(pa) / pageSize,
        1,
      ]);
      expect([mapPages, kind]).toEqual([indices.length + 1, "radix"]);
    },
  );

  it("have no block for keys without an address", () => {
    for (const pageSize of [4096, 16384, 65536]) {
      const abi = abiOf(pageSize);
      expect(radixBlock(0n, abi)).toBeUndefined();
      expect(radixBlock(1n, abi)).toBeUndefined();
      expect(radixBlock(2n ** BigInt(65 - Math.log2(pageSize)), abi)).toBeUndefined();
      // The largest block that leaves a bit of address.
      expect(radixBlock(3n, abi)).toEqual({ pa: 2n ** 63n, order: 63 - Math.log2(pageSize) });
    }
  });
});

describe("the shape of the tree", () => {
  it.each([
    [4096, 9, 15, 53, 6, 6],
    [16384, 11, 17, 51, 5, 4],
    [65536, 13, 19, 49, 4, 4],
  ])("pages of %i", (pageSize, table, leaf, key, depth, early) => {
    expect(radixShape(abiOf(pageSize))).toEqual({ table, leaf, key, depth });
    expect(radixShape(abiOf(pageSize), true).depth).toBe(early);
  });
});

it("a leaf of five pages, and an empty leaf beside it", () => {
  const ram = new Ram();
  const root = 0x100a52000n;
  // root[2], then [0], [0], [0], and of the last table [32] for these pages and [33] for none.
  const nodes = [root, 0x100a53000n, 0x100a54000n, 0x100a55000n, 0x100a56000n, 0x100a57000n, 0x100a58000n];
  for (const node of nodes) ram.have(node, 4096);
  ram.u64(root + 16n, nodes[1]!);
  for (const i of [1, 2, 3]) ram.u64(nodes[i]!, nodes[i + 1]!);
  ram.u64(nodes[4]! + 8n * 32n, nodes[5]!);
  ram.u64(nodes[4]! + 8n * 33n, nodes[6]!);
  for (const [byte, mask] of [
    [0x14a, 0x02],
    [0x384, 0x01],
    [0x7c8, 0x10],
    [0x7ca, 0x03],
  ] as const)
    ram.u8(nodes[5]! + BigInt(byte), mask);
  const { ctx, findings } = contextOf(ram);
  const { runs, mapPages } = decodeRadixMap(ctx, physAddr(root), radixShape(ctx.abi))!;
  expect(findings).toEqual([]);
  expect([...runs.pfn]).toEqual([0x100a51, 0x101c20, 0x103e44, 0x103e50]);
  expect([...runs.count]).toEqual([1, 1, 1, 2]);
  expect([...runs.order]).toEqual([0, 0, 0, 0]);
  expect(mapPages).toBe(7);
});

it("keys of the first leaf, where every order from the largest down has its marker inside", () => {
  const ram = new Ram();
  for (let i = 0; i < 6; i++) {
    ram.have(0x40000000n + BigInt(i * 4096), 4096);
    if (i < 5) ram.u64(0x40000000n + BigInt(i * 4096), 0x40000000n + BigInt((i + 1) * 4096));
  }
  const leaf = 0x40005000n;
  // Keys 3, 4, 5, 6, 7 and 8: order 51 at 2^63; order 50 at 0 to 3 * 2^62; order 49 at 0.
  ram.u16(leaf, 0b1_1111_1000);
  const { ctx } = contextOf(ram);
  const { runs } = decodeRadixMap(ctx, physAddr(0x40000000n), radixShape(ctx.abi))!;
  const rows = Array.from({ length: runs.length }, (_, i) => [runs.order[i], runs.pfn[i], runs.count[i]]);
  expect(rows).toEqual([
    [49, 0, 1],
    [50, 0, 4],
    [51, 2 ** 51, 1],
  ]);
});
