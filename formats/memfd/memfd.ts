import { type Abi, columns, decode, sizeOf, type ValueOf } from "../../src/layout/index.js";
import { addressOf, type PhysAddr } from "../../src/memory/index.js";
import type { Code } from "../../src/report/codes.js";
import type { Consequence, Severity } from "../../src/report/finding.js";
import { hex } from "../../src/report/hex.js";
import { misread, retrieveFails, retrieveOops } from "../consequence.js";
import { type Context, readMemory } from "../context.js";
import { isAtLeast, type Kernel, type MemfdVersion } from "../kernels.js";
import { decodeVmalloc, vmallocBytes, vmallocPages } from "../kho/vmalloc.js";
import { foliosPath } from "../paths.js";
import { byIndex, type FolioRuns, newFolioRuns, pagesOf } from "./folios.js";
import {
  MEMFD_LUO_ALL_SEALS,
  memfdLuoFolioSer,
  memfdLuoSerV1,
  memfdLuoSerV2,
  seals as sealBits,
} from "./layout.js";

/** A preserved memfd. include/linux/kho/abi/memfd.h, since 6.19. */
export interface Memfd {
  /** File size in bytes. */
  readonly size: bigint;
  /** File position in bytes. */
  readonly pos: bigint;
  /** F_SEAL_* bits that the file has once retrieved: `memfd-v1` carries none, and its files get F_SEAL_SEAL. */
  readonly seals: number;
  readonly flags: number;
  /** Entries of the folio list, as the header says. */
  readonly nrFolios: bigint;
  readonly folios: FolioRuns;
}

/** The layout of each version of the handler. */
export const memfdLayouts = { "memfd-v1": memfdLuoSerV1, "memfd-v2": memfdLuoSerV2 } as const;

/** True for the name of a memfd handler that can be read. */
export const isMemfd = (compatible: string): compatible is MemfdVersion =>
  Object.hasOwn(memfdLayouts, compatible);

const maxOffset = (1n << 63n) - 1n;

/** What the folio lists that are still to come may hold. All memfds of a handover share one. */
export interface FolioRoom {
  /** Entries, those of holes included. */
  entries: number;
  /** Runs that do not merge. */
  runs: number;
}

/**
 * Reads the memfd at `pa`. `orderOf` gives the order of the preserved block that begins at a PFN, or -1, and is left out
 * where there is no memory map: the entries themselves do not say how long a folio is. `left` is what the lists of this and all later files may hold.
 */
export function decodeMemfd(
  ctx: Context,
  version: MemfdVersion,
  pa: PhysAddr,
  orderOf: ((pfn: number) => number) | undefined,
  path: string,
  left: FolioRoom = { entries: ctx.limits.maxFolios, runs: ctx.limits.maxRuns },
): Memfd | undefined {
  const { abi } = ctx;
  const size = sizeOf(memfdLayouts[version], abi);
  const place = { path, pa, length: size };
  const garbage = retrieveFails(version === "memfd-v1" ? "EINVAL" : "EOPNOTSUPP");
  if (pa === 0n) {
    ctx.report("error", "memfd-bad-header", "the file's data is 0: address 0 is read as its structure", {
      ...place,
      consequence: garbage,
    });
    return undefined;
  }
  const bytes = readMemory(ctx, pa, size, path, retrieveOops);
  if (!bytes) return undefined;
  const reused = misread("retrieve", "the memory may be used for something else before it is read");
  const owner = ctx.claims.claim(pa, 1, 0, path, reused);
  if (owner !== undefined) {
    ctx.report(
      "error",
      "structure-reused",
      `the memfd's structure at ${hex(pa)} is in use already, as ${owner}`,
      {
        ...place,
        consequence: misread("retrieve", "it is freed once the first of the two is retrieved"),
      },
    );
    return undefined;
  }
  const header =
    version === "memfd-v1"
      ? { ...decode(memfdLuoSerV1, bytes, 0, abi), seals: sealBits.F_SEAL_SEAL, flags: 0 }
      : decode(memfdLuoSerV2, bytes, 0, abi);
  checkHeader(ctx, header, path, pa);
  return {
    size: header.size,
    pos: header.pos,
    seals: header.seals,
    flags: header.flags,
    nrFolios: header.nr_folios,
    folios: decodeFolios(ctx, header, orderOf, path, pa, left),
  };
}

