import { type Abi, decode, offsetOf, pageShift, sizeOf } from "../../src/layout/index.js";
import { type PhysAddr, pfnOf, physAddr } from "../../src/memory/index.js";
import { hex } from "../../src/report/hex.js";
import { bootStops, misread } from "../consequence.js";
import { type Context, readMemory } from "../context.js";
import { chunkCapacity } from "./bitmap-cells.js";
import { fastestEdges } from "./bitmap-edges.js";
import { endOfPages } from "./block-range.js";
import { reportLargeOrders } from "./large-orders.js";
import {
  khoMemPhysBits,
  khoMemPhysBits512,
  khoserMemBitmapPtr,
  khoserMemChunk,
  khoserMemChunkHdr,
} from "./layout.js";
import { reportOverwritten } from "./overwritten.js";
import type { PreservedMemory } from "./preserved.js";
import { newRuns } from "./runs.js";
import type { BitmapSize, SkeletonBitmap } from "./skeleton.js";

/** One used entry of a chunk, as it stands in memory. */
interface Entry {
  /** Which of the chunks it is in. */
  readonly chunk: number;
  readonly order: number;
  readonly physStart: PhysAddr;
  readonly bitmap: PhysAddr;
  readonly pa: PhysAddr;
  readonly path: string;
}

/** The chunk list of `kho-v1` without its bitmaps: enough to tell how large they are. */
export interface ChunkList {
  readonly entries: readonly Entry[];
  readonly chunks: readonly { readonly pa: PhysAddr; readonly order: number }[];
}

/** Follows the chunks from `first`, which may be 0 for none; undefined if something else is where the first should be. */
export function decodeChunks(ctx: Context, first: PhysAddr): ChunkList | undefined {
  const { abi, limits } = ctx;
  const entries: Entry[] = [];
  const chunks: { pa: PhysAddr; order: number }[] = [];
  const oops = bootStops("unhandled fault while the map is read");
  for (let pa = first; pa !== 0n; ) {
    const chunk = chunks.length;
    const path = `preserved.chunks[${chunk}]`;
    const place = { path, pa, length: abi.pageSize, consequence: oops };
    if (chunk >= limits.maxMapNodes) {
      ctx.report(
        "error",
        "limit-exceeded",
        `the memory map has more than ${limits.maxMapNodes} chunks`,
        place,
      );
      break;
    }
    const bytes = readMemory(ctx, pa, abi.pageSize, path, oops);
    if (!bytes) break;
    if (pa % BigInt(abi.pageSize) !== 0n)
      ctx.report("error", "map-bad-chunk", `the chunk at ${hex(pa)} is not page aligned`, {
        ...place,
        // The first address is taken for that of a page, the others are followed as they are.
        consequence: chunk === 0 ? oops : misread("boot", "the kernel reads on across the page"),
      });
    const owner = ctx.claims.claim(pa, 1, "not-preserved", path);
    if (owner !== undefined) {
      ctx.report("error", "map-cycle", `the chunk at ${hex(pa)} is in use already, as ${owner}`, {
        ...place,
        consequence: bootStops("endless loop, the boot hangs"),
      });
      break;
    }
    const hdr = decode(khoserMemChunkHdr, bytes, offsetOf(khoserMemChunk, "hdr", abi), abi);
    const room = chunkCapacity(abi);
    // Two numbers that are impossible independently: no flipped bit does that.
    if (chunk === 0 && hdr.num_elms > room && hdr.order > 63 - pageShift(abi)) {
      reportOverwritten(ctx, pa);
      return undefined;
    }
    if (hdr.num_elms > room)
      ctx.report(
        "error",
        "map-bad-chunk",
        `the chunk at ${hex(pa)} says that it has ${hdr.num_elms} entries`,
        {
          ...place,
          expected: `0 to ${room}`,
          actual: String(hdr.num_elms),
        },
      );
    const used = Math.min(hdr.num_elms, room);
    if (entries.length + used > limits.maxMapNodes) {
      ctx.report("error", "limit-exceeded", `the memory map has more than ${limits.maxMapNodes} bitmaps`, {
        path,
        pa,
      });
      break;
    }
    for (let i = 0; i < used; i++) {
      const at = offsetOf(khoserMemChunk, "bitmaps", abi) + i * sizeOf(khoserMemBitmapPtr, abi);
      const { phys_start: physStart, bitmap } = decode(khoserMemBitmapPtr, bytes, at, abi);
      const entryPa = physAddr(pa + BigInt(at));
      entries.push({
        chunk,
        order: hdr.order,
        physStart,
        bitmap,
        pa: entryPa,
        path: `${path}.bitmaps[${i}]`,
      });
    }
    ctx.progress?.("memory map", chunk, 0);
    chunks.push({ pa, order: hdr.order });
    pa = hdr.next;
  }
  return { entries, chunks };
}

/** What the chunk list alone says of the bitmaps' size; undefined if it fits both. */
export function bitmapSizeOf(list: ChunkList, abi: Abi): 512 | undefined {
  const reach = (order: number): bigint => (8n * BigInt(abi.pageSize)) << BigInt(pageShift(abi) + order);
  const last = new Map<number, bigint>();
  for (const { order, physStart, bitmap } of list.entries) {
    // What is no bitmap at all tells nothing of its size.
    if (order > 63 - pageShift(abi) || bitmap === 0n) continue;
    if (physStart % reach(order) !== 0n || bitmap % BigInt(abi.pageSize) !== 0n) return 512;
    const before = last.get(order);
    if (before !== undefined && physStart - before < reach(order)) return 512;
    last.set(order, physStart);
  }
  return undefined;
}

