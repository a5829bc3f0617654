import { littleWords } from "../layout/index.js";
import { firstNot, type Memory, type MemoryRange, type PhysAddr, physAddr } from "../memory/index.js";
import { packUnit } from "./pack-ranges.js";

/** What is in one page, or the part of it that the image has. */
export interface Compared extends MemoryRange {
  /** `same`: but for what means nothing; `differs` from `at` on; `unwritten`: nothing was written there. */
  readonly verdict: "same" | "differs" | "unwritten";
  readonly at: PhysAddr;
}

/**
 * Compares what was written with what an image has, page by page, but for bytes in `meaningless`.
 * @param parts what the image has of the pages that structures occupy, ascending and disjoint
 * @param meaningless ascending and disjoint
 */
export function* compared(
  found: Memory,
  written: Memory,
  parts: readonly MemoryRange[],
  meaningless: readonly MemoryRange[],
): Generator<Compared> {
  for (const part of parts) {
    const end = part.pa + part.size;
    for (let pa: bigint = part.pa; pa < end; ) {
      const left = packUnit - Number(pa % BigInt(packUnit));
      const length = end - pa < left ? Number(end - pa) : left;
      const at = physAddr(pa);
      const place = { pa: at, size: BigInt(length) };
      pa += place.size;
      if (!written.has(at, length)) {
        yield { ...place, verdict: "unwritten", at };
        continue;
      }
      const first = firstDifference(found.read(at, length), written.read(at, length), at, meaningless);
      if (first < 0) yield { ...place, verdict: "same", at };
      else yield { ...place, verdict: "differs", at: physAddr(at + BigInt(first)) };
    }
  }
}

/** Index of the first byte that differs and is not meaningless, or -1. Both begin at `pa` and are equally long. */
function firstDifference(
  found: Uint8Array,
  written: Uint8Array,
  pa: PhysAddr,
  meaningless: readonly MemoryRange[],
): number {
  if (sameBytes(found, written)) return -1;
  // Of the stretches only those that reach into these bytes.
  let next = firstNot(0, meaningless.length, (i) => meaningless[i]!.pa + meaningless[i]!.size <= pa);
  const startOf = (i: number): number => {
    const stretch = meaningless[i];
    return stretch && stretch.pa < pa + BigInt(found.length) ? Number(stretch.pa - pa) : found.length;
  };
  for (let at = 0; at < found.length; ) {
    const until = startOf(next);
    for (; at < until; at++) if (found[at] !== written[at]) return at;
    if (until === found.length) return -1;
    at = Number(meaningless[next]!.pa + meaningless[next]!.size - pa);
    next++;
  }
  return -1;
}

/** Quick for what is the same, as nearly everything is. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  const [some, others] = [littleWords(a), littleWords(b)];
  for (let i = 0; i < some.length; i++) if (some[i] !== others[i]) return false;
  for (let i = some.length * 4; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
