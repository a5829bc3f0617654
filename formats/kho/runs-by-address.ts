import type { Runs } from "./runs.js";

/**
 * Calls `each` with the index of every run of finished runs, ascending by PFN, and where that is the same by order. Merges
 * the orders, which each ascend: nothing is sorted or kept.
 */
export function forAscending({ length, order, pfn }: Runs, each: (run: number) => void): void {
  /** Next run of each order that has one left, lowest order first, and where the order ends. */
  const heads: { at: number; readonly to: number }[] = [];
  for (let from = 0; from < length; ) {
    let to = from + 1;
    while (to < length && order[to] === order[from]) to++;
    heads.push({ at: from, to });
    from = to;
  }
  while (heads.length > 0) {
    let least = 0;
    for (let h = 1; h < heads.length; h++) if (pfn[heads[h]!.at]! < pfn[heads[least]!.at]!) least = h;
    const head = heads[least]!;
    /** Up to where this order is not behind another one. Of two that begin at one page the lower order is first. */
    let limit = Number.POSITIVE_INFINITY;
    let inclusive = true;
    for (let h = 0; h < heads.length; h++) {
      const other = pfn[heads[h]!.at]!;
      if (h === least || other >= limit) continue;
      limit = other;
      inclusive = least < h;
    }
    do each(head.at++);
    while (head.at < head.to && (pfn[head.at]! < limit || (inclusive && pfn[head.at] === limit)));
    if (head.at === head.to) heads.splice(least, 1);
  }
}
