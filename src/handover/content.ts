import { type FolioRuns, pagesOf } from "../../formats/memfd/folios.js";
import { MEMFD_LUO_FOLIO_UPTODATE } from "../../formats/memfd/layout.js";
import type { Memfd } from "../../formats/memfd/memfd.js";
import { addressOf, type Memory } from "../memory/index.js";

/** A stretch of a file: bytes, or a hole that reads as zeros. */
export type Piece =
  /** Bytes of the file from `offset` on. A view; do not write to it. */
  | { readonly kind: "data"; readonly offset: number; readonly bytes: Uint8Array }
  /** `length` bytes that no folio covers, or whose folio was never filled. */
  | { readonly kind: "hole"; readonly offset: number; readonly length: number };

/** Bytes that one piece has at most. */
const pieceSize = 1 << 20;

/**
 * The content of a memfd in order, from its first byte to its size. Offsets are exact below 2^53 bytes; a file that
 * claims more ends there.
 * @throws KhoError `memory-absent` if a folio is not in the capture
 */
export function* memfdContent(memory: Memory, memfd: Memfd, pageSize: number): Generator<Piece> {
  const size = Number(
    memfd.size > BigInt(Number.MAX_SAFE_INTEGER) ? BigInt(Number.MAX_SAFE_INTEGER) : memfd.size,
  );
  const { folios } = memfd;
  let offset = 0;
  for (const run of ascending(folios)) {
    const start = folios.index[run]! * pageSize;
    const end = Math.min(size, start + pagesOf(folios, run) * pageSize);
    if (start > offset && offset < size)
      yield { kind: "hole", offset, length: Math.min(start, size) - offset };
    offset = Math.max(offset, Math.min(start, size));
    const filled = (folios.flags[run]! & MEMFD_LUO_FOLIO_UPTODATE) !== 0;
    if (!filled && end > offset) yield { kind: "hole", offset, length: end - offset };
    while (filled && offset < end) {
      const length = Math.min(pieceSize, end - offset);
      const pa = addressOf(folios.pfn[run]! + Math.floor((offset - start) / pageSize), pageSize);
      yield { kind: "data", offset, bytes: memory.read(pa, length) };
      offset += length;
    }
    offset = Math.max(offset, end);
  }
  if (offset < size) yield { kind: "hole", offset, length: size - offset };
}

/** Runs by index. Writers list them in order, so that sorting is the exception. */
function ascending(folios: FolioRuns): Iterable<number> {
  const rank = Uint32Array.from({ length: folios.length }, (_, i) => i);
  for (let i = 1; i < folios.length; i++)
    if (folios.index[i]! < folios.index[i - 1]!)
      return rank.sort((a, b) => folios.index[a]! - folios.index[b]!);
  return rank;
}
