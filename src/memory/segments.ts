import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import { fileOffset, type PhysAddr, physAddr } from "./address.js";
import type { Memory, MemoryRange } from "./memory.js";
import type { ByteSource } from "./source.js";

/** A piece of physical memory and where its bytes are. */
export interface Segment extends MemoryRange {
  /** Where the bytes are; absent for memory that is known to be zeros (the tail of an ELF segment). */
  readonly source?: ByteSource;
  /** Offset of the first byte in `source`. */
  readonly at: number;
}

/** Addresses that two segments claim; the one that came first is used. */
export interface Overlap {
  readonly pa: PhysAddr;
  readonly size: bigint;
}

const top = 1n << 64n;

/**
 * Memory made of segments in any order. Where segments overlap, the earlier one in the list wins and the
 * overlap is returned, so that the caller can report it.
 * @throws KhoError `elf-malformed` if a segment goes beyond 2^64
 */
export function segmentedMemory(segments: readonly Segment[]): { memory: Memory; overlaps: Overlap[] } {
  const overlaps: Overlap[] = [];
  const pieces = disjoint(segments, overlaps);
  const starts = Float64Array.from(pieces, (piece) => Number(piece.pa));

  /** The piece that holds `pa`. Doubles only narrow the search: they round above 2^53, the comparison is exact. */
  const find = (pa: bigint): Segment | undefined => {
    let low = 0;
    let high = pieces.length;
    const approximate = Number(pa);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle]! < approximate || (starts[middle] === approximate && pieces[middle]!.pa <= pa))
        low = middle + 1;
      else high = middle;
    }
    const piece = pieces[low - 1];
    return piece && pa >= piece.pa && pa < piece.pa + piece.size ? piece : undefined;
  };

  /** Calls `each` for the parts of `[pa, pa + length)`; returns the first absent address, if any. */
  const forParts = (
    pa: PhysAddr,
    length: number,
    each: (piece: Segment, skip: number, count: number, done: number) => void,
  ): PhysAddr | undefined => {
    for (let done = 0; done < length; ) {
      const at = pa + BigInt(done);
      const piece = at < top ? find(at) : undefined;
      if (!piece) return physAddr(at);
      const skip = at - piece.pa;
      const count = Number(min(piece.size - skip, BigInt(length - done)));
      each(piece, Number(skip), count, done);
      done += count;
    }
    return undefined;
  };

  const absent = (pa: PhysAddr, wanted: PhysAddr, length: number): KhoError =>
    new KhoError("memory-absent", `the capture holds no memory at ${hex(pa)}`, {
      pa,
      length,
      expected: `${length} bytes at ${hex(wanted)}`,
      actual: "not captured",
    });

  return {
    overlaps,
    memory: {
      ranges: pieces,
      has: (pa, length) => forParts(pa, length, () => {}) === undefined,
      read: (pa, length) => {
        const piece = find(pa);
        if (piece && pa + BigInt(length) <= piece.pa + piece.size) {
          const bytes = readPiece(piece, Number(pa - piece.pa), length);
          if (bytes.length === length) return bytes;
          throw absent(physAddr(pa + BigInt(bytes.length)), pa, length);
        }
        const missing = forParts(pa, length, () => {});
        if (missing !== undefined) throw absent(missing, pa, length);
        const whole = new Uint8Array(length);
        forParts(pa, length, (part, skip, count, done) => {
          const bytes = readPiece(part, skip, count);
          if (bytes.length < count) throw absent(physAddr(pa + BigInt(done + bytes.length)), pa, length);
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
function disjoint(segments: readonly Segment[], overlaps: Overlap[]): Segment[] {
  const ranked = segments.map((segment, rank) => ({ ...segment, rank })).filter(({ size }) => size > 0n);
  for (const { pa, size } of ranked)
    if (pa + size > top)
      throw new KhoError("elf-malformed", `a segment at ${hex(pa)} of ${hex(size)} bytes goes beyond 2^64`, {
        pa,
      });
  ranked.sort((a, b) => (a.pa < b.pa ? -1 : a.pa > b.pa ? 1 : a.rank - b.rank));

  const result: Segment[] = [];
  const cut = (piece: Segment, from: bigint, to: bigint): void => {
    if (from >= to) return;
    const { source, at } = piece;
    const skip = Number(from - piece.pa);
    result.push({ pa: physAddr(from), size: to - from, at: at + skip, ...(source && { source }) });
  };
  /** The piece whose bytes are used at the sweep's position, and those beneath it that reach further. */
  let active: ((typeof ranked)[number] & { used: bigint }) | undefined;
  const beneath: (typeof ranked)[number][] = [];
  const end = (piece: Segment): bigint => piece.pa + piece.size;
  const finish = (until: bigint): void => {
    while (active && end(active) <= until) {
      const position = end(active);
      cut(active, active.used, position);
      active = undefined;
      while (beneath.length > 0 && !active) {
        const next = beneath.pop()!;
        if (end(next) > position) active = { ...next, used: position };
      }
    }
  };
  for (const piece of ranked) {
    finish(piece.pa);
    if (!active) {
      active = { ...piece, used: piece.pa };
      continue;
    }
    overlaps.push({ pa: piece.pa, size: min(end(active), end(piece)) - piece.pa });
    if (piece.rank < active.rank) {
      cut(active, active.used, piece.pa);
      insertByRank(beneath, active);
      active = { ...piece, used: piece.pa };
    } else insertByRank(beneath, piece);
  }
  finish(top);
  return result;
}

/** Keeps the best rank at the end of the list, where `pop` takes it. */
function insertByRank<T extends { rank: number }>(list: T[], item: T): void {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]!.rank > item.rank) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, item);
}
