import { type Abi, encode, hostIsLittle, pageShift, type ValueOf } from "../../src/layout/index.js";
import { addressOf, type PhysAddr, physAddr } from "../../src/memory/index.js";
import { KhoError } from "../../src/report/error.js";
import type { Target } from "../target.js";
import {
  KHO_VMALLOC_ALLOC,
  KHO_VMALLOC_HUGE_VMAP,
  type khoVmalloc,
  khoVmallocChunk,
  vmallocPerChunk,
} from "./layout.js";

/** Where the blocks of a preserved area are, in virtual order: PFNs below 2^52, of blocks of `2 ** order` pages. */
export interface VmallocBlocks {
  readonly pfns: ArrayLike<number>;
  readonly order: number;
}

/**
 * Pages that the list of an area of `blocks` blocks takes. A writer links another one as soon as one is full, so that an
 * area that fills its last one exactly has an empty one behind it; an area of nothing has none.
 */
export const vmallocChunks = (blocks: number, abi: Abi): number =>
  blocks === 0 ? 0 : Math.floor(blocks / vmallocPerChunk(abi)) + 1;

/**
 * Writes the list of an area into the pages `chunks`, and returns what its user embeds. Up to 2^32 - 1 pages.
 * @throws KhoError `value-range` for another number of chunks than {@link vmallocChunks}, too many pages, a block at 0
 */
export function encodeVmalloc(
  target: Target,
  chunks: readonly PhysAddr[],
  pfns: ArrayLike<number>,
  order: number,
): ValueOf<typeof khoVmalloc> {
  const { abi } = target;
  const count = pfns.length;
  const wanted = vmallocChunks(count, abi);
  if (chunks.length !== wanted) throw wrong("chunks", `${wanted} pages`, String(chunks.length));
  const totalPages = count * 2 ** order;
  if (totalPages >= 2 ** 32) throw wrong("total_pages", "below 2^32", String(totalPages));
  const perChunk = vmallocPerChunk(abi);
  const shift = pageShift(abi);
  const frames = 2 ** (64 - shift);
  const lowHalf = hostIsLittle ? 0 : 1;
  for (const [c, pa] of chunks.entries()) {
    const phys = new BigUint64Array(perChunk);
    const halves = new Uint32Array(phys.buffer);
    const from = c * perChunk;
    const to = Math.min(from + perChunk, count);
    for (let i = from, low = lowHalf; i < to; i++, low += 2) {
      const frame = pfns[i]!;
      // An address of 0 would end the list.
      if (!(frame > 0 && frame < frames && Number.isInteger(frame)))
        throw wrong(`phys[${i}]`, "a page that is not 0", String(frame));
      halves[low] = frame << shift;
      halves[low ^ 1] = frame * 2 ** (shift - 32);
    }
    const next = chunks[c + 1] ?? physAddr(0);
    target.write(pa, encode(khoVmallocChunk, { hdr: { next }, phys }, abi));
  }
  if (count === 0) return { first: physAddr(0), total_pages: 0, flags: 0, order: 0 };
  // Blocks larger than a page are there only if the mapping was allowed to have them.
  const flags = KHO_VMALLOC_ALLOC | (order === 0 ? 0 : KHO_VMALLOC_HUGE_VMAP);
  return { first: chunks[0]!, total_pages: totalPages, flags, order };
}

/**
 * Writes the first `length` bytes of an area's contents page by page, and leaves what is behind them. `fill` is given
 * zeros to write into, and how many bytes of the area are before them.
 * @throws KhoError `value-range` if the area is too small
 */
export function encodeVmallocContent(
  target: Target,
  { pfns, order }: VmallocBlocks,
  length: number,
  fill: (bytes: Uint8Array, offset: number) => void,
): void {
  const { pageSize } = target.abi;
  const perBlock = 2 ** order;
  const room = pfns.length * perBlock * pageSize;
  if (length > room) throw wrong("length", `at most ${room} bytes`, `${length} bytes`);
  for (let block = 0, offset = 0; block < pfns.length; block++) {
    const end = offset + perBlock * pageSize;
    const start = addressOf(pfns[block]!, pageSize);
    const defined = Math.min(end, length);
    for (let at = offset; at < defined; at += pageSize) {
      const bytes = new Uint8Array(Math.min(pageSize, length - at));
      fill(bytes, at);
      target.write(physAddr(start + BigInt(at - offset)), bytes);
    }
    const rest = end - Math.max(offset, defined);
    if (rest > 0) target.leave("array-tail", physAddr(start + BigInt(end - offset - rest)), rest);
    offset = end;
  }
}

const wrong = (member: string, expected: string, actual: string): KhoError => {
  const path = `kho_vmalloc.${member}`;
  return new KhoError("value-range", `${path}: expected ${expected}, got ${actual}`, {
    path,
    expected,
    actual,
  });
};
