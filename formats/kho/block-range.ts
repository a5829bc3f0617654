import { type Abi, pageShift } from "../../src/layout/index.js";
import { addressOf } from "../../src/memory/index.js";
import { KhoError } from "../../src/report/error.js";

/** Pages of 2^64 bytes, which is where memory ends. */
export const endOfPages = (abi: Abi): number => 2 ** (64 - pageShift(abi));

/**
 * For loops over many runs of one order: true for those that {@link requireBlocks} lets pass, without working out each time
 * what follows from the order.
 */
export function blocksOf(order: number, abi: Abi): (pfn: number, count: number) => boolean {
  const pages = 2 ** order;
  const end = Number.isInteger(order) && order >= 0 && order <= 63 - pageShift(abi) ? endOfPages(abi) : -1;
  return (pfn, count) => {
    // A power of two divides without rounding: the quotient is whole if, and only if, the block is aligned.
    const block = pfn / pages;
    return (
      pfn >= 0 &&
      Math.floor(block) === block &&
      count >= 0 &&
      Math.floor(count) === count &&
      pfn + count * pages <= end
    );
  };
}

/**
 * Throws unless `count` adjacent blocks of `2 ** order` pages from `pfn` on are ones that a map can name: whole numbers,
 * the first naturally aligned, the last within 2^64 bytes. Kernels drop the low bits of an address without a look.
 * @throws KhoError `value-range`
 */
export function requireBlocks(
  order: number,
  pfn: number,
  count: number,
  abi: Abi,
  path = "preserved.runs",
): void {
  const shift = pageShift(abi);
  // Sums and products of what passes are exact: all are below 2^53.
  if (
    Number.isInteger(order) &&
    order >= 0 &&
    order <= 63 - shift &&
    Number.isInteger(pfn) &&
    pfn >= 0 &&
    pfn % 2 ** order === 0 &&
    Number.isInteger(count) &&
    count >= 0 &&
    pfn + count * 2 ** order <= endOfPages(abi)
  )
    return;
  const expected = `aligned blocks of order 0 to ${63 - shift} within 2^64 bytes`;
  const actual = `${count} of order ${order} at page ${pfn}`;
  throw new KhoError("value-range", `${path}: expected ${expected}, got ${actual}`, {
    path,
    ...(Number.isInteger(pfn) && { pa: addressOf(pfn, abi.pageSize) }),
    expected,
    actual,
  });
}
