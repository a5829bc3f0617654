import type { Ram } from "../machine/index.js";
import { addressOf } from "../memory/index.js";

/** Tells whether the capture that a memory was made from holds a page: where it does not, there is nothing to compare. */
export type Captured = (pfn: number) => boolean;

/** What came of comparing the same pages of two memories. */
export interface Compared {
  /** The first page that differs. */
  readonly different?: number;
  /** Pages that were not captured, up to the first that differs. */
  readonly absent: number;
}

/** Asking what is stored costs more than reading so many pages. */
const few = 16;

/** Compares the pages `[pfn, pfn + pages)`, all of them RAM of both. What neither stores costs nothing. */
export function comparePages(
  before: Ram,
  after: Ram,
  pfn: number,
  pages: number,
  pageSize: number,
  captured: Captured | undefined,
): Compared {
  let absent = 0;
  if (pages < few) {
    for (let page = pfn; page < pfn + pages; page++)
      if (captured && !captured(page)) absent++;
      else if (!samePage(before, page, after, page, pageSize)) return { different: page, absent };
    return { absent };
  }
  const pieces = [before.contents(pfn, pages), after.contents(pfn, pages)] as const;
  for (let at = pfn, b = 0, a = 0; at < pfn + pages; ) {
    const [old, now] = [pieces[0][b]!, pieces[1][a]!];
    const [oldEnd, nowEnd] = [old.pfn + old.pages, now.pfn + now.pages];
    const end = Math.min(oldEnd, nowEnd);
    const alike = old.kind === now.kind && old.kind !== "stored";
    if (captured || !alike)
      for (let page = at; page < end; page++) {
        if (captured && !captured(page)) absent++;
        else if (!alike && !samePage(before, page, after, page, pageSize)) return { different: page, absent };
      }
    at = end;
    if (oldEnd === end) b++;
    if (nowEnd === end) a++;
  }
  return { absent };
}

/** True if two pages have the same bytes. */
export function samePage(before: Ram, old: number, after: Ram, now: number, pageSize: number): boolean {
  return sameBytes(
    before.read(addressOf(old, pageSize), pageSize),
    after.read(addressOf(now, pageSize), pageSize),
  );
}

export function sameBytes(some: Uint8Array, others: Uint8Array): boolean {
  if (some.length !== others.length) return false;
  // Copies of one memory share the pages that neither has written to.
  if (some.buffer === others.buffer && some.byteOffset === others.byteOffset) return true;
  for (let i = 0; i < some.length; i++) if (some[i] !== others[i]) return false;
  return true;
}

export const isZero = (bytes: Uint8Array): boolean => {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
};
