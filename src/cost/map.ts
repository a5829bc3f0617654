/** What the map of preserved memory occupies: as many bitmaps, or nodes of the tree, as there have to be. */
import type { Kernel } from "../../formats/kernels.js";
import { bitmapBytes } from "../../formats/kho/bitmap-cells.js";
import {
  khoMemPhysBits,
  khoRadixLeaf,
  khoRadixNode,
  khoserMemBitmapPtr,
  khoserMemChunk,
  khoserMemChunkHdr,
} from "../../formats/kho/layout.js";
import { planBitmapMap } from "../../formats/kho/map-bitmaps-encode.js";
import { radixShape } from "../../formats/kho/map-radix.js";
import { planRadixMap } from "../../formats/kho/map-radix-encode.js";
import { type Abi, sizeOf } from "../layout/index.js";
import { physAddr } from "../memory/index.js";
import { coveringRuns, type Stretch } from "./stretches.js";
import type { StructureCost } from "./structure-row.js";

/** The memory map by kinds of its pages. None of them is preserved. */
export interface MapCost {
  readonly kind: "bitmap-512" | "bitmap-page" | "radix";
  readonly rows: readonly StructureCost[];
  /** Tables and leaves of the tree; chunks and bitmaps. */
  readonly nodes: number;
  readonly pages: number;
}

/**
 * The smallest map of the preserved blocks, which is what kernels make unless they took blocks out of it again: bitmaps
 * and leaves that have become empty stay, and no shape tells of them.
 * @throws KhoError `value-range` for blocks that no map can hold, `limit-exceeded` for more nodes than a decoder follows
 */
export const mapOf = (kernel: Kernel, stretches: readonly Stretch[], abi: Abi): MapCost =>
  kernel.bitmap === undefined ? radixMap(stretches, abi) : bitmapMap(kernel.bitmap, stretches, abi);

const anywhere = physAddr(0);

function radixMap(stretches: readonly Stretch[], abi: Abi): MapCost {
  const shape = radixShape(abi);
  const runs = coveringRuns(stretches, 2 ** shape.leaf);
  const { level, length } = planRadixMap(runs, shape, abi, () => anywhere);
  const counts = new Array<number>(shape.depth).fill(0);
  for (const l of level) counts[l]!++;
  const rows = counts
    .map((count, l): StructureCost => {
      const layout = l === 0 ? khoRadixLeaf : khoRadixNode;
      const what = l === 0 ? "leaves" : `tables of level ${l}`;
      return {
        id: "map",
        name: layout.name,
        what,
        count,
        bytes: count * sizeOf(layout, abi),
        pages: count,
        order: "not-preserved",
      };
    })
    .reverse();
  return { kind: "radix", rows, nodes: length, pages: length };
}

function bitmapMap(size: 512 | "page", stretches: readonly Stretch[], abi: Abi): MapCost {
  const bytes = bitmapBytes(size, abi);
  const runs = coveringRuns(stretches, bytes * 8);
  let bitmaps = 0;
  const { chunks } = planBitmapMap(runs, size, abi, (what) => {
    if (what === "bitmap") bitmaps++;
    return anywhere;
  });
  // Small bitmaps are objects of a slab: they share pages, as closely as that allows.
  const bitmapPages = Math.ceil((bitmaps * bytes) / abi.pageSize);
  const used = chunks.length * sizeOf(khoserMemChunkHdr, abi) + bitmaps * sizeOf(khoserMemBitmapPtr, abi);
  const row = { id: "map", order: "not-preserved" } as const;
  return {
    kind: size === 512 ? "bitmap-512" : "bitmap-page",
    rows: [
      {
        ...row,
        name: khoserMemChunk.name,
        what: "chunks of bitmaps",
        count: chunks.length,
        bytes: used,
        pages: chunks.length,
      },
      {
        ...row,
        name: khoMemPhysBits.name,
        what: "bitmaps",
        count: bitmaps,
        bytes: bitmaps * bytes,
        pages: bitmapPages,
      },
    ],
    nodes: chunks.length + bitmaps,
    pages: chunks.length + bitmapPages,
  };
}
