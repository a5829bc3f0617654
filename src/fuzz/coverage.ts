/** What executions have reached: edges, and how often each was taken, in eight classes as AFL has them. */
export interface Coverage {
  /** By edge: one bit for each class of counts that was seen. */
  readonly seen: Uint8Array;
  /** By edge: executions that took it. */
  readonly hits: Uint32Array;
  /** Edges that were ever taken. */
  readonly reached: () => number;
  /** Notes an execution by its counters. True if it took an edge, or took it as often, as none did before. */
  readonly note: (counters: Uint8Array) => boolean;
}

/** Class of a count as a bit: 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128-255. */
export const classOf = Uint8Array.from({ length: 256 }, (_, count) => {
  if (count < 4) return [0, 1, 2, 4][count]!;
  if (count < 32) return 1 << Math.floor(Math.log2(count) + 1);
  return count < 128 ? 64 : 128;
});

/** Precondition: counters have at least `edges` elements and begin at a multiple of four bytes. */
export function newCoverage(edges: number): Coverage {
  const seen = new Uint8Array(edges);
  const hits = new Uint32Array(edges);
  let reached = 0;
  return {
    seen,
    hits,
    reached: () => reached,
    note(counters) {
      let isNew = false;
      for (const edge of takenEdges(counters, edges)) {
        hits[edge]!++;
        const bit = classOf[counters[edge]!]!;
        const before = seen[edge]!;
        if ((before & bit) !== 0) continue;
        if (before === 0) reached++;
        seen[edge] = before | bit;
        isNew = true;
      }
      return isNew;
    },
  };
}

const taken = new Uint32Array(2 ** 16);

/** Edges whose counter is not zero, ascending. Valid until the next call. Precondition: `edges` is at most 2^16. */
export function takenEdges(counters: Uint8Array, edges: number): Uint32Array {
  // Most counters are zero: four are looked at together.
  const words = new Uint32Array(counters.buffer, counters.byteOffset, Math.ceil(edges / 4));
  let count = 0;
  for (let word = 0; word < words.length; word++) {
    if (words[word] === 0) continue;
    const end = Math.min(4 * word + 4, edges);
    for (let edge = 4 * word; edge < end; edge++) if (counters[edge] !== 0) taken[count++] = edge;
  }
  return taken.subarray(0, count);
}

/** An edge and the class of its count as one number. */
export type Feature = number;

/** Features of an execution, ascending. */
export const featuresOf = (counters: Uint8Array, edges: number): Uint32Array =>
  takenEdges(counters, edges).map((edge) => edge * 8 + (31 - Math.clz32(classOf[counters[edge]!]!)));

export const edgeOf = (feature: Feature): number => feature >>> 3;