type Header = ValueOf<typeof memfdLuoSerV2>;

function checkHeader(ctx: Context, { pos, size, seals, flags }: Header, path: string, pa: PhysAddr): void {
  if ((seals & ~MEMFD_LUO_ALL_SEALS) !== 0)
    ctx.report("error", "memfd-bad-seals", `seals ${hex(seals)} contain unknown bits`, {
      path: `${path}.seals`,
      pa,
      expected: `bits of ${hex(MEMFD_LUO_ALL_SEALS)}`,
      actual: hex(seals),
      consequence: retrieveFails("EOPNOTSUPP"),
    });
  if (flags !== 0)
    ctx.report("info", "memfd-bad-header", `flags are ${hex(flags)}: reserved, readers do not look at them`, {
      path: `${path}.flags`,
      pa,
      expected: "0",
      actual: hex(flags),
    });
  if (pos > maxOffset)
    ctx.report("warning", "memfd-bad-position", `position ${hex(pos)} is negative`, {
      path: `${path}.pos`,
      pa,
      actual: hex(pos),
      consequence: misread("retrieve", "the position stays 0"),
    });
  if (size > maxOffset)
    ctx.report("error", "memfd-bad-size", `size ${hex(size)} is negative`, {
      path: `${path}.size`,
      pa,
      actual: hex(size),
      consequence: misread("retrieve", "a file of negative size"),
    });
}

