import { littleWords } from "../layout/index.js";
import { type Memory, type MemoryRange, type PhysAddr, physAddr } from "../memory/index.js";
import { mergedRanges } from "../memory/ranges.js";
import { zeroStretches } from "../memory/zeros.js";

/** A piece of memory as a core has it: bytes that are stored, then zeros that are not. */
export interface CoreSegment {
  readonly pa: PhysAddr;
  /** Bytes in the file. */
  readonly stored: bigint;
  /** Bytes in memory; at least `stored`. */
  readonly size: bigint;
}

/** Whole pages of zeros that are worth a segment of their own. At the end of a range they need none. */
const leastZeroPages = 4;
/** Bytes that are looked at at once; a multiple of every page size. */
const stride = 1 << 20;

/**
 * Cuts ranges into the segments of a core: ascending, disjoint and, where zeros are stored, merged. With `omitZeros`
 * whole pages of zeros are left out, which takes a look at every byte that the memory stores; `most` segments are not
 * exceeded for it.
 * @param pageSize a power of two from 4096 to 65536
 * @throws KhoError `memory-absent` if zeros are left out and the memory lacks some of the ranges
 */
export function coreSegments(
  memory: Memory,
  ranges: readonly MemoryRange[],
  pageSize: number,
  omitZeros: boolean,
  most: number,
): CoreSegment[] {
  const merged = mergedRanges(ranges);
  if (!omitZeros) return merged.map(({ pa, size }) => ({ pa, size, stored: size }));
  const segments: CoreSegment[] = [];
  const unstored = zeroStretches(memory);
  const least = BigInt(leastZeroPages * pageSize);
  let left = most - merged.length;
  for (const { pa, size } of merged) {
    const end = pa + size;
    let begin: bigint = pa;
    const cut = (stored: bigint, until: bigint): void => {
      segments.push({ pa: physAddr(begin), stored: stored - begin, size: until - begin });
      begin = until;
    };
    for (const zeros of zeroPages(memory, unstored, pa, end, BigInt(pageSize))) {
      if (zeros.end === end) cut(zeros.start, end);
      else if (zeros.end - zeros.start >= least && left > 0) {
        cut(zeros.start, zeros.end);
        left--;
      }
    }
    if (begin < end) cut(end, end);
  }
  return segments;
}

interface Stretch {
  readonly start: bigint;
  readonly end: bigint;
}

/** Stretches of whole pages of zeros from `start` up to `end`, as long as they are. */
function* zeroPages(
  memory: Memory,
  unstored: ReturnType<typeof zeroStretches>,
  start: bigint,
  end: bigint,
  pageSize: bigint,
): Generator<Stretch> {
  const step = Number(pageSize);
  const down = (address: bigint): bigint => address - (address % pageSize);
  const last = down(end);
  let from: bigint | undefined;
  for (let at = down(start + pageSize - 1n); at < last; ) {
    const { zeros, until } = unstored(at);
    const whole = down(until === undefined || until > last ? last : until);
    if (zeros && whole > at) {
      from ??= at;
      at = whole;
      continue;
    }
    const bytes = memory.read(physAddr(at), Number(last - at < stride ? last - at : BigInt(stride)));
    for (let i = 0; i < bytes.length; i += step)
      if (isZero(bytes.subarray(i, i + step))) from ??= at + BigInt(i);
      else if (from !== undefined) {
        yield { start: from, end: at + BigInt(i) };
        from = undefined;
      }
    at += BigInt(bytes.length);
  }
  if (from !== undefined) yield { start: from, end: last };
}

/** True for nothing but zeros. The length is a multiple of 4. */
function isZero(bytes: Uint8Array): boolean {
  const words = littleWords(bytes);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}
