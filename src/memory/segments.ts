import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import { absentMemory, tooLongRead } from "./absent.js";
import { endOfMemory, fileOffset, type PhysAddr, physAddr } from "./address.js";
import { type Memory, type MemoryRange, maxRead } from "./memory.js";
import { firstNot } from "./search.js";
import type { ByteSource } from "./source.js";

/** A piece of physical memory and where its bytes are. */
export interface Segment extends MemoryRange {
  /** Where the bytes are; absent for memory that is known to be zeros (the tail of an ELF segment). */
  readonly source?: ByteSource;
  /** Offset of the first byte in `source`. */
  readonly at: number;
}

/** Addresses that two or more segments hold; the one that came first is used. */
export interface Overlap {
  readonly pa: PhysAddr;
  readonly size: bigint;
}

/**
 * Memory made of segments in any order. Where segments overlap, the earlier one in the list wins and the
 * overlap is returned, so that the caller can report it: ascending, disjoint and merged. What a segment promises
 * beyond the end of its source is absent.
 * @throws KhoError `elf-malformed` if a segment goes beyond 2^64
 */
export function segmentedMemory(segments: readonly Segment[]): { memory: Memory; overlaps: Overlap[] } {
  const { pieces, overlaps } = disjoint(segments);
  const starts = Float64Array.from(pieces, (piece) => Number(piece.pa));

  /** The piece that holds `pa`. Doubles only narrow the search: they round above 2^53, the comparison is exact. */
  const find = (pa: bigint): Segment | undefined => {
    const approximate = Number(pa);
    const behind = firstNot(
      0,
      pieces.length,
      (i) => starts[i]! < approximate || (starts[i] === approximate && pieces[i]!.pa <= pa),
    );
    const piece = pieces[behind - 1];
    return piece && pa >= piece.pa && pa < piece.pa + piece.size ? piece : undefined;
  };

  /** Calls `each` for the parts of `[pa, pa + length)`; returns the first absent address, if any. */
  const forParts = (
    pa: PhysAddr,
    length: number,
    each: (piece: Segment, skip: number, count: number, done: number) => void,
  ): bigint | undefined => {
    for (let done = 0; done < length; ) {
      const at = pa + BigInt(done);
      const piece = find(at);
      if (!piece) return at;
      const skip = at - piece.pa;
      const count = Number(min(piece.size - skip, BigInt(length - done)));
      each(piece, Number(skip), count, done);
      done += count;
    }
    return undefined;
  };

  return {
    overlaps,
    memory: {
      ranges: pieces,
      has: (pa, length) => forParts(pa, length, () => {}) === undefined,
      read: (pa, length) => {
        const piece = find(pa);
        if (piece && pa + BigInt(length) <= piece.pa + piece.size) {
          if (length > maxRead) throw tooLongRead(pa, length);
          const bytes = readPiece(piece, Number(pa - piece.pa), length);
          if (bytes.length === length) return bytes;
          throw absentMemory(pa + BigInt(bytes.length), pa, length);
        }
        const missing = forParts(pa, length, () => {});
        if (missing !== undefined) throw absentMemory(missing, pa, length);
        if (length > maxRead) throw tooLongRead(pa, length);
        const whole = new Uint8Array(length);
        forParts(pa, length, (part, skip, count, done) => {
          const bytes = readPiece(part, skip, count);
          if (bytes.length < count) throw absentMemory(pa + BigInt(done + bytes.length), pa, length);
          whole.set(bytes, done);
        });
        return whole;
      },
    },
  };
}

const readPiece = (piece: Segment, skip: number, count: number): Uint8Array =>
  piece.source ? piece.source.read(fileOffset(piece.at + skip), count) : new Uint8Array(count);

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** Sorts segments by address and cuts away what an earlier one in the list already holds. O(n log n). */
function disjoint(segments: readonly Segment[]): { pieces: Segment[]; overlaps: Overlap[] } {
  const ranked = segments.map(withRank).filter(({ size }) => size > 0n);
  ranked.sort((a, b) => (a.pa < b.pa ? -1 : a.pa > b.pa ? 1 : a.rank - b.rank));

  const pieces: Segment[] = [];
  const cut = (piece: Segment, from: bigint, to: bigint): void => {
    if (from >= to) return;
    const { source, at } = piece;
    const skip = Number(from - piece.pa);
    const stored = source ? { source } : { zeros: true };
    pieces.push({ pa: physAddr(from), size: to - from, at: at + skip, ...stored });
  };
  /** The piece whose bytes are used from `used` on, and those beneath it, of which some reach further. */
  let active: Ranked | undefined;
  let used = 0n;
  const beneath = new BestFirst();
  const finish = (until: bigint): void => {
    while (active && end(active) <= until) {
      const position = end(active);
      cut(active, used, position);
      used = position;
      do active = beneath.pop();
      while (active && end(active) <= position);
    }
  };
  for (const piece of ranked) {
    finish(piece.pa);
    if (active && active.rank < piece.rank) {
      beneath.push(piece);
      continue;
    }
    if (active) {
      cut(active, used, piece.pa);
      beneath.push(active);
    }
    active = piece;
    used = piece.pa;
  }
  finish(endOfMemory);
  return { pieces, overlaps: overlapsOf(ranked) };
}

/** A segment with its place in the list, without the bytes that its source does not have. */
interface Ranked extends Segment {
  readonly rank: number;
}

function withRank(segment: Segment, rank: number): Ranked {
  const { pa, size, source, at } = segment;
  if (pa + size > endOfMemory)
    throw new KhoError("elf-malformed", `a segment at ${hex(pa)} of ${hex(size)} bytes goes beyond 2^64`, {
      pa,
    });
  if (!source) return { pa, size, at, rank };
  return { pa, size: min(size, BigInt(Math.max(source.size - at, 0))), at, source, rank };
}

const end = ({ pa, size }: MemoryRange): bigint => pa + size;

/** What two or more of the pieces hold, ascending and merged. `sorted` is by address. */
function overlapsOf(sorted: readonly MemoryRange[]): Overlap[] {
  const result: { pa: PhysAddr; size: bigint }[] = [];
  /** The end of what the pieces so far hold. Every piece that begins before it lies over another one until there. */
  let reach = 0n;
  for (const piece of sorted) {
    const until = min(reach, end(piece));
    const last = result.at(-1);
    if (last && piece.pa <= end(last)) {
      if (until > end(last)) last.size = until - last.pa;
    } else if (piece.pa < until) result.push({ pa: piece.pa, size: until - piece.pa });
    if (end(piece) > reach) reach = end(piece);
  }
  return result;
}

/** A binary heap of pieces, the one that is earliest in the list on endOfMemory. */
class BestFirst {
  readonly #items: Ranked[] = [];

  push(item: Ranked): void {
    const items = this.#items;
    let hole = items.length;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (items[parent]!.rank < item.rank) break;
      items[hole] = items[parent]!;
      hole = parent;
    }
    items[hole] = item;
  }

  pop(): Ranked | undefined {
    const items = this.#items;
    const best = items[0];
    const item = items.pop();
    if (!item || items.length === 0) return best;
    let hole = 0;
    for (let child = 1; child < items.length; child = 2 * hole + 1) {
      if (child + 1 < items.length && items[child + 1]!.rank < items[child]!.rank) child++;
      if (item.rank < items[child]!.rank) break;
      items[hole] = items[child]!;
      hole = child;
    }
    items[hole] = item;
    return best;
  }
}
