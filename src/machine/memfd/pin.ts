import { refusal } from "../errno.js";
import { UPTODATE } from "./folios.js";
import { type MemfdFile, type MemfdInode, pagesOfSize, populate } from "./inode.js";

/** Pages that follow each other in the file and in memory. */
export interface PinnedRun {
  readonly pfn: number;
  readonly pages: number;
}

/**
 * memfd_pin_folios: pins the pages `[from, to)` of a file for a device; those that it does not have yet are made. The file
 * itself has to stay open until they are unpinned.
 * @returns the pages in the order of the file, in runs as long as they can be
 * @throws KhoError `refused`: EINVAL beyond the end of the file, ENOMEM
 */
export function pinPages({ inode }: MemfdFile, from: number, to: number): PinnedRun[] {
  const { core, folios, pinned } = inode;
  const limit = pagesOfSize(inode.size, inode);
  if (to > limit) throw refusal("EINVAL", `the file has ${limit} pages, not ${to}`);
  if (populate(inode, { from, to, limit }, UPTODATE, "memfd page") < to)
    throw refusal("ENOMEM", "no page for the file");
  const runs: { pfn: number; pages: number }[] = [];
  folios.mark(from, to, (index, pfn, order, flags) => {
    if ((flags & UPTODATE) === 0) core.ram.zero(pfn, 2 ** order);
    const first = Math.max(index, from);
    const start = pfn + first - index;
    const pages = Math.min(index + 2 ** order, to) - first;
    const last = runs.at(-1);
    if (last && last.pfn + last.pages === start) last.pages += pages;
    else runs.push({ pfn: start, pages });
    return flags | UPTODATE;
  });
  for (const { pfn, pages } of runs) pinned.add(pfn, pages);
  inode.pins++;
  return runs;
}

/** Takes back what {@link pinPages} did. */
export function unpinPages(inode: MemfdInode, runs: readonly PinnedRun[]): void {
  for (const { pfn, pages } of runs) inode.pinned.remove(pfn, pages);
  inode.pins--;
}
