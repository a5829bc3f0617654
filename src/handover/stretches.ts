import { grown } from "../../formats/grown.js";
import { type FolioRuns, pagesOf } from "../../formats/memfd/folios.js";
import { rankOf } from "../memory/index.js";

/** Stretches of frames: ends are exclusive, numbers below 2^53. */
export interface Claimed {
  readonly starts: Float64Array;
  readonly ends: Float64Array;
}

/** Stretches that are sorted at once, about, and parts of memory at most: what is sorted need not be there all at once. */
const manyAtOnce = 1 << 20;
const mostParts = 16;
/** Stretches that are looked at to cut memory into parts of about as many. */
const sampled = 1 << 12;

/**
 * Calls `each` for the frames `[start, end)` of every run of a file and of everything that is claimed, ascending by `start`,
 * where that is the same files first. The number of an owner is its place in `claimed`, or behind these that of a file.
 * Memory is gone through in parts, each with a pass over everything, so that room for `atOnce` of them, or a sixteenth of
 * all where that is more, is enough.
 */
export function forStretches(
  claimed: Claimed,
  files: readonly FolioRuns[],
  each: (start: number, end: number, owner: number) => void,
  atOnce = manyAtOnce,
): void {
  const { starts, ends } = claimed;
  const length = files.reduce((sum, folios) => sum + folios.length, starts.length);
  const cuts = cutsOf([...files.map(({ pfn }) => pfn), starts], length, atOnce);
  let start = new Float64Array(64);
  let end = new Float64Array(64);
  let owner = new Uint32Array(64);
  for (let part = 0; part <= cuts.length; part++) {
    const from = cuts[part - 1] ?? 0;
    const to = cuts[part] ?? Number.POSITIVE_INFINITY;
    let count = 0;
    const put = (s: number, e: number, o: number): void => {
      if (count === start.length) {
        start = grown(start);
        end = grown(end);
        owner = grown(owner);
      }
      start[count] = s;
      end[count] = e;
      owner[count++] = o;
    };
    for (const [f, folios] of files.entries())
      for (let i = 0; i < folios.length; i++) {
        const s = folios.pfn[i]!;
        if (s >= from && s < to) put(s, s + pagesOf(folios, i), starts.length + f);
      }
    for (let c = 0; c < starts.length; c++) {
      const s = starts[c]!;
      if (s >= from && s < to) put(s, ends[c]!, c);
    }
    const rank = rankOf(start.subarray(0, count));
    for (let r = 0; r < count; r++) {
      const i = rank[r]!;
      each(start[i]!, end[i]!, owner[i]!);
    }
  }
}

/** Numbers between which about as many of the keys lie; none where there are few. */
function cutsOf(columns: readonly Float64Array[], length: number, atOnce: number): number[] {
  const parts = Math.min(mostParts, Math.ceil(length / atOnce));
  if (parts <= 1) return [];
  const sample: number[] = [];
  const step = Math.ceil(length / sampled);
  let skip = 0;
  for (const column of columns) {
    for (; skip < column.length; skip += step) sample.push(column[skip]!);
    skip -= column.length;
  }
  const sorted = Float64Array.from(sample).sort();
  const cuts = Array.from(
    { length: parts - 1 },
    (_, i) => sorted[Math.floor(((i + 1) * sorted.length) / parts)]!,
  );
  return [...new Set(cuts)];
}
