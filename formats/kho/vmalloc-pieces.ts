import { addressOf } from "../../src/memory/index.js";
import { isKhoError } from "../../src/report/error.js";
import type { Consequence } from "../../src/report/finding.js";
import { type Context, readMemory } from "../context.js";
import type { VmallocArea } from "./vmalloc.js";

/** Bytes that a piece of an area has at most, if a page is not larger: a power of two. */
export const mostPieceBytes = 1 << 16;

/**
 * The first `length` bytes of an area in order, whole pages but at the end; `offset` is that of the piece in the area. Pages
 * that lie side by side in memory come as one piece. Stops early, with a finding, at memory that is absent.
 */
export function* vmallocPieces(
  ctx: Context,
  { pfns, order }: VmallocArea,
  length: number,
  path: string,
  oops?: Consequence,
): Generator<{ readonly bytes: Uint8Array; readonly offset: number }> {
  const { pageSize } = ctx.abi;
  const most = Math.max(1, mostPieceBytes / pageSize);
  // The order of an area without pages can be anything.
  const perBlock = pfns.length === 0 ? 1 : 2 ** order;
  const pages = Math.min(Math.ceil(length / pageSize), pfns.length * perBlock);
  const frameOf = (page: number): number => pfns[Math.floor(page / perBlock)]! + (page % perBlock);
  /** Pages before this one are read one by one: some of them are not there. */
  let singly = 0;
  for (let page = 0; page < pages; ) {
    const first = frameOf(page);
    let count = 1;
    while (count < most && page + count < pages && frameOf(page + count) === first + count) count++;
    if (page < singly) count = 1;
    const offset = page * pageSize;
    const pa = addressOf(first, pageSize);
    const wanted = Math.min(count * pageSize, length - offset);
    if (count > 1) {
      const bytes = readWhole(ctx, pa, wanted);
      if (bytes) {
        yield { bytes, offset };
        page += count;
      } else singly = page + count;
      continue;
    }
    const bytes = readMemory(ctx, pa, wanted, path, oops);
    if (!bytes) return;
    yield { bytes, offset };
    page++;
  }
}

/** Bytes that are all there, or nothing: who asks then finds out what is missing. */
function readWhole({ memory }: Context, ...[pa, length]: Parameters<Context["memory"]["read"]>) {
  try {
    return memory.read(pa, length);
  } catch (error) {
    if (!isKhoError(error, "memory-absent")) throw error;
    return undefined;
  }
}
