import { columns, sizeOf, type ValueOf } from "../../src/layout/index.js";
import { addressOf, type PhysAddr } from "../../src/memory/index.js";
import { hex } from "../../src/report/hex.js";
import { misread, retrieveFails, retrieveOops } from "../consequence.js";
import type { Context } from "../context.js";
import type { OrderOf } from "../kho/runs.js";
import { decodeVmalloc, vmallocBytes } from "../kho/vmalloc.js";
import { mostPieceBytes, vmallocPieces } from "../kho/vmalloc-pieces.js";
import { foliosPath } from "../paths.js";
import { type FolioChecks, folioChecks } from "./folio-checks.js";
import { byIndex, type FolioRuns, type FolioRunsBuilder, newFolioRuns, pagesOf } from "./folios.js";
import { memfdLuoFolioSer, type memfdLuoSerV2 } from "./layout.js";

/** What the folio lists that are still to come may hold. All memfds of a handover share one. */
export interface FolioRoom {
  /** Entries, those of holes included. */
  entries: number;
  /** Runs that do not merge. */
  runs: number;
}

/**
 * Reads the folio list that a memfd's `header` at `pa` describes; `path` is that of the memfd. A window of the list is in
 * memory at a time, and the runs of it so far.
 */
export function decodeFolios(
  ctx: Context,
  header: ValueOf<typeof memfdLuoSerV2>,
  orderOf: OrderOf | undefined,
  path: string,
  pa: PhysAddr,
  left: FolioRoom,
): FolioRuns {
  const { abi } = ctx;
  const at = foliosPath(path);
  const { nr_folios: nrFolios, size } = header;
  const runs = newFolioRuns();
  if (nrFolios === 0n) {
    checkEmpty(ctx, header, path, pa);
    return runs.finish();
  }
  const entry = sizeOf(memfdLuoFolioSer, abi);
  const area = decodeVmalloc(ctx, header.folios, at, {
    malformed: retrieveFails("EINVAL"),
    oops: retrieveOops,
  });
  const room = Math.floor(vmallocBytes(area, abi) / entry);
  if (nrFolios > BigInt(room) && area.complete)
    ctx.report("error", "folio-count", `${nrFolios} folios do not fit into a list of ${room}`, {
      path: `${path}.nr_folios`,
      pa,
      expected: `at most ${room}`,
      actual: String(nrFolios),
      consequence: retrieveOops,
    });
  const count = Number(nrFolios < BigInt(room) ? nrFolios : BigInt(room));
  const checks = folioChecks(ctx, at, size);
  const folios = folioReader(runs, checks, orderOf);
  const inPage = abi.pageSize / entry;
  const inPiece = Math.min(count, Math.max(inPage, mostPieceBytes / entry));
  const entries: Entries = {
    pfn: new Float64Array(inPiece),
    flags: new Uint16Array(inPiece),
    index: new Float64Array(inPiece),
  };
  const names = ["pfn", "flags", "index"] as const;
  for (const { bytes, offset } of vmallocPieces(ctx, area, count * entry, at, retrieveFails("EINVAL"))) {
    const inThis = Math.floor(bytes.length / entry);
    columns(memfdLuoFolioSer, bytes, 0, inThis, names, abi, entries);
    const first = offset / entry;
    const full = readPages(left, runs, inThis, inPage, (from, to) => folios.read(entries, first, from, to));
    if (full) {
      const most =
        left.entries < 0 ? `${ctx.limits.maxFolios} folios` : `${ctx.limits.maxRuns} runs of folios`;
      ctx.report("error", "limit-exceeded", `the files have more than ${most}`, { path: at, pa });
      break;
    }
    ctx.progress?.("folios", first + inThis, count);
  }
  folios.close(Math.ceil(Number(size) / abi.pageSize));
  checks.finish();
  const finished = runs.finish();
  left.runs -= finished.length;
  if (!checks.ascending()) reportOverlaps(ctx, finished, at);
  return finished;
}

/** Reads the entries of a piece page by page, which is how they are accounted for; true if there is no room for more. */
function readPages(
  left: FolioRoom,
  runs: FolioRunsBuilder,
  entries: number,
  inPage: number,
  read: (from: number, to: number) => void,
): boolean {
  for (let from = 0; from < entries; from += inPage) {
    const to = Math.min(from + inPage, entries);
    left.entries -= to - from;
    if (left.entries < 0 || runs.length > left.runs) return true;
    read(from, to);
  }
  return false;
}

