import { type Abi, pageShift } from "../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import { hex } from "../../src/report/hex.js";
import { bootStops, misread } from "../consequence.js";
import { type Context, readMemory } from "../context.js";
import { isAtLeast } from "../kernels.js";
import { fastestEdges } from "./bitmap-edges.js";
import { reportLargeOrders } from "./large-orders.js";
import { reportOverwritten } from "./overwritten.js";
import type { PreservedMemory } from "./preserved.js";
import { entriesOf, entrySize } from "./radix-table.js";
import { newRuns, type RunsBuilder } from "./runs.js";
import { newRadixSkeleton } from "./skeleton.js";

/**
 * The numbers that the tree follows from, all base-2 logarithms but `depth`. kernel/liveupdate/kexec_handover.c, since 7.1.
 */
export interface RadixShape {
  /** Bits of a table index: a page of u64. */
  readonly table: number;
  /** Bits of a leaf index: a page of bits. */
  readonly leaf: number;
  /** Width of a key: a marker bit above the widest frame number. At most 53, so keys are exact as numbers. */
  readonly key: number;
  /** Levels, the leaf included. */
  readonly depth: number;
}

/**
 * The shape of the tree for a page size. Trees of `kho-v2`, and of `kho-v3` before its release, count one bit less
 * when they work out the depth, which takes a level away on 16K pages and nothing elsewhere.
 */
export function radixShape(abi: Abi, early = false): RadixShape {
  const table = pageShift(abi) - 3;
  const leaf = pageShift(abi) + 3;
  const key = 65 - pageShift(abi);
  return { table, leaf, key, depth: Math.ceil((key - (early ? 1 : 0) - leaf) / table) + 1 };
}

/** The key of the block of `2 ** order` pages at `pa`: a marker bit tells the order, the bits below it the place. */
export function radixKey(pa: PhysAddr, order: number, abi: Abi): bigint {
  const shift = BigInt(pageShift(abi) + order);
  return (1n << (64n - shift)) | (pa >> shift);
}

/** The block that a key names. Undefined for 0 and for orders that leave no address bits. */
export function radixBlock(key: bigint, abi: Abi): { pa: PhysAddr; order: number } | undefined {
  if (key <= 0n) return undefined;
  const marker = key.toString(2).length - 1;
  const order = 64 - pageShift(abi) - marker;
  if (order < 0 || order > 63 - pageShift(abi)) return undefined;
  return { pa: physAddr(key << BigInt(pageShift(abi) + order)), order };
}

/** The table indices from the root down and the bit in the leaf. */
export function radixPath(key: bigint, shape: RadixShape): { indices: number[]; bit: number } {
  const indices: number[] = [];
  for (let level = shape.depth - 1; level >= 1; level--)
    indices.push(Number(BigInt.asUintN(shape.table, key >> BigInt((level - 1) * shape.table + shape.leaf))));
  return { indices, bit: Number(BigInt.asUintN(shape.leaf, key)) };
}

