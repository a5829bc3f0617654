/** What a minimiser may spend. */
export interface Effort {
  readonly executions: number;
  readonly steps: number;
  /** True to end before that. */
  readonly late: () => boolean;
}

/**
 * A shorter and simpler input for which `holds` is still true: ranges are left out, half of it first, single bytes
 * last; then ranges become zeros. `holds` gives the steps that it took, or undefined where it is false.
 */
export function minimise(
  data: Uint8Array,
  holds: (data: Uint8Array) => { readonly holds: boolean; readonly steps: number },
  effort: Effort,
): Uint8Array {
  let best = data;
  let { executions, steps } = effort;
  const isOver = (): boolean => executions <= 0 || steps <= 0 || effort.late();
  const attempt = (candidate: Uint8Array): boolean => {
    if (isOver()) return false;
    executions--;
    const result = holds(candidate);
    steps -= result.steps;
    if (result.holds) best = candidate;
    return result.holds;
  };
  const without = (start: number, end: number): Uint8Array => {
    const candidate = new Uint8Array(best.length - (end - start));
    candidate.set(best.subarray(0, start));
    candidate.set(best.subarray(end), start);
    return candidate;
  };
  for (let size = halfOf(best.length); size >= 1 && !isOver(); size >>= 1) {
    // From the end, so that what is behind a removed range has been looked at.
    for (let end = best.length; end > 0; end -= size) {
      if (isOver()) break;
      const start = Math.max(0, end - size);
      if (end <= best.length) attempt(without(start, end));
    }
  }
  for (let size = halfOf(best.length); size >= 1; size >>= 1)
    for (let start = 0; start < best.length; start += size) {
      if (isOver()) return best;
      const end = Math.min(best.length, start + size);
      if (best.subarray(start, end).every((byte) => byte === 0)) continue;
      attempt(best.slice().fill(0, start, end));
    }
  return best;
}

/** The largest power of two that is at most half of a length, 1 at least. */
const halfOf = (length: number): number => (length < 2 ? 1 : 2 ** Math.floor(Math.log2(length / 2)));
