import type { Claim, Keeping } from "../../formats/claims.js";
import { bootStops, misread } from "../../formats/consequence.js";
import type { Context } from "../../formats/context.js";
import { isAtLeast } from "../../formats/kernels.js";
import { handoffSize } from "../../formats/kho/handoff-encode.js";
import { endOf, type Lookup, lookupIn, type Runs } from "../../formats/kho/runs.js";
import { type FolioRuns, pagesOf } from "../../formats/memfd/folios.js";
import { laterFolioLost } from "../../formats/memfd/memfd.js";
import { filePath, foliosPath, memfdPath, sessionPath } from "../../formats/paths.js";
import { addressOf, firstNot, type MemoryRange } from "../memory/index.js";
import { mergedRanges, wholePages } from "../memory/ranges.js";
import { hex } from "../report/hex.js";
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
  checkClaims(ctx, lookupIn(preserved.runs));
  const frames = checkOverlaps(ctx, preserved.runs);
  checkScratch(ctx, frames, scratch);
  checkReserveMem(ctx, handover, frames);
}

function checkClaims(ctx: Context, lookup: (pfn: number) => Lookup): void {
  const { pageSize } = ctx.abi;
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
      if (!fault) continue;
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

/** Runs of one order that touch are one run, so what overlaps is of two orders or of one order and misaligned. */
function checkOverlaps(ctx: Context, runs: Runs): Union {
  const rank = Uint32Array.from({ length: runs.length }, (_, i) => i).sort(
    (a, b) => runs.pfn[a]! - runs.pfn[b]!,
  );
  const union = newUnion(runs.length);
  let end = 0;
  let owner = -1;
  for (const i of rank) {
    if (owner >= 0 && runs.pfn[i]! < end) {
      const until = Math.min(end, endOf(runs, i));
      ctx.report(
        "error",
        "block-overlap",
        `blocks of order ${runs.order[owner]} and ${runs.order[i]} cover the same memory`,
        {
          path: "preserved.runs",
          pa: addressOf(runs.pfn[i]!, ctx.abi.pageSize),
          length: (until - runs.pfn[i]!) * ctx.abi.pageSize,
          consequence: misread("boot", "accepted silently; the memory is freed twice"),
        },
      );
    }
    union.add(Math.max(runs.pfn[i]!, end), endOf(runs, i));
    if (endOf(runs, i) > end) {
      end = endOf(runs, i);
      owner = i;
    }
  }
  return union;
}

/** Page frames of all runs together, so that asking for a stretch costs a search and not a pass over the runs. */
interface Union {
  /** Adds what comes behind everything added before; nothing if `start` is not below `end`. */
  add(start: number, end: number): void;
  /** How many frames of `[start, end)` are in it, and the first of these. */
  within(start: number, end: number): { readonly pages: number; readonly first: number };
}

function newUnion(room: number): Union {
  const starts = new Float64Array(room);
  const ends = new Float64Array(room);
  /** Frames in all stretches before this one. */
  const before = new Float64Array(room);
  let length = 0;
  let total = 0;
  /** Index of the first stretch that ends behind `frame`. */
  const search = (frame: number): number => firstNot(0, length, (i) => ends[i]! <= frame);
  const below = (frame: number): number => {
    const i = search(frame);
    return i === length ? total : before[i]! + Math.max(0, frame - starts[i]!);
  };
  return {
    add(start, end) {
      if (start >= end) return;
      starts[length] = start;
      ends[length] = end;
      before[length++] = total;
      total += end - start;
    },
    within(start, end) {
      const i = search(start);
      return { pages: below(end) - below(start), first: i < length ? Math.max(starts[i]!, start) : start };
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

/** The pages of the hand-off record and of the scratch array, which may share one. */
function bootPages({ handoff, scratch }: Pick<Handover, "handoff" | "scratch">, page: bigint): MemoryRange[] {
  const { recordPa, scratchPa, scratchSize } = handoff;
  const parts: MemoryRange[] = [];
  if (recordPa !== 0n) parts.push({ pa: recordPa, size: BigInt(handoffSize) });
  // Where no area could be read the array may be anything.
  if (scratchPa !== 0n && scratch.length > 0) parts.push({ pa: scratchPa, size: scratchSize });
  return mergedRanges(parts.map((part) => wholePages(part, page)));
}

/** No page may belong to two of: a place in a file, a structure, a region, what the boot loader has of the handover. */
function checkOwners(
  ctx: Context,
  handover: Pick<Handover, "luo" | "reserveMem" | "handoff" | "scratch">,
): void {
  const { pageSize } = ctx.abi;
  const regions = handover.reserveMem.map(({ name, start, size }) => ({
    pa: start,
    pages: Math.ceil(Number(size) / pageSize),
    path: `reserve_mem.${name}`,
  }));
  const boot = bootPages(handover, BigInt(pageSize)).map(({ pa, size }) => ({
    pa,
    pages: Number(size) / pageSize,
    path: "handoff",
  }));
  const all: readonly Pick<Claim, "pa" | "pages" | "path">[] = [...ctx.claims.all, ...regions, ...boot];
  // As columns: there can be millions.
  const files: { readonly path: string; readonly folios: FolioRuns }[] = [];
  for (const [s, session] of (handover.luo?.sessions ?? []).entries())
    for (const [f, { memfd }] of session.files.entries())
      if (memfd)
        files.push({ path: foliosPath(memfdPath(filePath(sessionPath(s), f))), folios: memfd.folios });
  const length = files.reduce((sum, { folios }) => sum + folios.length, all.length);
  const starts = new Float64Array(length);
  const ends = new Float64Array(length);
  /** Index of a structure or region, or behind these that of a file. */
  const owners = new Uint32Array(length);
  let at = 0;
  for (const [f, { folios }] of files.entries())
    for (let i = 0; i < folios.length; i++) {
      starts[at] = folios.pfn[i]!;
      ends[at] = folios.pfn[i]! + pagesOf(folios, i);
      owners[at++] = all.length + f;
    }
  for (const [c, { pa, pages }] of all.entries()) {
    starts[at] = Number(pa / BigInt(pageSize));
    ends[at] = starts[at]! + pages;
    owners[at++] = c;
  }
  const pathOf = (owner: number): string => (all[owner] ?? files[owner - all.length]!).path;
  const rank = Uint32Array.from({ length }, (_, i) => i).sort((a, b) => starts[a]! - starts[b]! || a - b);
  const isRegion = (owner: number): boolean => owner >= ctx.claims.all.length && owner < all.length;
  const told = new Set<string>();
  let last = -1;
  for (const i of rank) {
    // More pairs than findings that are kept would be counted for nobody.
    if (last >= 0 && starts[i]! < ends[last]! && told.size <= ctx.limits.maxFindings) {
      const [one, other] = [owners[last]!, owners[i]!];
      const structures = one < all.length && other < all.length;
      const overlapped = "one of the two is freed or overwritten while the other is in use";
      const pair = `${one} ${other}`;
      if (!told.has(pair))
        ctx.report(
          "error",
          structures ? "structure-reused" : "folio-shared",
          `PFN ${hex(starts[i]!)} belongs to ${pathOf(one)} and to ${pathOf(other)}`,
          {
            path: pathOf(other),
            pa: addressOf(starts[i]!, pageSize),
            length: (Math.min(ends[last]!, ends[i]!) - starts[i]!) * pageSize,
            consequence: structures
              ? misread("boot", overlapped)
              : isRegion(one) || isRegion(other)
                ? misread("retrieve", overlapped)
                : laterFolioLost(ctx.kernel),
          },
        );
      told.add(pair);
    }
    if (last < 0 || ends[i]! > ends[last]!) last = i;
  }
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
