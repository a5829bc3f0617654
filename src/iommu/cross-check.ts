import { addressOfFrame, frameOf } from "../../formats/iommu/entry.js";
import type { FrameSet } from "../../formats/iommu/frames.js";
import type { MappingRuns } from "../../formats/iommu/mappings.js";
import { IOMMU_WRITE } from "../../formats/iommu/prot.js";
import type { IommuContext } from "../../formats/iommu/walk.js";
import { endOf } from "../../formats/kho/runs.js";
import type { Handover } from "../handover/index.js";
import { firstNot, type MemoryRange } from "../memory/index.js";
import { hex } from "../report/hex.js";
import type { Reach } from "./reach.js";

/** Stretches of 4 KiB frames, ascending and disjoint, as columns. */
export interface Stretches {
  readonly start: Float64Array;
  readonly end: Float64Array;
}

/** Stretches in any order, merged. */
export function stretchesOf(parts: readonly (readonly [start: number, end: number])[]): Stretches {
  const sorted = parts.filter(([start, end]) => start < end).sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [start, end] of sorted) {
    const last = merged.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return {
    start: Float64Array.from(merged, ([start]) => start),
    end: Float64Array.from(merged, ([, end]) => end),
  };
}

const ofRanges = (ranges: readonly MemoryRange[]): Stretches =>
  stretchesOf(ranges.map(({ pa, size }) => [frameOf(pa), frameOf(pa + size + 0xfffn)] as const));

/** Calls `each` for the parts of `[start, end)` that are in `stretches`, ascending. */
function forCommon(
  { start: starts, end: ends }: Stretches,
  start: number,
  end: number,
  each: (start: number, end: number) => void,
): void {
  for (let i = firstNot(0, ends.length, (s) => ends[s]! <= start); i < starts.length && starts[i]! < end; i++)
    each(Math.max(start, starts[i]!), Math.min(end, ends[i]!));
}

/** What of a handover devices have to keep to. */
export interface Kept {
  /** Memory that is preserved; absent where the map could not be read. */
  readonly preserved?: Stretches;
  readonly scratch: Stretches;
  /** Memory that the capture has. What a device maps outside of it may be another device. */
  readonly captured: Stretches;
}

export function keptBy({ preserved, scratch, pageSize }: Handover, ranges: readonly MemoryRange[]): Kept {
  const scale = pageSize / 4096;
  const parts: [number, number][] = [];
  if (preserved)
    for (let i = 0; i < preserved.runs.length; i++)
      parts.push([preserved.runs.pfn[i]! * scale, endOf(preserved.runs, i) * scale]);
  return {
    ...(preserved && { preserved: stretchesOf(parts) }),
    scratch: ofRanges(scratch),
    captured: ofRanges(ranges),
  };
}

/** Checks that what a device can reach is preserved, and nothing of it in scratch. Cost follows the runs, not the pages. */
export function checkReach(ctx: IommuContext, path: string, runs: MappingRuns, kept: Kept): void {
  const lost = newTally();
  const lostOutside = newTally();
  const overwritten = newTally();
  for (let i = 0; i < runs.length; i++) {
    const start = runs.pa[i]!;
    const end = start + runs.frames[i]!;
    forCommon(kept.scratch, start, end, (from, to) => overwritten.add(from, to));
    if (!kept.preserved) continue;
    let at = start;
    const missing = (from: number, to: number): void => {
      let rest = from;
      forCommon(kept.captured, from, to, (inside, behind) => {
        lostOutside.add(rest, inside);
        lost.add(inside, behind);
        rest = behind;
      });
      lostOutside.add(rest, to);
    };
    forCommon(kept.preserved, start, end, (from, to) => {
      if (at < from) missing(at, from);
      at = to;
    });
    if (at < end) missing(at, end);
  }
  const place = ({ first }: Tally) => ({ path, pa: addressOfFrame(first), length: 4096 });
  if (lost.frames > 0)
    ctx.report(
      "error",
      "iommu-mapped-lost",
      `${pages(lost)} that the device can reach ${verb(lost)} not preserved: DMA goes on into what the next kernel uses for something else`,
      place(lost),
    );
  if (lostOutside.frames > 0)
    ctx.report(
      "warning",
      "iommu-mapped-lost",
      `${pages(lostOutside)} that the device can reach ${verb(lostOutside)} neither preserved nor in the capture: another device, or memory that was left out`,
      place(lostOutside),
    );
  if (overwritten.frames > 0)
    ctx.report(
      "error",
      "iommu-mapped-scratch",
      `${pages(overwritten)} that the device can reach ${verb(overwritten)} in scratch, which the next kernel uses from the first moment on`,
      place(overwritten),
    );
}

/** Checks that no table lies where the device can write. `tables` are the frames of all that decide over it. */
export function checkTables(ctx: IommuContext, path: string, runs: MappingRuns, tables: FrameSet): void {
  const found = tables.runs();
  const stretches: [number, number][] = [];
  for (let i = 0; i < found.length; i += 2) stretches.push([found[i]!, found[i]! + found[i + 1]!]);
  const all = stretchesOf(stretches);
  const writable = newTally();
  for (let i = 0; i < runs.length; i++)
    if ((runs.access[i]! & IOMMU_WRITE) !== 0)
      forCommon(all, runs.pa[i]!, runs.pa[i]! + runs.frames[i]!, (from, to) => writable.add(from, to));
  if (writable.frames > 0)
    ctx.report(
      "error",
      "iommu-table-writable",
      `the device can write to ${pages(writable)} of the tables that say what it can reach`,
      { path, pa: addressOfFrame(writable.first), length: 4096, actual: hex(addressOfFrame(writable.first)) },
    );
}

/**
 * All checks of one address space: no table of its own, nor of those that lead to it, lies where the device can write, and
 * what it reaches is kept, where that is known.
 */
export function checkSpace(
  ctx: IommuContext,
  path: string,
  { runs, tables }: Reach,
  deviceTables: FrameSet | undefined,
  kept: Kept | undefined,
): void {
  checkTables(ctx, path, runs, tables);
  if (deviceTables) checkTables(ctx, path, runs, deviceTables);
  if (kept) checkReach(ctx, path, runs, kept);
}

/** Frames of one kind, and the first of them. */
interface Tally {
  readonly frames: number;
  readonly first: number;
  add(from: number, to: number): void;
}

function newTally(): Tally {
  let frames = 0;
  let first = 0;
  return {
    get frames() {
      return frames;
    },
    get first() {
      return first;
    },
    add(from, to) {
      if (from >= to) return;
      if (frames === 0) first = from;
      frames += to - from;
    },
  };
}

const pages = ({ frames }: Tally): string => (frames === 1 ? "a page of 4 KiB" : `${frames} pages of 4 KiB`);
const verb = ({ frames }: Tally): string => (frames === 1 ? "is" : "are");