/** Reads the bitmaps of a chunk list. */
export function decodeBitmapMap(
  ctx: Context,
  rootPa: PhysAddr,
  list: ChunkList,
  size: BitmapSize,
): PreservedMemory {
  const { abi, limits } = ctx;
  const runs = newRuns();
  const length = sizeOf(size === 512 ? khoMemPhysBits512 : khoMemPhysBits, abi);
  const bits = BigInt(length) * 8n;
  // Bitmaps that overlap are refused but for the 8 small ones that a page has room for, also where these are read as
  // pages: else a few pages could be read as any number of bitmaps.
  const cell = BigInt(size === 512 ? length : length / 8);
  const { edges, find } = fastestEdges();
  const memoryEnd = endOfPages(abi);
  const seen = new Set<bigint>();
  const pages = new Set<number>();
  const chunks = list.chunks.map((chunk) => ({ ...chunk, entries: [] as SkeletonBitmap[] }));
  for (const { chunk, order, physStart, bitmap, pa, path } of list.entries) {
    const place = { path, pa, length: sizeOf(khoserMemBitmapPtr, abi) };
    const oops = bootStops("unhandled fault while the map is read");
    if (order > 63 - pageShift(abi)) {
      ctx.report("error", "map-bad-chunk", `order ${order} names no block of memory`, {
        ...place,
        consequence: oops,
      });
      continue;
    }
    const unit = 1n << BigInt(pageShift(abi) + order);
    if (physStart % (unit * bits) !== 0n)
      ctx.report("error", "map-bad-bitmap", `a bitmap of order ${order} begins at ${hex(physStart)}`, {
        ...place,
        expected: `a multiple of ${hex(unit * bits)}`,
        actual: hex(physStart),
        consequence: misread("boot", "blocks silently in the wrong place"),
      });
    if (bitmap === 0n) {
      ctx.report("error", "map-bad-bitmap", "an entry has no bitmap", { ...place, consequence: oops });
      continue;
    }
    if (seen.has(bitmap / cell)) {
      ctx.report("error", "map-cycle", `two entries share the bitmap at ${hex(bitmap)}`, {
        ...place,
        consequence: misread("boot", "the same blocks in two places"),
      });
      continue;
    }
    seen.add(bitmap / cell);
    const bytes = readMemory(ctx, bitmap, length, path, oops);
    if (!bytes) continue;
    claimPages(ctx, bitmap, length, path, pages);
    chunks[chunk]!.entries.push({ physStart, bitmap });
    // Below 2^52: the widest address has 64 bits and a page at least 12 of them.
    const firstPfn = Number(physStart >> BigInt(pageShift(abi)));
    const found = find(bytes);
    // Nothing to look at run by run: all blocks that it can name exist, and there is room for all runs.
    if (firstPfn + length * 8 * 2 ** order <= memoryEnd && runs.length + found / 2 <= limits.maxRuns) {
      runs.pushEdges(order, firstPfn, edges, found);
      continue;
    }
    for (let i = 0; i < found; i += 2) {
      const first = edges[i]!;
      const count = edges[i + 1]! - first;
      const pfn = firstPfn + first * 2 ** order;
      if (pfn + count * 2 ** order > memoryEnd)
        ctx.report("error", "map-bad-bitmap", "a bitmap names blocks beyond 2^64", {
          ...place,
          consequence: oops,
        });
      else if (runs.length <= limits.maxRuns) runs.push(order, pfn, count);
    }
  }
  if (runs.length > limits.maxRuns)
    ctx.report("error", "limit-exceeded", `the memory map has more than ${limits.maxRuns} runs`, {
      path: "preserved",
    });
  const finished = runs.finish();
  const impossible = list.entries.find(({ order }) => order >= 31 && order <= 63 - pageShift(abi));
  if (impossible)
    ctx.report(
      "error",
      "order-too-large",
      `order ${impossible.order} is more than a shift of 32 bits can do`,
      {
        path: "preserved.runs",
        pa: impossible.pa,
        expected: `order below ${31 - pageShift(abi)}`,
        actual: `order ${impossible.order}`,
        consequence: bootStops("unhandled fault while the map is read"),
      },
    );
  else reportLargeOrders(ctx, finished);
  const kind = size === 512 ? "bitmap-512" : "bitmap-page";
  return {
    kind,
    rootPa,
    runs: finished,
    mapPages: chunks.length + pages.size,
    skeleton: { kind: "bitmaps", size, chunks },
  };
}

/** Bitmaps of 512 bytes share pages, among themselves and with other slab objects, so a page is claimed by the first. */
function claimPages(ctx: Context, pa: PhysAddr, length: number, path: string, pages: Set<number>): void {
  const first = pfnOf(pa, ctx.abi.pageSize);
  const last = pfnOf(physAddr(pa + BigInt(length - 1)), ctx.abi.pageSize);
  for (let page = first as number; page <= last; page++) {
    if (pages.has(page)) continue;
    pages.add(page);
    const at = physAddr(BigInt(page) * BigInt(ctx.abi.pageSize));
    const owner = ctx.claims.claim(at, 1, "not-preserved", path);
    if (owner !== undefined)
      ctx.report("error", "structure-reused", `a bitmap lies in the page of ${owner}`, {
        path,
        pa,
        length,
        consequence: misread("boot", "one of the two is taken for the other"),
      });
  }
}
