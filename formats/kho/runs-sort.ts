/** Runs of blocks as columns, all of the same length. */
interface Columns {
  readonly length: number;
  readonly order: Uint8Array;
  readonly pfn: Float64Array;
  readonly count: Float64Array;
}

/**
 * The runs of all pieces, ascending by (order, pfn); equal ones stay as they are among themselves. Maps are read in
 * ascending stretches, one for each order and hardly more, and cost a look at each run: orders are counted, and only what
 * does not ascend within its order is merged, stretch by stretch.
 */
export function sortedRuns(pieces: readonly Columns[]): Columns {
  /** Where the next run of an order goes. */
  const next = new Uint32Array(256);
  let ascending = true;
  let last = 0;
  for (const { length, order } of pieces)
    for (let i = 0; i < length; i++) {
      const now = order[i]!;
      next[now]!++;
      if (now < last) ascending = false;
      last = now;
    }
  let length = 0;
  for (const [order, size] of next.entries()) {
    next[order] = length;
    length += size;
  }
  const sorted = {
    length,
    order: new Uint8Array(length),
    pfn: new Float64Array(length),
    count: new Float64Array(length),
  };
  if (ascending) join(pieces, sorted);
  else byOrder(pieces, next, sorted);
  for (let from = 0; from < length; ) {
    const order = sorted.order[from];
    let to = from + 1;
    let inOrder = true;
    for (; to < length && sorted.order[to] === order; to++)
      if (sorted.pfn[to - 1]! > sorted.pfn[to]!) inOrder = false;
    if (!inOrder) sortGroup(sorted.pfn.subarray(from, to), sorted.count.subarray(from, to));
    from = to;
  }
  return sorted;
}

function join(pieces: readonly Columns[], { order, pfn, count }: Columns): void {
  let at = 0;
  for (const piece of pieces) {
    order.set(piece.order, at);
    pfn.set(piece.pfn, at);
    count.set(piece.count, at);
    at += piece.length;
  }
}

function byOrder(pieces: readonly Columns[], next: Uint32Array, to: Columns): void {
  for (const { length, order, pfn, count } of pieces)
    for (let i = 0; i < length; i++) {
      const at = next[order[i]!]!++;
      to.order[at] = order[i]!;
      to.pfn[at] = pfn[i]!;
      to.count[at] = count[i]!;
    }
}

/** Sorts runs of one order: each pass merges every two neighbouring stretches that ascend. */
function sortGroup(pfn: Float64Array, count: Float64Array): void {
  const { length } = pfn;
  let [fromPfn, fromCount] = [pfn, count];
  let [toPfn, toCount]: [Float64Array, Float64Array] = [new Float64Array(length), new Float64Array(length)];
  for (let stretches = 2; stretches > 1; ) {
    stretches = 0;
    for (let at = 0; at < length; stretches++) {
      let a = at;
      const middle = endOfStretch(fromPfn, a);
      let b = middle;
      const end = middle < length ? endOfStretch(fromPfn, b) : middle;
      for (; at < end; at++) {
        const i = b >= end || (a < middle && fromPfn[a]! <= fromPfn[b]!) ? a++ : b++;
        toPfn[at] = fromPfn[i]!;
        toCount[at] = fromCount[i]!;
      }
    }
    [fromPfn, toPfn] = [toPfn, fromPfn];
    [fromCount, toCount] = [toCount, fromCount];
  }
  if (fromPfn === pfn) return;
  pfn.set(fromPfn);
  count.set(fromCount);
}

/** Behind what ascends from `from` on. */
function endOfStretch(pfn: Float64Array, from: number): number {
  let end = from + 1;
  while (end < pfn.length && pfn[end - 1]! <= pfn[end]!) end++;
  return end;
}