/** Reads the memory map of `kho-v2` to `kho-v4`; undefined if something else is where it should be. */
export function decodeRadixMap(
  ctx: Context,
  rootPa: PhysAddr,
  shape: RadixShape,
): PreservedMemory | undefined {
  const { abi, kernel, limits } = ctx;
  const runs = newRuns();
  const skeleton = newRadixSkeleton(shape.depth < radixShape(abi).depth, abi);
  let nodes = 0;
  const stops = bootStops("the kernel does not check the map: unhandled fault or invented blocks");

  /** Claims and reads a node; both reasons to leave it out are reported. */
  const node = (pa: PhysAddr, path: string): Uint8Array | undefined => {
    const place = { path, pa, length: abi.pageSize, consequence: stops };
    if (pa % BigInt(abi.pageSize) !== 0n) {
      ctx.report("error", "map-bad-node", `the radix tree node at ${hex(pa)} is not page aligned`, place);
      return undefined;
    }
    if (nodes >= limits.maxMapNodes) {
      if (nodes++ === limits.maxMapNodes)
        ctx.report(
          "error",
          "limit-exceeded",
          `the radix tree has more than ${limits.maxMapNodes} nodes`,
          place,
        );
      return undefined;
    }
    // Before it is read: a table has an entry for every eight bytes, and all can lead to one page.
    const owner = ctx.claims.ownerOf(pa);
    if (owner !== undefined) {
      ctx.report(
        "error",
        "map-cycle",
        `the radix tree node at ${hex(pa)} is in use already, as ${owner}`,
        place,
      );
      return undefined;
    }
    const bytes = readMemory(ctx, pa, abi.pageSize, path, stops);
    if (!bytes) return undefined;
    ctx.claims.claim(pa, 1, "not-preserved", path);
    nodes++;
    ctx.progress?.("memory map", nodes, 0);
    return bytes;
  };

  if (isOverwritten(ctx, rootPa, shape)) {
    reportOverwritten(ctx, rootPa);
    return undefined;
  }
  /** `prefix` is the key's bits above this level, as a number below 2^53. */
  const descend = (pa: PhysAddr, level: number, prefix: number, path: string): void => {
    const bytes = node(pa, path);
    if (!bytes) return;
    skeleton.push(level, prefix, pa);
    if (level === 0) {
      decodeLeaf(ctx, bytes, prefix * 2 ** shape.leaf, pa, path, runs);
      return;
    }
    // Bits of the key below this level's index, and how many indices leave the key within its width.
    const below = (level - 1) * shape.table + shape.leaf;
    // All at once: the bytes need not last while the nodes below are read.
    for (const { index: i, at, child } of entriesOf(bytes, abi)) {
      const index = prefix * 2 ** shape.table + i;
      const childPath = `${path}[${i}]`;
      if (index >= 2 ** Math.max(0, shape.key - below)) {
        ctx.report(
          "error",
          "map-bad-node",
          `entry ${i} of the table at ${hex(pa)} is for keys of more than ${shape.key} bits`,
          {
            path: childPath,
            pa: physAddr(pa + BigInt(at)),
            length: entrySize(abi),
            actual: hex(child),
            consequence: stops,
          },
        );
        continue;
      }
      if (runs.length > limits.maxRuns) {
        ctx.report("error", "limit-exceeded", `the memory map has more than ${limits.maxRuns} runs`, {
          path,
        });
        return;
      }
      descend(child, level - 1, index, childPath);
    }
  };
  descend(rootPa, shape.depth - 1, 0, "preserved");

  const finished = runs.finish();
  if (!isAtLeast(kernel, "7.2")) reportLargeOrders(ctx, finished);
  return { kind: "radix", rootPa, runs: finished, mapPages: nodes, skeleton: skeleton.finish() };
}

/** Entries of the root that have to be impossible before the page as a whole is given up. */
const enough = 8;

/** True if most of what the root node holds cannot be a node's address, so that one look tells more than a walk. */
function isOverwritten({ memory, abi }: Context, rootPa: PhysAddr, shape: RadixShape): boolean {
  if (rootPa % BigInt(abi.pageSize) !== 0n || !memory.has(rootPa, abi.pageSize)) return false;
  const entries = entriesOf(memory.read(rootPa, abi.pageSize), abi);
  const reach = 2 ** Math.max(0, shape.key - (shape.depth - 2) * shape.table - shape.leaf);
  const impossible = entries.filter(
    ({ index, child }) => index >= reach || child % BigInt(abi.pageSize) !== 0n,
  ).length;
  return impossible >= enough && impossible * 2 > entries.length;
}

function decodeLeaf(
  ctx: Context,
  bytes: Uint8Array,
  base: number,
  pa: PhysAddr,
  path: string,
  runs: RunsBuilder,
): void {
  const { abi } = ctx;
  const widest = 64 - pageShift(abi);
  const bad = (first: number, count: number): void =>
    ctx.report("error", "map-bad-key", `the leaf at ${hex(pa)} has ${count} bits set that name no block`, {
      path,
      pa: physAddr(pa + BigInt(first >>> 3)),
      length: Math.ceil(count / 8),
      actual: `keys from ${hex(base + first)}`,
      consequence: misread("boot", "a block of impossible size is accepted"),
    });
  const { edges, find } = fastestEdges();
  const found = find(bytes);
  const ofBase = highestBit(base);
  const orderOfBase = widest - ofBase;
  // All keys of a leaf share the marker bit, except in the very first leaf, where it is inside the leaf.
  if (ofBase >= 1 && orderOfBase >= 0 && ofBase === highestBit(base + bytes.length * 8 - 1)) {
    runs.pushEdges(orderOfBase, (base - 2 ** ofBase) * 2 ** orderOfBase, edges, found);
    return;
  }
  for (let i = 0; i < found; i += 2) {
    const end = edges[i + 1]!;
    for (let from = edges[i]!; from < end; ) {
      const key = base + from;
      const marker = highestBit(key);
      const until = Math.min(end, marker < 0 ? 1 : 2 ** (marker + 1) - base);
      const order = widest - marker;
      if (marker < 1 || order < 0) bad(from, until - from);
      else runs.push(order, (key - 2 ** marker) * 2 ** order, until - from);
      from = until;
    }
  }
}

/** Index of the highest set bit of an integer below 2^53, -1 for 0. A logarithm would round 2^48 - 1 up to 48. */
const highestBit = (value: number): number =>
  value >= 2 ** 32 ? 63 - Math.clz32(Math.floor(value / 2 ** 32)) : 31 - Math.clz32(value);
