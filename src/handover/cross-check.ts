import type { Keeping } from "../../formats/claims.js";
import { misread, retrieveFails } from "../../formats/consequence.js";
import type { Context } from "../../formats/context.js";
import { endOf, type Lookup, lookupIn, type Runs } from "../../formats/kho/runs.js";
import { pagesOf } from "../../formats/memfd/folios.js";
import { addressOf, type MemoryRange, type PhysAddr } from "../memory/index.js";
import type { Consequence } from "../report/finding.js";
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
export function crossCheck(ctx: Context, handover: Omit<Handover, "releaseEvidence">): void {
  const { preserved, scratch } = handover;
  checkOwners(ctx, handover);
  checkStructuresInScratch(ctx, scratch);
  if (!preserved) return;
  checkClaims(ctx, lookupIn(preserved.runs));
  checkOverlaps(ctx, preserved.runs);
  checkScratch(ctx, preserved.runs, scratch);
  checkReserveMem(ctx, handover, preserved.runs);
}

function checkClaims(ctx: Context, lookup: (pfn: number) => Lookup): void {
  const { pageSize } = ctx.abi;
  for (const { pa, pages, keeping, path } of ctx.claims.all) {
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
    const place = { path, pa: addressOf(at, pageSize), length: pageSize, consequence: lostWith(path) };
    if (missing > 0)
      ctx.report(
        "error",
        "page-not-preserved",
        `${path} lies in memory that is not preserved${more(missing)}`,
        place,
      );
    else
      ctx.report(
        "warning",
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

function lostWith(path: string): Consequence | undefined {
  if (path.includes(".folios")) return retrieveFails("EINVAL");
  return misread(
    path.includes(".memfd") ? "retrieve" : "boot",
    "the memory may be used for something else before it is read",
  );
}

/** Runs of one order that touch are one run, so what overlaps is of two orders or of one order and misaligned. */
function checkOverlaps(ctx: Context, runs: Runs): void {
  const rank = Uint32Array.from({ length: runs.length }, (_, i) => i).sort(
    (a, b) => runs.pfn[a]! - runs.pfn[b]!,
  );
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
    if (endOf(runs, i) > end) {
      end = endOf(runs, i);
      owner = i;
    }
  }
}

function* scratchFrames(scratch: readonly MemoryRange[], pageSize: number): Generator<Stretch> {
  for (const [i, { pa, size }] of scratch.entries())
    yield {
      start: Number(pa / BigInt(pageSize)),
      end: Number((pa + size + BigInt(pageSize - 1)) / BigInt(pageSize)),
      path: `scratch[${i}]`,
    };
}

function checkScratch(ctx: Context, runs: Runs, scratch: readonly MemoryRange[]): void {
  for (const area of scratchFrames(scratch, ctx.abi.pageSize)) {
    let pages = 0;
    let first = -1;
    for (let i = 0; i < runs.length; i++) {
      const start = Math.max(runs.pfn[i]!, area.start);
      const shared = Math.min(endOf(runs, i), area.end) - start;
      if (shared <= 0) continue;
      pages += shared;
      if (first < 0 || start < first) first = start;
    }
    if (pages > 0)
      ctx.report("error", "block-in-scratch", `${pages} preserved pages lie in ${area.path}`, {
        path: area.path,
        pa: addressOf(first, ctx.abi.pageSize),
        length: pages * ctx.abi.pageSize,
        consequence: misread(
          "boot",
          "accepted silently; the next kernel and its early allocations overwrite it",
        ),
      });
  }
}

function checkStructuresInScratch(ctx: Context, scratch: readonly MemoryRange[]): void {
  const areas = [...scratchFrames(scratch, ctx.abi.pageSize)];
  for (const { pa, pages, path } of ctx.claims.all) {
    const start = Number(pa / BigInt(ctx.abi.pageSize));
    const area = areas.find((candidate) => start < candidate.end && start + pages > candidate.start);
    if (area)
      ctx.report("error", "structure-in-scratch", `${path} lies in ${area.path}`, {
        path,
        pa,
        length: pages * ctx.abi.pageSize,
        consequence: misread("boot", "the next kernel and its early allocations overwrite it"),
      });
  }
}

/** No page may belong to two files, to two places in one file, or to a file and a structure. */
function checkOwners(ctx: Context, handover: Pick<Handover, "luo">): void {
  const { pageSize } = ctx.abi;
  const owners: { start: number; end: number; file: number }[] = [];
  const paths: string[] = [];
  for (const [s, session] of (handover.luo?.sessions ?? []).entries())
    for (const [f, file] of session.files.entries()) {
      if (!file.memfd) continue;
      const { folios } = file.memfd;
      paths.push(`luo.sessions[${s}].files[${f}].memfd.folios`);
      for (let i = 0; i < folios.length; i++) {
        const start = folios.pfn[i]!;
        owners.push({ start, end: start + pagesOf(folios, i), file: paths.length - 1 });
      }
    }
  for (const { pa, pages, path } of ctx.claims.all) {
    const start = Number(pa / BigInt(pageSize));
    paths.push(path);
    owners.push({ start, end: start + pages, file: -paths.length });
  }
  owners.sort((a, b) => a.start - b.start);
  const pathOf = (file: number): string => paths[file < 0 ? -file - 1 : file]!;
  const told = new Set<string>();
  let last: (typeof owners)[number] | undefined;
  for (const owner of owners) {
    if (last && owner.start < last.end) {
      const pair = `${last.file} ${owner.file}`;
      const structures = last.file < 0 && owner.file < 0;
      if (!told.has(pair))
        ctx.report(
          "error",
          structures ? "structure-reused" : "folio-shared",
          `PFN ${hex(owner.start)} belongs to ${pathOf(last.file)} and to ${pathOf(owner.file)}`,
          {
            path: pathOf(owner.file),
            pa: addressOf(owner.start, pageSize) as PhysAddr,
            length: (Math.min(last.end, owner.end) - owner.start) * pageSize,
            consequence: structures ? undefined : retrieveFails("EIO"),
          },
        );
      told.add(pair);
    }
    if (!last || owner.end > last.end) last = owner;
  }
}

/** Every page of a region is in some block. */
function checkReserveMem(ctx: Context, { reserveMem }: Pick<Handover, "reserveMem">, runs: Runs): void {
  const { pageSize } = ctx.abi;
  for (const { name, start, size } of reserveMem) {
    const first = Number(start / BigInt(pageSize));
    const end = Number((start + size + BigInt(pageSize - 1)) / BigInt(pageSize));
    let covered = 0;
    for (let i = 0; i < runs.length; i++)
      covered += Math.max(0, Math.min(endOf(runs, i), end) - Math.max(runs.pfn[i]!, first));
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
