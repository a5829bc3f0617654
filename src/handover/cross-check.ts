import type { Keeping } from "../../formats/claims.js";
import { bootStops, misread } from "../../formats/consequence.js";
import type { Context } from "../../formats/context.js";
import { isAtLeast } from "../../formats/kernels.js";
import { endOf, type Lookup, lookupIn, orderIn, type Runs } from "../../formats/kho/runs.js";
import { forAscending } from "../../formats/kho/runs-by-address.js";
import { addressOf, firstNot, type MemoryRange } from "../memory/index.js";
import { checkOwners } from "./cross-check-owners.js";
import type { Handover } from "./model.js";

/** A stretch of page frames that belongs to something. Ends are exclusive, numbers below 2^53. */
interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly path: string;
}

/**
 * Checks what no structure can say of itself: every structure and folio is preserved, as blocks of the order that its
 * reader frees; nothing is preserved twice, lies in scratch, or belongs to two owners. Works on sorted runs, so cost
 * and memory follow the number of runs and not of pages.
 */
export function crossCheck(ctx: Context, handover: Handover): void {
  const { preserved, scratch } = handover;
  checkOwners(ctx, handover);
  checkStructuresInScratch(ctx, scratch);
  if (!preserved) return;
  checkClaims(ctx, preserved.runs);
  const frames = checkOverlaps(ctx, preserved.runs, edgesOf(handover));
  checkScratch(ctx, frames, scratch);
  checkReserveMem(ctx, handover, frames);
}

/** Where scratch areas and regions begin and end. */
function edgesOf({ scratch, reserveMem, pageSize }: Handover): number[] {
  const regions = reserveMem.map(({ start, size }) => ({ pa: start, size }));
  return [...scratch, ...regions].flatMap((range) => {
    const { start, end } = framesOf(range, pageSize);
    return [start, end];
  });
}

function checkClaims(ctx: Context, runs: Runs): void {
  const { pageSize } = ctx.abi;
  const lookup = lookupIn(runs);
  const orderOf = orderIn(runs);
  const reach = { until: 0 };
  for (const { pa, pages, keeping, path, lost: consequence } of ctx.claims.all) {
    if (keeping === "not-preserved") continue;
    const first = Number(pa / BigInt(pageSize));
    const step = keeping === "any-order" ? 1 : 2 ** keeping;
    let missing = 0;
    let wrong = 0;
    let at = -1;
    let seen: Lookup | undefined;
    for (let pfn = first; pfn < first + pages; pfn += step) {
      const found = lookup(pfn);
      const fault = found.kind === "absent" ? "missing" : isAs(found, keeping) ? undefined : "wrong";
      if (!fault) {
        reach.until = 0;
        if (keeping === "any-order" || orderOf(pfn, reach) !== keeping) continue;
        // So are all that follow it in the same run. Runs that overlap another one have no reach.
        const same = Math.ceil((Math.min(reach.until, first + pages) - pfn) / step) - 1;
        if (same > 0) pfn += same * step;
        continue;
      }
      if (fault === "missing") missing++;
      else wrong++;
      if (at < 0) {
        at = pfn;
        seen = found;
      }
    }
    if (at < 0) continue;
    const place = { path, pa: addressOf(at, pageSize), length: pageSize, consequence };
    if (missing > 0)
      ctx.report(
        "error",
        "page-not-preserved",
        `${path} lies in memory that is not preserved${more(missing)}`,
        place,
      );
    // Readers of vmalloc areas refuse other blocks, all others take and free what there is.
    else
      ctx.report(
        consequence.outcome === "misread" ? "warning" : "error",
        "order-mismatch",
        `${path} is preserved in other blocks than its reader expects${more(wrong)}`,
        {
          ...place,
          expected: `a block of order ${keeping}`,
          actual:
            seen!.kind === "block"
              ? `a block of order ${seen!.order}`
              : `inside a block of order ${(seen as { order: number }).order}`,
        },
      );
  }
}

const more = (count: number): string => (count > 1 ? ` (${count} pages)` : "");

const isAs = (found: Lookup, keeping: Keeping): boolean =>
  keeping === "any-order" || (found.kind === "block" && found.order === keeping);

/**
 * Reports where blocks cover the same memory, and counts the frames of all blocks together; `points` are where it may be
 * asked for. Runs of one order that touch are one run, so what overlaps is of two orders or of one order and misaligned.
 */
function checkOverlaps(ctx: Context, runs: Runs, points: readonly number[]): Union {
  const union = newUnion(points);
  let end = 0;
  let owner = -1;
  forAscending(runs, (i) => {
    const start = runs.pfn[i]!;
    const behind = endOf(runs, i);
    if (owner >= 0 && start < end)
      ctx.report(
        "error",
        "block-overlap",
        `blocks of order ${runs.order[owner]} and ${runs.order[i]} cover the same memory`,
        {
          path: "preserved.runs",
          pa: addressOf(start, ctx.abi.pageSize),
          length: (Math.min(end, behind) - start) * ctx.abi.pageSize,
          consequence: misread("boot", "accepted silently; the memory is freed twice"),
        },
      );
    union.add(Math.max(start, end), behind);
    if (behind > end) {
      end = behind;
      owner = i;
    }
  });
  return union;
}

