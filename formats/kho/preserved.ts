import type { PhysAddr } from "../../src/memory/index.js";
import type { Runs } from "./runs.js";
import type { Skeleton } from "./skeleton.js";

/** How the memory map is stored: chunk list with bitmaps of 512 bytes or of a page, or radix tree. */
export type MapKind = "bitmap-512" | "bitmap-page" | "radix";

/** Which memory the next kernel must keep, and in blocks of which order. */
export interface PreservedMemory {
  readonly kind: MapKind;
  /** Physical address of the first chunk or of the root node. */
  readonly rootPa: PhysAddr;
  readonly runs: Runs;
  /** Pages that hold the map itself. They are not preserved. */
  readonly mapPages: number;
  /** Where the map itself lies, as far as it could be read. */
  readonly skeleton: Skeleton;
}

/** How many blocks of one order there are. */
export interface OrderCount {
  readonly order: number;
  readonly blocks: number;
}

/** Blocks per order, ascending, orders in use only. */
export function orderCounts(runs: Runs): OrderCount[] {
  const counts = new Map<number, number>();
  for (let i = 0; i < runs.length; i++)
    counts.set(runs.order[i]!, (counts.get(runs.order[i]!) ?? 0) + runs.count[i]!);
  return [...counts].map(([order, blocks]) => ({ order, blocks }));
}

/** All blocks together, in bytes. Blocks that overlap count twice. */
export const preservedBytes = (runs: Runs, pageSize: number): bigint =>
  orderCounts(runs).reduce(
    (sum, { order, blocks }) => sum + BigInt(blocks) * 2n ** BigInt(order) * BigInt(pageSize),
    0n,
  );
