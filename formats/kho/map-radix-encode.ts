import { type Abi, encode, sizeOf } from "../../src/layout/index.js";
import { addressOf, type PhysAddr } from "../../src/memory/index.js";
import { KhoError } from "../../src/report/error.js";
import { hex } from "../../src/report/hex.js";
import type { Target } from "../target.js";
import { blocksOf, requireBlocks } from "./block-range.js";
import { khoRadixLeaf, khoRadixNode } from "./layout.js";
import { type RadixShape, radixShape } from "./map-radix.js";
import { indexOf, prefixAt, radixNumber, radixNumbers } from "./radix-number.js";
import { cellsOf, fillCells, mergedRanges, type Ranges } from "./ranges.js";
import type { Runs } from "./runs.js";
import { newRadixSkeleton, type RadixSkeleton } from "./skeleton.js";

/**
 * The smallest tree that holds the runs: a root, and what leads to a leaf with a bit set. `place` gives a page for each
 * node, parents before children and keys ascending, which is higher orders first.
 * @throws KhoError `value-range` for runs that no tree can hold, `limit-exceeded` for more leaves than a decoder follows
 */
export function planRadixMap(runs: Runs, shape: RadixShape, abi: Abi, place: () => PhysAddr): RadixSkeleton {
  const skeleton = newRadixSkeleton(shape.depth < radixShape(abi).depth, abi);
  const root = shape.depth - 1;
  skeleton.push(root, 0, place());
  /** The prefix of the last node of each level. */
  const last = new Float64Array(root).fill(-1);
  for (const leaf of cellsOf(keysOf(runs, shape, abi), 2 ** shape.leaf))
    for (let level = root - 1; level >= 0; level--) {
      const prefix = prefixAt(level, leaf, shape);
      if (prefix === last[level]) continue;
      last[level] = prefix;
      skeleton.push(level, prefix, place());
    }
  return skeleton.finish();
}

/**
 * Writes every node of a tree. It may have leaves and tables beyond those that the runs need; these are written empty.
 * @throws KhoError `value-range` if the tree has no leaf for one of the runs, or is no tree. Some nodes may have been
 * written by then.
 */
export function encodeRadixMap(target: Target, skeleton: RadixSkeleton, runs: Runs): void {
  const { abi } = target;
  const shape = radixShape(abi, skeleton.early);
  const addressAt = (node: number): PhysAddr => addressOf(skeleton.pfn[node]!, abi.pageSize);
  requireDistinct(skeleton, abi);
  const levels = byLevel(skeleton, shape, abi);
  for (let level = shape.depth - 1; level >= 1; level--) {
    const nodes = levels[level]!;
    const children = levels[level - 1]!;
    let c = 0;
    for (const node of nodes) {
      const table = new BigUint64Array(2 ** shape.table);
      for (; c < children.length; c++) {
        const prefix = skeleton.prefix[children[c]!]!;
        if (prefixAt(1, prefix, shape) !== skeleton.prefix[node]) break;
        table[indexOf(prefix, shape)] = addressAt(children[c]!);
      }
      target.write(addressAt(node), encode(khoRadixNode, { table }, abi));
    }
    if (c < children.length)
      throw notATree(skeleton, children[c]!, "a table that leads to it", "none", shape, abi);
  }
  const leaves = levels[0]!;
  fillCells(
    keysOf(runs, shape, abi),
    Float64Array.from(leaves, (node) => skeleton.prefix[node]!),
    sizeOf(khoRadixLeaf, abi),
    (i, bitmap) => target.write(addressAt(leaves[i]!), bitmap),
    (key) => {
      throw missingLeaf(key, runs, shape, abi);
    },
  );
}

/** The keys of all blocks. Keys ascend where orders fall, so that runs from the last order to the first are sorted. */
function keysOf(runs: Runs, shape: RadixShape, abi: Abi): Ranges {
  const from = new Float64Array(runs.length);
  const to = new Float64Array(runs.length);
  let at = 0;
  for (let end = runs.length; end > 0; ) {
    let begin = end - 1;
    const order = runs.order[begin]!;
    while (begin > 0 && runs.order[begin - 1] === order) begin--;
    const areBlocks = blocksOf(order, abi);
    const keyOf = radixNumbers(order, shape, abi);
    for (let i = begin; i < end; i++) {
      const pfn = runs.pfn[i]!;
      const count = runs.count[i]!;
      if (!areBlocks(pfn, count)) requireBlocks(order, pfn, count, abi, `preserved.runs[${i}]`);
      from[at] = keyOf(pfn);
      to[at] = from[at]! + count;
      at++;
    }
    end = begin;
  }
  return mergedRanges(from, to);
}

