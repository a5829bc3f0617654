import { type Abi, decode, encode, offsetOf, pa, sizeOf } from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import { requireBlocks } from "./block-range.js";
import { khoRadixNode } from "./layout.js";
import { type LiveMemory, liveBits } from "./live-bits.js";
import type { MapEditor } from "./map-editor.js";
import type { RadixShape } from "./map-radix.js";
import { indexOf, prefixAt, radixNumber } from "./radix-number.js";

/**
 * Edits the radix tree at `root`, as kernels since 7.1 keep it: always complete in memory. `allocate` gives a page that
 * reads as zeros. The tree may have content; nobody else changes its nodes meanwhile. When an allocation fails, the nodes
 * made before it stay, empty.
 */
export function radixEditor(
  memory: LiveMemory,
  root: PhysAddr,
  shape: RadixShape,
  abi: Abi,
  allocate: () => PhysAddr,
): MapEditor {
  const tableAt = offsetOf(khoRadixNode, "table", abi);
  const slotSize = sizeOf(pa, abi);
  /** Leaves that were found or made, by prefix: nodes are never moved and never freed. */
  const leaves = new Map<number, PhysAddr>();
  let lastPrefix = -1;
  let lastLeaf = root;

  const walk = (prefix: number, make: boolean): PhysAddr | undefined => {
    let node = root;
    for (let level = shape.depth - 2; level >= 0; level--) {
      const slot = (node +
        BigInt(tableAt + indexOf(prefixAt(level, prefix, shape), shape) * slotSize)) as PhysAddr;
      let child = decode(pa, memory.read(slot, slotSize), 0, abi);
      if (child === 0n) {
        if (!make) return undefined;
        child = allocate();
        memory.write(slot, encode(pa, child, abi));
      }
      node = child;
    }
    return node;
  };
  const leafOf = (prefix: number, make: boolean): PhysAddr | undefined => {
    if (prefix === lastPrefix) return lastLeaf;
    const known = leaves.get(prefix);
    const leaf = known ?? walk(prefix, make);
    if (leaf === undefined) return undefined;
    if (known === undefined) leaves.set(prefix, leaf);
    lastPrefix = prefix;
    lastLeaf = leaf;
    return leaf;
  };
  const keys = liveBits(memory, 2 ** shape.leaf, (_, prefix, make) => leafOf(prefix, make));
  return {
    add(order, pfn, count) {
      requireBlocks(order, pfn, count, abi);
      keys.set(0, radixNumber(order, pfn, shape, abi), count);
    },
    remove(order, pfn, count) {
      requireBlocks(order, pfn, count, abi);
      keys.clear(0, radixNumber(order, pfn, shape, abi), count);
    },
    has(order, pfn) {
      requireBlocks(order, pfn, 1, abi);
      return keys.has(0, radixNumber(order, pfn, shape, abi));
    },
  };
}
