import { type Abi, encode, pageShift, sizeOf } from "../../src/layout/index.js";
import { addressOf, type PhysAddr, physAddr } from "../../src/memory/index.js";
import { KhoError } from "../../src/report/error.js";
import { hex } from "../../src/report/hex.js";
import type { Target } from "../target.js";
import { bitmapBytes, type Cell, chunkCapacity, chunksOf } from "./bitmap-cells.js";
import { blocksOf, requireBlocks } from "./block-range.js";
import { khoserMemChunk } from "./layout.js";
import { cellsOf, fillCells, mergedRanges, type Ranges, requireRoom } from "./ranges.js";
import type { Runs } from "./runs.js";
import type { BitmapSize, BitmapSkeleton } from "./skeleton.js";

/**
 * The fewest bitmaps and chunks that hold the runs, in the order in which kernels write them. `place` gives a page for
 * each chunk, and a page or 512 bytes for each bitmap; bitmaps come first, as a kernel has them before it writes chunks.
 * @throws KhoError `value-range` for runs that no map can hold, `limit-exceeded` for more bitmaps than a decoder follows
 */
export function planBitmapMap(
  runs: Runs,
  size: BitmapSize,
  abi: Abi,
  place: (what: "chunk" | "bitmap") => PhysAddr,
): BitmapSkeleton {
  const bits = bitmapBytes(size, abi) * 8;
  const cells: Cell[] = [];
  for (const [order, ranges] of blocksByOrder(runs, abi))
    for (const cell of cellsOf(ranges, bits)) {
      requireRoom(cells.length + 1);
      cells.push({ order, cell, bitmap: place("bitmap") });
    }
  return chunksOf(cells, size, abi, () => place("chunk"));
}

/**
 * Writes every chunk and bitmap. There may be bitmaps beyond those that the runs need; these are written empty.
 * @throws KhoError `value-range` if there is no bitmap for one of the runs, or the skeleton is none that a kernel could
 * read. Some of it may have been written by then.
 */
export function encodeBitmapMap(target: Target, skeleton: BitmapSkeleton, runs: Runs): void {
  const { abi } = target;
  const bytes = bitmapBytes(skeleton.size, abi);
  encodeChunks(target, skeleton);
  const blocks = blocksByOrder(runs, abi);
  const cells = cellsByOrder(skeleton, bytes * 8, abi);
  for (const order of new Set([...cells.keys(), ...blocks.keys()])) {
    const known = cells.get(order) ?? [];
    fillCells(
      blocks.get(order) ?? mergedRanges(new Float64Array(0), new Float64Array(0)),
      known.map(({ cell }) => cell),
      bytes,
      (i, bitmap) => target.write(known[i]!.bitmap, bitmap),
      (block) => {
        const pa = addressOf(block * 2 ** order, abi.pageSize);
        throw misplaced("preserved.runs", pa, `a bitmap for order ${order} at ${hex(pa)}`, "none");
      },
    );
  }
  if (skeleton.size === 512) leaveNeighbours(target, [...cells.values()].flat(), bytes);
}

/**
 * Writes the chunks alone: what a kernel of 6.16 to 7.0 does when it finalizes, with bitmaps that are in memory already.
 * @throws KhoError `value-range` for chunks and bitmaps that cannot be where they are
 */
export function encodeChunks(target: Target, skeleton: BitmapSkeleton): void {
  const { abi } = target;
  requireApart(skeleton, abi);
  const room = chunkCapacity(abi);
  const unused = { phys_start: physAddr(0), bitmap: physAddr(0) };
  for (const [i, { pa, order, entries }] of skeleton.chunks.entries()) {
    if (entries.length > room)
      throw misplaced(`preserved.chunks[${i}]`, pa, `at most ${room} entries`, String(entries.length));
    const hdr = { next: skeleton.chunks[i + 1]?.pa ?? physAddr(0), order, num_elms: entries.length };
    const bitmaps = Array.from({ length: room }, (_, e) => {
      const entry = entries[e];
      return entry ? { phys_start: entry.physStart, bitmap: entry.bitmap } : unused;
    });
    target.write(pa, encode(khoserMemChunk, { hdr, bitmaps }, abi));
  }
}

