import { frameLg2 } from "./entry.js";

/** Base-2 logarithm of the largest power of two that divides a frame number below 2^52; 52 for 0. */
function alignmentOf(frame: number): number {
  const low = (frame % 2 ** 32) | 0;
  if (low !== 0) return 31 - Math.clz32(low & -low);
  const high = Math.floor(frame / 2 ** 32);
  return high === 0 ? 52 : 63 - Math.clz32(high & -high);
}

/** Sizes of leaves that a domain can have, as base-2 logarithms of frames, largest first. */
export function pageSizes(pgsizeBitmap: bigint): readonly number[] {
  const sizes: number[] = [];
  for (let bit = 63; bit >= frameLg2; bit--)
    if ((pgsizeBitmap >> BigInt(bit)) & 1n) sizes.push(bit - frameLg2);
  return sizes;
}

/**
 * What the kernel maps next, of `frames` frames that are still to be mapped from `iova` to `pa`: leaves of the largest size
 * that both addresses are aligned to and that fits, and so many of them as there are before a larger size does.
 * @returns base-2 logarithm of the frames of a leaf, and the number of leaves; undefined where no size fits
 */
export function nextLeaves(
  sizes: readonly number[],
  iova: number,
  pa: number,
  frames: number,
): { readonly size: number; readonly count: number } | undefined {
  const limit = Math.min(alignmentOf(iova), alignmentOf(pa), Math.floor(Math.log2(frames)));
  const at = sizes.findIndex((size) => size <= limit);
  if (at < 0) return undefined;
  const size = sizes[at]!;
  const all = Math.floor(frames / 2 ** size);
  const larger = sizes[at - 1];
  if (larger === undefined) return { size, count: all };
  const room = 2 ** larger;
  const into = iova % room;
  if (into !== pa % room || into === 0 || room - into + room > frames) return { size, count: all };
  return { size, count: (room - into) / 2 ** size };
}
