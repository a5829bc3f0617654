import { firstNot } from "../memory/search.js";
import type { ByteSource } from "../memory/source.js";

/**
 * A byte source over pieces one behind the other, which are not joined: their sum may be more than one buffer holds.
 * Reads within a piece are views, reads across a border are copies. Do not write to the pieces afterwards.
 */
export function chunkSource(chunks: readonly Uint8Array[]): ByteSource {
  const pieces = chunks.filter((chunk) => chunk.length > 0);
  const starts = new Float64Array(pieces.length);
  let size = 0;
  for (const [i, piece] of pieces.entries()) {
    starts[i] = size;
    size += piece.length;
  }
  /** Index of the piece that holds offset `at`, which is below `size`. */
  const find = (at: number): number => firstNot(0, pieces.length, (i) => starts[i]! <= at) - 1;
  return {
    size,
    read: (at, length) => {
      const wanted = Math.min(length, size - at);
      if (wanted <= 0) return new Uint8Array(0);
      let index = find(at);
      const skip = at - starts[index]!;
      const first = pieces[index]!.subarray(skip, skip + wanted);
      if (first.length === wanted) return first;
      const whole = new Uint8Array(wanted);
      whole.set(first);
      for (let done = first.length; done < wanted; ) {
        const part = pieces[++index]!.subarray(0, wanted - done);
        whole.set(part, done);
        done += part.length;
      }
      return whole;
    },
  };
}

/** Gathers bytes of any length into equal pieces. */
export interface ChunkCollector {
  /** How many bytes were added. */
  readonly length: number;
  /** Copies `bytes`. */
  add(bytes: Uint8Array): void;
  /** The first bytes, at most `count`, which is less than a piece. */
  first(count: number): Uint8Array;
  /** What was gathered. */
  source(): ByteSource;
}

/**
 * Copies into pieces of `pieceSize` bytes, 1 MiB unless given: data that arrives in crumbs must not cost an object for
 * every crumb.
 */
export function chunkCollector(pieceSize = 1 << 20): ChunkCollector {
  const full: Uint8Array[] = [];
  let current = new Uint8Array(0);
  let used = 0;
  const trimmed = (): Uint8Array => current.subarray(0, used);
  return {
    get length() {
      return full.length * pieceSize + used;
    },
    add: (bytes) => {
      for (let done = 0; done < bytes.length; ) {
        if (used === current.length) {
          if (used > 0) full.push(current);
          current = new Uint8Array(pieceSize);
          used = 0;
        }
        const part = bytes.subarray(done, done + current.length - used);
        current.set(part, used);
        used += part.length;
        done += part.length;
      }
    },
    first: (count) => (full[0] ?? trimmed()).subarray(0, count),
    source: () => chunkSource([...full, trimmed()]),
  };
}
