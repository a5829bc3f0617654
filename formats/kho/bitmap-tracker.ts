import type { Abi } from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import { bitmapBytes, type Cell, chunksOf } from "./bitmap-cells.js";
import { requireBlocks } from "./block-range.js";
import { type LiveMemory, liveBits } from "./live-bits.js";
import type { MapEditor } from "./map-editor.js";
import type { BitmapSize, BitmapSkeleton } from "./skeleton.js";

/** The bitmaps of a kernel of 6.16 to 7.0, which are in memory all the time; it writes the chunks when it finalizes. */
export interface BitmapTracker extends MapEditor {
  /** The map as the kernel would write it now, empty bitmaps included. `placeChunk` gives a page for each chunk. */
  skeleton(placeChunk: () => PhysAddr): BitmapSkeleton;
  /** Gives every bitmap back; the tracker is empty then. */
  free(release: (bitmap: PhysAddr) => void): void;
}

/** Tracks blocks. `allocate` gives what is as large as a bitmap and reads as zeros; nobody else changes it. */
export function bitmapTracker(
  memory: LiveMemory,
  size: BitmapSize,
  abi: Abi,
  allocate: () => PhysAddr,
): BitmapTracker {
  /** Bitmaps by order and number. */
  const orders = new Map<number, Map<number, PhysAddr>>();
  let lastOrder = -1;
  let lastCell = -1;
  let lastBitmap: PhysAddr | undefined;

  const bitmapOf = (order: number, cell: number, make: boolean): PhysAddr | undefined => {
    if (order === lastOrder && cell === lastCell) return lastBitmap;
    let bitmap = orders.get(order)?.get(cell);
    if (bitmap === undefined) {
      if (!make) return undefined;
      bitmap = allocate();
      const group = orders.get(order) ?? new Map<number, PhysAddr>();
      group.set(cell, bitmap);
      orders.set(order, group);
    }
    lastOrder = order;
    lastCell = cell;
    lastBitmap = bitmap;
    return bitmap;
  };
  const blocks = liveBits(memory, bitmapBytes(size, abi) * 8, bitmapOf);
  return {
    add(order, pfn, count) {
      requireBlocks(order, pfn, count, abi);
      blocks.set(order, pfn / 2 ** order, count);
    },
    remove(order, pfn, count) {
      requireBlocks(order, pfn, count, abi);
      blocks.clear(order, pfn / 2 ** order, count);
    },
    has(order, pfn) {
      requireBlocks(order, pfn, 1, abi);
      return blocks.has(order, pfn / 2 ** order);
    },
    skeleton(placeChunk) {
      const cells: Cell[] = [];
      for (const [order, group] of orders)
        for (const [cell, bitmap] of group) cells.push({ order, cell, bitmap });
      cells.sort((a, b) => a.order - b.order || a.cell - b.cell);
      return chunksOf(cells, size, abi, placeChunk);
    },
    free(release) {
      for (const group of orders.values()) for (const bitmap of group.values()) release(bitmap);
      orders.clear();
      lastOrder = -1;
    },
  };
}
