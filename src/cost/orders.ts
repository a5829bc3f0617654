import type { OrderCount } from "../../formats/kho/preserved.js";

/** Blocks of each order together, ascending; orders without any are left out. */
export function summed(counts: Iterable<OrderCount>): OrderCount[] {
  const sums = new Map<number, number>();
  for (const { order, blocks } of counts) if (blocks > 0) sums.set(order, (sums.get(order) ?? 0) + blocks);
  return [...sums].map(([order, blocks]) => ({ order, blocks })).sort((a, b) => a.order - b.order);
}
