/** A set of frames: a bit for each, in pages of bits where there are any. */
export interface FrameSet {
  /** Adds a frame below 2^52; false if it was there. */
  add(frame: number): boolean;
  has(frame: number): boolean;
  readonly size: number;
  /** Adds all frames to another set. */
  addTo(other: FrameSet): void;
  /** All frames as runs, ascending and merged: first frame and number of frames, pair by pair. */
  runs(): Float64Array;
}

/** Frames of one page of bits, 4 MiB of memory: small, because hostile tables can lie anywhere. */
const span = 2 ** 10;

export function newFrameSet(): FrameSet {
  const pages = new Map<number, Int32Array>();
  let size = 0;
  /** The page of bits that was used last: frames come in clusters. */
  let lastNumber = -1;
  let last: Int32Array | undefined;
  const set: FrameSet = {
    get size() {
      return size;
    },
    add(frame) {
      const number = Math.floor(frame / span);
      let page = number === lastNumber ? last : pages.get(number);
      if (!page) pages.set(number, (page = new Int32Array(span / 32)));
      lastNumber = number;
      last = page;
      const at = frame - number * span;
      const bit = 1 << (at & 31);
      if ((page[at >>> 5]! & bit) !== 0) return false;
      page[at >>> 5]! |= bit;
      size++;
      return true;
    },
    has(frame) {
      const number = Math.floor(frame / span);
      const at = frame - number * span;
      return ((pages.get(number)?.[at >>> 5] ?? 0) & (1 << (at & 31))) !== 0;
    },
    addTo(other) {
      const found = set.runs();
      for (let i = 0; i < found.length; i += 2)
        for (let more = 0; more < found[i + 1]!; more++) other.add(found[i]! + more);
    },
    runs() {
      const found: number[] = [];
      let end = -1;
      for (const number of Float64Array.from(pages.keys()).sort()) {
        const page = pages.get(number)!;
        for (let at = 0; at < span; at++) {
          if (page[at >>> 5] === 0) {
            at |= 31;
            continue;
          }
          if ((page[at >>> 5]! & (1 << (at & 31))) === 0) continue;
          const frame = number * span + at;
          if (frame === end) found[found.length - 1]!++;
          else found.push(frame, 1);
          end = frame + 1;
        }
      }
      return Float64Array.from(found);
    },
  };
  return set;
}
