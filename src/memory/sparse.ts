import { absentMemory, tooLongRead } from "./absent.js";
import { endOfMemory, type PhysAddr, physAddr } from "./address.js";
import { type Memory, type MemoryRange, maxRead } from "./memory.js";

/** Physical memory that is made page by page: what was never written to, nor covered, is absent. */
export interface SparseMemory extends Memory {
  /**
   * Writes bytes anywhere, also across pages. What else is in the 4 KiB pages that they touch is there from then on, as
   * zeros where nothing was. @throws KhoError `memory-absent` beyond 2^64
   */
  write(pa: PhysAddr, bytes: Uint8Array): void;
  /**
   * Makes the 4 KiB pages that `[pa, pa + length)` touches be there, as zeros where nothing was; that takes an entry in a
   * table a page, but no page. @throws KhoError `memory-absent` beyond 2^64
   */
  cover(pa: PhysAddr, length: number): void;
}

/** The smallest page of any machine: memory of larger ones is made of several. */
const frameSize = 4096;
/** What a page is that was covered and not written to. Never written to itself. */
const zeros = new Uint8Array(frameSize);

/**
 * Memory without any page. Reads within one page are views, which later writes change; longer ones are copies. Ranges are
 * merged, and sorted when they are first asked for after a page was added.
 */
export function sparseMemory(): SparseMemory {
  /** By number: an address below 2^64 divided by 2^12, so at most 52 bits. */
  const frames = new Map<number, Uint8Array>();
  let ranges: readonly MemoryRange[] | undefined;

  /** Calls `each` for every page's part of `[pa, pa + length)`, until it says false. */
  const forFrames = (
    pa: PhysAddr,
    length: number,
    each: (frame: number, into: number, count: number, done: number) => boolean,
  ): void => {
    let frame = Number(pa / BigInt(frameSize));
    let into = Number(pa % BigInt(frameSize));
    for (let done = 0; done < length; frame++, into = 0) {
      const count = Math.min(frameSize - into, length - done);
      if (!each(frame, into, count, done)) return;
      done += count;
    }
  };
  const within = (pa: PhysAddr, length: number): void => {
    if (pa + BigInt(length) > endOfMemory) throw absentMemory(endOfMemory, pa, length);
  };
  /** The first address that is not there, if any. */
  const missing = (pa: PhysAddr, length: number): bigint | undefined => {
    let found: bigint | undefined;
    forFrames(pa, length, (frame, into) => {
      if (frames.has(frame)) return true;
      found = BigInt(frame) * BigInt(frameSize) + BigInt(into);
      return false;
    });
    return found;
  };

  return {
    write(pa, bytes) {
      within(pa, bytes.length);
      forFrames(pa, bytes.length, (number, into, count, done) => {
        let frame = frames.get(number);
        if (!frame) ranges = undefined;
        if (!frame || frame === zeros) frames.set(number, (frame = new Uint8Array(frameSize)));
        frame.set(bytes.subarray(done, done + count), into);
        return true;
      });
    },
    cover(pa, length) {
      within(pa, length);
      forFrames(pa, length, (number) => {
        if (!frames.has(number)) {
          frames.set(number, zeros);
          ranges = undefined;
        }
        return true;
      });
    },
    has: (pa, length) => missing(pa, length) === undefined,
    read(pa, length) {
      const into = Number(pa % BigInt(frameSize));
      const first = frames.get(Number(pa / BigInt(frameSize)));
      if (first && into + length <= frameSize) return first.subarray(into, into + length);
      const absent = missing(pa, length);
      if (absent !== undefined) throw absentMemory(absent, pa, length);
      if (length > maxRead) throw tooLongRead(pa, length);
      const whole = new Uint8Array(length);
      forFrames(pa, length, (number, from, count, done) => {
        whole.set(frames.get(number)!.subarray(from, from + count), done);
        return true;
      });
      return whole;
    },
    get ranges() {
      ranges ??= rangesOf(frames);
      return ranges;
    },
  };
}

/** Runs of neighbouring pages. */
function rangesOf(frames: ReadonlyMap<number, unknown>): MemoryRange[] {
  const numbers = Float64Array.from(frames.keys()).sort();
  const ranges: MemoryRange[] = [];
  for (let from = 0; from < numbers.length; ) {
    let to = from + 1;
    while (to < numbers.length && numbers[to] === numbers[to - 1]! + 1) to++;
    ranges.push({
      pa: physAddr(BigInt(numbers[from]!) * BigInt(frameSize)),
      size: BigInt(to - from) * BigInt(frameSize),
    });
    from = to;
  }
  return ranges;
}