/** Nodes of each level, leaves first, by ascending prefix. */
function byLevel(skeleton: RadixSkeleton, shape: RadixShape, abi: Abi): number[][] {
  const levels: number[][] = Array.from({ length: shape.depth }, () => []);
  for (let node = 0; node < skeleton.length; node++) {
    const level = levels[skeleton.level[node]!];
    if (!level)
      throw notATree(
        skeleton,
        node,
        `levels 0 to ${shape.depth - 1}`,
        String(skeleton.level[node]),
        shape,
        abi,
      );
    level.push(node);
  }
  for (const [level, nodes] of levels.entries()) {
    nodes.sort((a, b) => skeleton.prefix[a]! - skeleton.prefix[b]!);
    // Fewer indices are left the higher the level; the root has none.
    const most = 2 ** ((shape.depth - 1 - level) * shape.table);
    for (const [i, node] of nodes.entries()) {
      const prefix = skeleton.prefix[node]!;
      if (!Number.isInteger(prefix) || prefix < 0 || prefix >= most)
        throw notATree(skeleton, node, `a prefix below ${hex(most)}`, String(prefix), shape, abi);
      if (i > 0 && prefix === skeleton.prefix[nodes[i - 1]!])
        throw notATree(skeleton, node, "one node for its keys", "another one", shape, abi);
    }
  }
  if (levels[shape.depth - 1]!.length === 1) return levels;
  throw new KhoError("value-range", "preserved: the radix tree has no root", { path: "preserved" });
}

function requireDistinct({ pfn }: RadixSkeleton, abi: Abi): void {
  const sorted = pfn.slice().sort();
  for (let i = 1; i < sorted.length; i++)
    if (sorted[i] === sorted[i - 1]) {
      const at = addressOf(sorted[i]!, abi.pageSize);
      const actual = `two at ${hex(at)}`;
      throw new KhoError("value-range", `preserved: expected nodes in pages of their own, got ${actual}`, {
        path: "preserved",
        pa: at,
        length: abi.pageSize,
        expected: "nodes in pages of their own",
        actual,
      });
    }
}

/** `preserved[2][0][0]`: how decoders name a node. */
function pathOf(level: number, prefix: number, shape: RadixShape): string {
  let path = "preserved";
  for (let above = shape.depth - 2 - level; above >= 0; above--)
    path += `[${indexOf(prefixAt(above, prefix, shape), shape)}]`;
  return path;
}

function notATree(
  { level, prefix, pfn }: RadixSkeleton,
  node: number,
  expected: string,
  actual: string,
  shape: RadixShape,
  abi: Abi,
): KhoError {
  const path = pathOf(level[node]!, prefix[node]!, shape);
  return new KhoError("value-range", `${path}: expected ${expected}, got ${actual}`, {
    path,
    pa: addressOf(pfn[node]!, abi.pageSize),
    length: abi.pageSize,
    expected,
    actual,
  });
}

function missingLeaf(key: number, runs: Runs, shape: RadixShape, abi: Abi): KhoError {
  const path = pathOf(0, Math.floor(key / 2 ** shape.leaf), shape);
  const expected = `a leaf for key ${hex(key)}`;
  let block: PhysAddr | undefined;
  for (let i = 0; i < runs.length && block === undefined; i++) {
    const into = key - radixNumber(runs.order[i]!, runs.pfn[i]!, shape, abi);
    if (into >= 0 && into < runs.count[i]!)
      block = addressOf(runs.pfn[i]! + into * 2 ** runs.order[i]!, abi.pageSize);
  }
  return new KhoError("value-range", `${path}: expected ${expected}, got none`, {
    path,
    ...(block !== undefined && { pa: block }),
    expected,
    actual: "none",
  });
}
