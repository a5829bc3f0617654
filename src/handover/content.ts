import { byIndex, pagesOf } from "../../formats/memfd/folios.js";
import { MEMFD_LUO_FOLIO_UPTODATE } from "../../formats/memfd/layout.js";
import type { Memfd } from "../../formats/memfd/memfd.js";
import { addressOf, type Memory, type PhysAddr, storedBytes } from "../memory/index.js";
import { zeroStretches } from "../memory/zeros.js";
import { KhoError } from "../report/error.js";

/** A stretch of a file: bytes, or a hole that reads as zeros. */
export type Piece =
  /** Bytes of the file from `offset` on. A view; do not write to it. */
  | { readonly kind: "data"; readonly offset: number; readonly bytes: Uint8Array }
  /** `length` bytes that no folio covers, whose folio was never filled, or that the capture holds as zeros. */
  | { readonly kind: "hole"; readonly offset: number; readonly length: number };

/** Bounds on what a file can ask for. */
export interface ContentOptions {
  /**
   * Bytes of data, holes not counted. Unless given as many as the capture stores: a page belongs to one place of one
   * file, so that only a list with the same pages over and over has more.
   */
  readonly maxData?: number;
}

/** Bytes that one piece has at most. */
const pieceSize = 1 << 20;

/**
 * The content of a memfd in order, from its first byte to its size. Offsets are exact below 2^53 bytes; a file that
 * claims more ends there.
 * @throws KhoError `memory-absent` if a folio is not in the capture; `limit-exceeded` if there is more data than allowed
 */
export function* memfdContent(
  memory: Memory,
  memfd: Memfd,
  pageSize: number,
  options: ContentOptions = {},
): Generator<Piece> {
  const size = Number(
    memfd.size > BigInt(Number.MAX_SAFE_INTEGER) ? BigInt(Number.MAX_SAFE_INTEGER) : memfd.size,
  );
  const { folios } = memfd;
  const stretchFrom = zeroStretches(memory);
  const maxData = options.maxData ?? storedBytes(memory);
  let left = maxData;
  let offset = 0;
  for (const run of byIndex(folios)) {
    if (offset >= size) return;
    const start = folios.index[run]! * pageSize;
    const end = Math.min(size, start + pagesOf(folios, run) * pageSize);
    if (start > offset) yield { kind: "hole", offset, length: Math.min(start, size) - offset };
    offset = Math.max(offset, Math.min(start, size));
    const filled = (folios.flags[run]! & MEMFD_LUO_FOLIO_UPTODATE) !== 0;
    if (!filled && end > offset) yield { kind: "hole", offset, length: end - offset };
    while (filled && offset < end) {
      // Of the page's address and the place in it; the sum as a number would round.
      const into = offset - start;
      const page = addressOf(folios.pfn[run]! + Math.floor(into / pageSize), pageSize);
      const pa = (page + BigInt(into % pageSize)) as PhysAddr;
      const stretch = stretchFrom(pa);
      const rest = stretch.until === undefined ? Number.POSITIVE_INFINITY : Number(stretch.until - pa);
      if (stretch.zeros) {
        const length = Math.min(rest, end - offset);
        yield { kind: "hole", offset, length };
        offset += length;
        continue;
      }
      const length = Math.min(pieceSize, rest, end - offset);
      const bytes = memory.read(pa, length);
      if ((left -= length) < 0)
        throw new KhoError("limit-exceeded", `the file has more than ${maxData} bytes of data`, {
          pa,
          expected: `at most ${maxData} bytes, which is what the capture stores unless set otherwise`,
        });
      yield { kind: "data", offset, bytes };
      offset += length;
    }
    offset = Math.max(offset, end);
  }
  if (offset < size) yield { kind: "hole", offset, length: size - offset };
}