function decodeFolios(
  ctx: Context,
  header: Header,
  orderOf: ((pfn: number) => number) | undefined,
  path: string,
  pa: PhysAddr,
  left: FolioRoom,
): FolioRuns {
  const { abi } = ctx;
  const at = foliosPath(path);
  const { nr_folios: nrFolios, size } = header;
  const runs = newFolioRuns();
  if (nrFolios === 0n) {
    if (size !== 0n)
      ctx.report("warning", "memfd-bad-size", `a file of ${size} bytes without folios`, {
        path: `${path}.nr_folios`,
        pa,
        consequence: misread("retrieve", "the file is one hole"),
      });
    const { first, total_pages: totalPages, order } = header.folios;
    if (first !== 0n || totalPages !== 0 || order !== 0)
      ctx.report(
        "info",
        "memfd-bad-header",
        "a file without folios has a list of folios, which nobody reads",
        {
          path: at,
          pa,
          actual: `${totalPages} pages at ${hex(first)}`,
        },
      );
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
  /** A folio that no block begins at: its length shows when the next one is seen. Kernels leave no holes. */
  let open: { index: number; pfn: number; flags: number } | undefined;
  const close = (until: number): void => {
    if (open) runs.push(open.index, open.pfn, inferredOrder(open.index, open.pfn, until), open.flags);
    open = undefined;
  };
  for (const { bytes, offset } of vmallocPages(ctx, area, count * entry, at, retrieveFails("EINVAL"))) {
    const inPage = Math.floor(bytes.length / entry);
    const { pfn, flags, index } = columns(memfdLuoFolioSer, bytes, 0, inPage, ["pfn", "flags", "index"], abi);
    const first = offset / entry;
    left.entries -= inPage;
    if (left.entries < 0 || runs.length > left.runs) {
      const most =
        left.entries < 0 ? `${ctx.limits.maxFolios} folios` : `${ctx.limits.maxRuns} runs of folios`;
      ctx.report("error", "limit-exceeded", `the files have more than ${most}`, { path: at, pa });
      break;
    }
    for (let i = 0; i < inPage; i++) {
      // An entry with PFN 0 is one to skip: a hole.
      if (pfn[i] === 0) continue;
      const order = orderOf ? orderOf(pfn[i]!) : -1;
      checks.see(first + i, index[i]!, pfn[i]!, order, orderOf !== undefined);
      close(index[i]!);
      if (order >= 0) runs.push(index[i]!, pfn[i]!, order, flags[i]!);
      else open = { index: index[i]!, pfn: pfn[i]!, flags: flags[i]! };
    }
    ctx.progress?.("folios", first + inPage, count);
  }
  close(Math.ceil(Number(size) / abi.pageSize));
  checks.finish();
  const finished = runs.finish();
  left.runs -= finished.length;
  if (!checks.ascending()) reportOverlaps(ctx, finished, at);
  return finished;
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

/** Largest block of the page allocator, MAX_PAGE_ORDER, as kernels are configured by default: 4 MiB, 32 MiB, 512 MiB. */
export const largestBuddyOrder = ({ pageSize }: Pick<Abi, "pageSize">): number =>
  pageSize === 4096 ? 10 : pageSize === 16384 ? 11 : 13;

/** What becomes of a file with a folio that cannot be restored and is not its first. */
export const laterFolioLost = (kernel: Kernel): Consequence =>
  isAtLeast(kernel, "7.1")
    ? retrieveFails("EIO")
    : misread("retrieve", "this and every later entry is missing from the file");

/** Faults of single folios, gathered so that a damaged list of a million gives one finding a kind, not a million. */
function folioChecks(ctx: Context, path: string, size: bigint) {
  const eio = retrieveFails("EIO");
  // Up to 7.0 what is restored has to fit the page allocator, unless that was built with other orders.
  const largestRestored = isAtLeast(ctx.kernel, "7.1")
    ? Number.POSITIVE_INFINITY
    : largestBuddyOrder(ctx.abi);
  const faults = new Map<string, { entry: number; times: number; report: (times: number) => void }>();
  /** First index behind the folios so far. */
  let end = 0;
  let ascending = true;
  // Rounds above 2^53, where every index is a fault anyway.
  const pages = Math.ceil(Number(size) / ctx.abi.pageSize);
  const fault = (
    kind: string,
    entry: number,
    message: string,
    [severity, code]: readonly [Severity, Code],
    consequence: Consequence | undefined,
    pfn: number,
  ): void => {
    const known = faults.get(kind);
    if (known) {
      known.times++;
      return;
    }
    faults.set(kind, {
      entry,
      times: 1,
      report: (times) =>
        ctx.report(severity, code, times > 1 ? `${message} (and ${times - 1} more entries)` : message, {
          path: `${path}[${entry}]`,
          pa: addressOf(pfn, ctx.abi.pageSize),
          length: ctx.abi.pageSize,
          consequence,
        }),
    });
  };
  return {
    ascending: () => ascending,
    see(entry: number, index: number, pfn: number, order: number, mapped: boolean): void {
      if (order < 0 && mapped)
        fault(
          "not-preserved",
          entry,
          `folio ${entry} at PFN ${hex(pfn)} is not the start of a preserved block, its length is taken from the next one's place`,
          ["error", "folio-not-preserved"],
          entry > 0 ? laterFolioLost(ctx.kernel) : eio,
          pfn,
        );
      if (order > largestRestored)
        fault(
          "large",
          entry,
          `folio ${entry} has order ${order}, Linux ${ctx.kernel.release} restores at most order ${largestRestored}`,
          ["error", "order-too-large"],
          entry > 0 ? laterFolioLost(ctx.kernel) : eio,
          pfn,
        );
      const length = 2 ** Math.max(order, 0);
      if (index % length !== 0)
        fault(
          "misaligned",
          entry,
          `folio ${entry} of ${length} pages begins at page ${index} of the file`,
          ["error", "folio-bad-index"],
          misread("retrieve", "the folio is placed at the index rounded down"),
          pfn,
        );
      if (index < end) {
        ascending = false;
        fault(
          "order",
          entry,
          `folio ${entry} for page ${index} of the file comes after page ${end - 1}`,
          ["warning", "folio-bad-index"],
          undefined,
          pfn,
        );
      }
      if (index >= pages)
        fault(
          "beyond",
          entry,
          `folio ${entry} for page ${index} lies beyond the file's ${size} bytes and is not visible`,
          index >= 2 ** 53 ? ["error", "folio-bad-index"] : ["info", "folio-bad-index"],
          undefined,
          pfn,
        );
      end = Math.max(end, index + length);
    },
    finish(): void {
      for (const { times, report } of faults.values()) report(times);
    },
  };
}