/** Numbers of the blocks of each order, orders ascending: a block's number is its address in blocks. */
function blocksByOrder(runs: Runs, abi: Abi): Map<number, Ranges> {
  const lengths = new Uint32Array(64);
  forOrders(runs, (order, from, to) => {
    const areBlocks = blocksOf(order, abi);
    for (let i = from; i < to; i++)
      if (!areBlocks(runs.pfn[i]!, runs.count[i]!))
        requireBlocks(order, runs.pfn[i]!, runs.count[i]!, abi, `preserved.runs[${i}]`);
    lengths[order]! += to - from;
  });
  const columns = Array.from(lengths, (length) => ({
    from: new Float64Array(length),
    to: new Float64Array(length),
    filled: 0,
  }));
  forOrders(runs, (order, begin, end) => {
    const group = columns[order]!;
    const { from, to } = group;
    const pages = 2 ** order;
    let at = group.filled;
    for (let i = begin; i < end; i++, at++) {
      from[at] = runs.pfn[i]! / pages;
      to[at] = from[at]! + runs.count[i]!;
    }
    group.filled = at;
  });
  const groups = new Map<number, Ranges>();
  for (const [order, { from, to, filled }] of columns.entries())
    if (filled > 0) groups.set(order, mergedRanges(from, to));
  return groups;
}

/** Calls `each` for the runs of one order that follow each other. In a map that is one piece for each order. */
function forOrders(runs: Runs, each: (order: number, from: number, to: number) => void): void {
  for (let from = 0; from < runs.length; ) {
    const order = runs.order[from]!;
    let to = from + 1;
    while (to < runs.length && runs.order[to] === order) to++;
    each(order, from, to);
    from = to;
  }
}

/** The bitmaps of each order, ascending by number. */
function cellsByOrder(skeleton: BitmapSkeleton, bits: number, abi: Abi): Map<number, Cell[]> {
  const groups = new Map<number, Cell[]>();
  for (const [c, { pa, order, entries }] of skeleton.chunks.entries()) {
    const path = `preserved.chunks[${c}]`;
    const most = 63 - pageShift(abi);
    if (!Number.isInteger(order) || order < 0 || order > most)
      throw misplaced(path, pa, `order 0 to ${most}`, String(order));
    let group = groups.get(order);
    if (!group) groups.set(order, (group = []));
    const reach = BigInt(bits) << BigInt(order + pageShift(abi));
    for (const [i, { physStart, bitmap }] of entries.entries()) {
      if (physStart % reach !== 0n)
        throw misplaced(`${path}.bitmaps[${i}]`, pa, `a multiple of ${hex(reach)}`, hex(physStart));
      group.push({ order, cell: Number(physStart / reach), bitmap });
    }
  }
  for (const [order, group] of groups) {
    group.sort((a, b) => a.cell - b.cell);
    for (let i = 1; i < group.length; i++)
      if (group[i]!.cell === group[i - 1]!.cell) {
        const { bitmap } = group[i]!;
        throw misplaced("preserved", bitmap, "one bitmap for the same blocks", `two of order ${order}`);
      }
  }
  return groups;
}

/** Chunks and bitmaps in bytes of their own, none at 0, which stands for nothing. */
function requireApart({ size, chunks }: BitmapSkeleton, abi: Abi): void {
  const length = BigInt(bitmapBytes(size, abi));
  const parts = chunks.flatMap(({ pa, entries }) => [
    { pa, end: pa + BigInt(sizeOf(khoserMemChunk, abi)) },
    ...entries.map(({ bitmap }) => ({ pa: bitmap, end: bitmap + length })),
  ]);
  parts.sort((a, b) => (a.pa < b.pa ? -1 : a.pa > b.pa ? 1 : 0));
  if (parts[0]?.pa === 0n) throw misplaced("preserved", parts[0].pa, "chunks and bitmaps", "one at 0");
  for (let i = 1; i < parts.length; i++)
    if (parts[i]!.pa < parts[i - 1]!.end)
      throw misplaced("preserved", parts[i]!.pa, "chunks and bitmaps apart", `two at ${hex(parts[i]!.pa)}`);
}

/** What else is in the pages of small bitmaps. */
function leaveNeighbours(target: Target, cells: readonly Cell[], bytes: number): void {
  const page = BigInt(target.abi.pageSize);
  const leave = (from: bigint, to: bigint): void => {
    if (from < to) target.leave("slab-neighbours", physAddr(from), Number(to - from));
  };
  const places = cells.map(({ bitmap }) => bitmap).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  /** Up to here all is written or left. */
  let done = 0n;
  for (const pa of places) {
    const start = pa - (pa % page);
    // A new page: the rest of the last one, if there was one.
    if (start >= done) {
      leave(done, upTo(done, page));
      done = start;
    }
    leave(done, pa);
    done = pa + BigInt(bytes);
  }
  leave(done, upTo(done, page));
}

/** The next multiple of `unit`, or the value itself. */
const upTo = (value: bigint, unit: bigint): bigint => ((value + unit - 1n) / unit) * unit;

const misplaced = (path: string, pa: PhysAddr, expected: string, actual: string): KhoError =>
  new KhoError("value-range", `${path}: expected ${expected}, got ${actual}`, {
    path,
    pa,
    expected,
    actual,
  });
