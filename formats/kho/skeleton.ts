import type { Abi } from "../../src/layout/index.js";
import { addressOf, type PhysAddr, pfnOf, physAddr } from "../../src/memory/index.js";

/**
 * Where a memory map itself lies, without what it says: the set of blocks does not tell, because kernels leave bitmaps
 * and leaves behind that have become empty. Skeleton and runs together are the map, to the byte.
 */
export type Skeleton = BitmapSkeleton | RadixSkeleton;

/** 512 bytes up to 6.17.8, a page from 6.17.9 on; the version string is the same. */
export type BitmapSize = 512 | "page";

/** The chunk list of `kho-v1`, in the order of the list. Without chunks the map's address is 0. */
export interface BitmapSkeleton {
  readonly kind: "bitmaps";
  readonly size: BitmapSize;
  readonly chunks: readonly SkeletonChunk[];
}

/** One page of a {@link BitmapSkeleton}. */
export interface SkeletonChunk {
  readonly pa: PhysAddr;
  /** Order of the blocks that its bitmaps are of. */
  readonly order: number;
  readonly entries: readonly SkeletonBitmap[];
}

/** A bitmap, and the physical address of the block that its first bit is for. */
export interface SkeletonBitmap {
  readonly physStart: PhysAddr;
  readonly bitmap: PhysAddr;
}

/**
 * The nodes of a radix tree as columns, parents before children and keys ascending, so that the root is the first. A
 * host of 1 TiB has ten thousand of them and more.
 */
export interface RadixSkeleton {
  readonly kind: "radix";
  /** True for the smaller tree that kernels before the release of `kho-v3` have with 16K pages. */
  readonly early: boolean;
  readonly length: number;
  /** 0 for leaves. */
  readonly level: Uint8Array;
  /** The bits of the node's keys that are above what it indexes itself: 0 for the root. Below 2^53. */
  readonly prefix: Float64Array;
  /** Page frame number of the node. Below 2^52. */
  readonly pfn: Float64Array;
}

/** Collects the nodes of a {@link RadixSkeleton}. */
export interface RadixSkeletonBuilder {
  push(level: number, prefix: number, pa: PhysAddr): void;
  finish(): RadixSkeleton;
}

export function newRadixSkeleton(early: boolean, abi: Abi): RadixSkeletonBuilder {
  let length = 0;
  let level = new Uint8Array(16);
  let prefix = new Float64Array(16);
  let pfn = new Float64Array(16);
  return {
    push(l, p, pa) {
      if (length === level.length) {
        const larger = { level, prefix, pfn };
        level = new Uint8Array(length * 2);
        prefix = new Float64Array(length * 2);
        pfn = new Float64Array(length * 2);
        level.set(larger.level);
        prefix.set(larger.prefix);
        pfn.set(larger.pfn);
      }
      level[length] = l;
      prefix[length] = p;
      pfn[length++] = pfnOf(pa, abi.pageSize);
    },
    finish: () => ({
      kind: "radix",
      early,
      length,
      level: level.slice(0, length),
      prefix: prefix.slice(0, length),
      pfn: pfn.slice(0, length),
    }),
  };
}

/** What the root tree's `preserved-memory-map` says: the first chunk or the root node, 0 for a map of nothing. */
export function rootOf(skeleton: Skeleton, abi: Abi): PhysAddr {
  if (skeleton.kind === "bitmaps") return skeleton.chunks[0]?.pa ?? physAddr(0);
  return skeleton.length > 0 ? addressOf(skeleton.pfn[0]!, abi.pageSize) : physAddr(0);
}
