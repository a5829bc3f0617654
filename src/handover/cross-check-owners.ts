import type { Claim } from "../../formats/claims.js";
import { misread } from "../../formats/consequence.js";
import type { Context } from "../../formats/context.js";
import { handoffSize } from "../../formats/kho/handoff-encode.js";
import { laterFolioLost } from "../../formats/memfd/folio-checks.js";
import type { FolioRuns } from "../../formats/memfd/folios.js";
import { filePath, foliosPath, memfdPath, sessionPath } from "../../formats/paths.js";
import { addressOf, type MemoryRange } from "../memory/index.js";
import { mergedRanges, wholePages } from "../memory/ranges.js";
import { hex } from "../report/hex.js";
import type { Handover } from "./model.js";
import { forStretches } from "./stretches.js";

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
export function checkOwners(
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
  /** What has pages of its own: structures, regions, what the boot loader has of the handover. */
  const all: readonly Pick<Claim, "pa" | "pages" | "path">[] = [...ctx.claims.all, ...regions, ...boot];
  const files = filesOf(handover);
  // Numbers of owners: an index of `all`, or behind these that of a file.
  const pathOf = (owner: number): string => (all[owner] ?? files[owner - all.length]!).path;
  const isRegion = (owner: number): boolean => owner >= ctx.claims.all.length && owner < all.length;
  const told = new Set<string>();
  /** The stretch that reaches furthest so far. */
  let lastEnd = -1;
  let lastOwner = -1;
  const starts = Float64Array.from(all, ({ pa }) => Number(pa / BigInt(pageSize)));
  const claimed = { starts, ends: starts.map((start, c) => start + all[c]!.pages) };
  const lists = files.map(({ folios }) => folios);
  forStretches(claimed, lists, (start, end, owner) => {
    // More pairs than findings that are kept would be counted for nobody.
    if (start < lastEnd && told.size <= ctx.limits.maxFindings) {
      const [one, other] = [lastOwner, owner];
      const structures = one < all.length && other < all.length;
      const overlapped = "one of the two is freed or overwritten while the other is in use";
      const pair = `${one} ${other}`;
      if (!told.has(pair))
        ctx.report(
          "error",
          structures ? "structure-reused" : "folio-shared",
          `PFN ${hex(start)} belongs to ${pathOf(one)} and to ${pathOf(other)}`,
          {
            path: pathOf(other),
            pa: addressOf(start, pageSize),
            length: (Math.min(lastEnd, end) - start) * pageSize,
            consequence: structures
              ? misread("boot", overlapped)
              : isRegion(one) || isRegion(other)
                ? misread("retrieve", overlapped)
                : laterFolioLost(ctx.kernel),
          },
        );
      told.add(pair);
    }
    if (lastOwner < 0 || end > lastEnd) {
      lastEnd = end;
      lastOwner = owner;
    }
  });
}

/** The folios of a file, and the name of the list of them. */
interface FileFolios {
  readonly path: string;
  readonly folios: FolioRuns;
}

function filesOf({ luo }: Pick<Handover, "luo">): FileFolios[] {
  const files: FileFolios[] = [];
  for (const [s, session] of (luo?.sessions ?? []).entries())
    for (const [f, { memfd }] of session.files.entries())
      if (memfd)
        files.push({ path: foliosPath(memfdPath(filePath(sessionPath(s), f))), folios: memfd.folios });
  return files;
}