/**
 * Page frames of all runs together, counted in one pass: what is asked for is known before, so that nothing has to be kept
 * of the runs themselves.
 */
interface Union {
  /** Adds what comes behind everything added before; nothing if `start` is not below `end`. */
  add(start: number, end: number): void;
  /** How many frames of `[start, end)` are in it, and the first of these. Both are points, and all was added. */
  within(start: number, end: number): { readonly pages: number; readonly first: number };
}

function newUnion(wanted: readonly number[]): Union {
  const points = Float64Array.from(new Set(wanted)).sort();
  /** Of each point: frames below it, and the first one that is not. */
  const below = new Float64Array(points.length);
  const next = points.slice();
  /** Points before this one are passed. */
  let passed = 0;
  let total = 0;
  const indexOf = (point: number): number => firstNot(0, points.length, (i) => points[i]! < point);
  const belowOf = (i: number): number => (i < passed ? below[i]! : total);
  return {
    add(start, end) {
      if (start >= end) return;
      for (; passed < points.length && points[passed]! < end; passed++) {
        below[passed] = total + Math.max(0, points[passed]! - start);
        next[passed] = Math.max(start, points[passed]!);
      }
      total += end - start;
    },
    within(start, end) {
      const [from, to] = [indexOf(start), indexOf(end)];
      return { pages: belowOf(to) - belowOf(from), first: next[from]! };
    },
  };
}

function* scratchFrames(scratch: readonly MemoryRange[], pageSize: number): Generator<Stretch> {
  for (const [i, area] of scratch.entries()) yield { ...framesOf(area, pageSize), path: `scratch[${i}]` };
}

/** The frames that a range has a part in. */
const framesOf = ({ pa, size }: MemoryRange, pageSize: number): { start: number; end: number } => ({
  start: Number(pa / BigInt(pageSize)),
  end: Number((pa + size + BigInt(pageSize - 1)) / BigInt(pageSize)),
});

function checkScratch(ctx: Context, preserved: Union, scratch: readonly MemoryRange[]): void {
  const areas = [...scratchFrames(scratch, ctx.abi.pageSize)].filter(({ start, end }) => start < end);
  // Readers before 7.2 work the size of one block that covers everything out as 0.
  const nothingLeft =
    isAtLeast(ctx.kernel, "7.2") &&
    areas.every(({ start, end }) => preserved.within(start, end).pages === end - start);
  const consequence = nothingLeft
    ? bootStops("all of scratch is preserved: the first early allocation finds no memory")
    : misread("boot", "accepted silently; the next kernel and its early allocations overwrite it");
  for (const area of areas) {
    const { pages, first } = preserved.within(area.start, area.end);
    if (pages > 0)
      ctx.report("error", "block-in-scratch", `${pages} preserved pages lie in ${area.path}`, {
        path: area.path,
        pa: addressOf(first, ctx.abi.pageSize),
        length: pages * ctx.abi.pageSize,
        consequence,
      });
  }
}

function checkStructuresInScratch(ctx: Context, scratch: readonly MemoryRange[]): void {
  const areaOf = stretchIn([...scratchFrames(scratch, ctx.abi.pageSize)]);
  for (const { pa, pages, path } of ctx.claims.all) {
    const start = Number(pa / BigInt(ctx.abi.pageSize));
    const area = areaOf(start, start + pages);
    if (area)
      ctx.report("error", "structure-in-scratch", `${path} lies in ${area.path}`, {
        path,
        pa,
        length: pages * ctx.abi.pageSize,
        consequence: misread("boot", "the next kernel and its early allocations overwrite it"),
      });
  }
}

/** Finds a stretch that shares a frame with `[start, end)`. Stretches may overlap and be empty. */
function stretchIn(stretches: readonly Stretch[]): (start: number, end: number) => Stretch | undefined {
  const sorted = stretches.filter(({ start, end }) => start < end).sort((a, b) => a.start - b.start);
  /** Of the stretches up to each, the one that reaches furthest. */
  const furthest: Stretch[] = [];
  for (const stretch of sorted) {
    const last = furthest.at(-1);
    furthest.push(last && last.end >= stretch.end ? last : stretch);
  }
  return (start, end) => {
    const candidate = furthest[firstNot(0, sorted.length, (i) => sorted[i]!.start < end) - 1];
    return candidate && candidate.end > start ? candidate : undefined;
  };
}

/** Every page of a region is in some block. */
function checkReserveMem(ctx: Context, { reserveMem }: Pick<Handover, "reserveMem">, preserved: Union): void {
  const { pageSize } = ctx.abi;
  for (const { name, start, size } of reserveMem) {
    const { start: first, end } = framesOf({ pa: start, size }, pageSize);
    const covered = preserved.within(first, end).pages;
    if (covered < end - first)
      ctx.report(
        "error",
        "page-not-preserved",
        `${end - first - covered} pages of region ${name} are not preserved`,
        {
          path: `reserve_mem.${name}`,
          pa: start,
          length: (end - first) * pageSize,
          consequence: misread(
            "boot",
            "the region is revived with memory that may be used for something else",
          ),
        },
      );
  }
}