/** What a list without entries says beside that. */
function checkEmpty(
  ctx: Context,
  { size, folios }: ValueOf<typeof memfdLuoSerV2>,
  path: string,
  pa: PhysAddr,
): void {
  if (size !== 0n)
    ctx.report("warning", "memfd-bad-size", `a file of ${size} bytes without folios`, {
      path: `${path}.nr_folios`,
      pa,
      consequence: misread("retrieve", "the file is one hole"),
    });
  const { first, total_pages: totalPages, order } = folios;
  if (first !== 0n || totalPages !== 0 || order !== 0)
    ctx.report("info", "memfd-bad-header", "a file without folios has a list of folios, which nobody reads", {
      path: foliosPath(path),
      pa,
      actual: `${totalPages} pages at ${hex(first)}`,
    });
}

/** Entries of a list as columns. */
interface Entries {
  readonly pfn: Float64Array;
  readonly flags: Uint16Array;
  readonly index: Float64Array;
}

/**
 * Makes runs of entries. Nearly all of them continue the one before and have nothing to be said of: they are compared and
 * counted. Any other is looked at by itself.
 */
function folioReader(runs: FolioRunsBuilder, checks: FolioChecks, orderOf: OrderOf | undefined) {
  /** A folio that no block begins at: its length shows when the next one is seen. Kernels leave no holes. */
  let open: { index: number; pfn: number; flags: number } | undefined;
  const reach = { until: 0 };
  const close = (until: number): void => {
    if (open) runs.push(open.index, open.pfn, inferredOrder(open.index, open.pfn, until), open.flags);
    open = undefined;
  };
  return {
    /** Tells where what comes behind the last entry begins in the file. */
    close,
    /** Reads entries `[from, to)`; `first` is the number of the first of the piece. */
    read({ pfn, flags, index }: Entries, first: number, from: number, to: number): void {
      for (let i = from; i < to; ) {
        const start = pfn[i]!;
        // An entry with PFN 0 is one to skip: a hole.
        if (start === 0) {
          i++;
          continue;
        }
        const place = index[i]!;
        const marks = flags[i]!;
        reach.until = 0;
        const order = orderOf ? orderOf(start, reach) : -1;
        checks.see(first + i, place, start, order, orderOf !== undefined);
        close(place);
        i++;
        if (order < 0) {
          open = { index: place, pfn: start, flags: marks };
          continue;
        }
        const length = 2 ** order;
        const stop = Math.min(to, i + checks.steady(place, start, order, reach.until));
        let nextPfn = start + length;
        let nextIndex = place + length;
        let k = i;
        for (; k < stop && pfn[k] === nextPfn && index[k] === nextIndex && flags[k] === marks; k++) {
          nextPfn += length;
          nextIndex += length;
        }
        checks.follow(order, k - i);
        runs.push(place, start, order, marks, k - i + 1);
        i = k;
      }
    },
  };
}

/** The largest order that fits between a folio and what comes behind it in the file, aligned in file and memory. */
function inferredOrder(index: number, pfn: number, until: number): number {
  let order = 0;
  const room = until - index;
  for (let pages = 2; pages <= room && index % pages === 0 && pfn % pages === 0 && order < 20; pages *= 2)
    order++;
  return order;
}

/** Entries may come in any order, but no page of the file may be covered twice. */
function reportOverlaps(ctx: Context, runs: FolioRuns, path: string): void {
  const { pageSize } = ctx.abi;
  const rank = byIndex(runs);
  for (let i = 1; i < rank.length; i++) {
    const [before, now] = [rank[i - 1]!, rank[i]!];
    if (runs.index[now]! >= runs.index[before]! + pagesOf(runs, before)) continue;
    ctx.report("error", "folio-bad-index", `page ${runs.index[now]} of the file is covered twice`, {
      path,
      pa: addressOf(runs.pfn[now]!, pageSize),
      length: pageSize,
      consequence: retrieveFails("EEXIST"),
    });
    return;
  }
}
