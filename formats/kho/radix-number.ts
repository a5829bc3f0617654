import { type Abi, pageShift } from "../../src/layout/index.js";
import type { RadixShape } from "./map-radix.js";

/**
 * The keys of blocks of one order as numbers: keys have at most 53 bits. Blocks that are adjacent have adjacent keys. What
 * the indices do not reach is cut off, as kernels do it: of an early tree with 16K pages, the marker of order 0.
 */
export function radixNumbers(order: number, shape: RadixShape, abi: Abi): (pfn: number) => number {
  const marker = 2 ** (64 - pageShift(abi) - order);
  const pages = 2 ** order;
  const reach = 2 ** ((shape.depth - 1) * shape.table + shape.leaf);
  return (pfn) => {
    const key = marker + pfn / pages;
    return key < reach ? key : key % reach;
  };
}

/** The key of one block, as {@link radixNumbers} has it. */
export const radixNumber = (order: number, pfn: number, shape: RadixShape, abi: Abi): number =>
  radixNumbers(order, shape, abi)(pfn);

/** Key bits above what a node of `level` indexes, from those above a leaf. */
export const prefixAt = (level: number, leafPrefix: number, shape: RadixShape): number =>
  Math.floor(leafPrefix / 2 ** (level * shape.table));

/** Index of a node in the table above it. */
export const indexOf = (prefix: number, shape: RadixShape): number => prefix % 2 ** shape.table;
