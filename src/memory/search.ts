/**
 * The first index in `[from, to)` that is not `before`, or `to`: a binary search over what is sorted, so that `before`
 * holds up to some index and not from there on. O(log n).
 */
export function firstNot(from: number, to: number, before: (index: number) => boolean): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (before(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
