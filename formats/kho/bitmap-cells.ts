import { type Abi, pageShift, sizeOf } from "../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import {
  khoMemPhysBits,
  khoMemPhysBits512,
  khoserMemBitmapPtr,
  khoserMemChunk,
  khoserMemChunkHdr,
} from "./layout.js";
import type { BitmapSize, BitmapSkeleton, SkeletonBitmap, SkeletonChunk } from "./skeleton.js";

/** Bytes of a bitmap. */
export const bitmapBytes = (size: BitmapSize, abi: Abi): number =>
  sizeOf(size === 512 ? khoMemPhysBits512 : khoMemPhysBits, abi);

/** Entries that a chunk has room for. */
export const chunkCapacity = (abi: Abi): number =>
  (sizeOf(khoserMemChunk, abi) - sizeOf(khoserMemChunkHdr, abi)) / sizeOf(khoserMemBitmapPtr, abi);

/** `phys_start` of the bitmap number `cell` of an order. The first block's page has a number of at most 52 bits. */
export const physStartOf = (cell: number, order: number, size: BitmapSize, abi: Abi): PhysAddr =>
  physAddr(BigInt(cell * bitmapBytes(size, abi) * 8 * 2 ** order) << BigInt(pageShift(abi)));

/** A bitmap of an order by its number, which counts from address 0. */
export interface Cell {
  readonly order: number;
  readonly cell: number;
  readonly bitmap: PhysAddr;
}

/**
 * The chunks of bitmaps that ascend by order, then number, as kernels write them: each order begins a chunk, and what a
 * chunk has no room for goes into another one.
 */
export function chunksOf(
  cells: readonly Cell[],
  size: BitmapSize,
  abi: Abi,
  placeChunk: () => PhysAddr,
): BitmapSkeleton {
  const chunks: (SkeletonChunk & { entries: SkeletonBitmap[] })[] = [];
  const room = chunkCapacity(abi);
  for (const { order, cell, bitmap } of cells) {
    let chunk = chunks.at(-1);
    if (chunk?.order !== order || chunk.entries.length === room)
      chunks.push((chunk = { pa: placeChunk(), order, entries: [] }));
    chunk.entries.push({ physStart: physStartOf(cell, order, size, abi), bitmap });
  }
  return { kind: "bitmaps", size, chunks };
}
