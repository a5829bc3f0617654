import { pagesOf } from "../../../formats/memfd/folios.js";
import { MEMFD_LUO_FOLIO_UPTODATE } from "../../../formats/memfd/layout.js";
import type { Memfd } from "../../../formats/memfd/memfd.js";
import { getSeals, type MemfdFile, type Ram } from "../../machine/index.js";
import { newIntervals } from "../../machine/intervals.js";
import { addressOf } from "../../memory/index.js";
import { hex } from "../../report/hex.js";
import { comparePages, isZero, sameBytes } from "../same-memory.js";
import type { Truth } from "../truth.js";
import type { PartVerdict } from "../verdict.js";
import { differs, say } from "./arrived.js";

/** Which page of memory holds a page of a file: the file's page plus `shift`; absent where it reads as zeros. */
type Mapping = ReturnType<typeof newIntervals<number>>;

/** A file that was retrieved against what was handed over of it. */
export function judgeMemfd(part: string, file: MemfdFile, memfd: Memfd, truth: Truth): PartVerdict {
  const { inode } = file;
  const seals = getSeals(file);
  if (inode.size !== BigInt.asIntN(64, memfd.size))
    return say(part, "misread", differs("size", String(memfd.size), String(inode.size)));
  const content = differentContent(file, memfd, truth);
  if (content.detail !== undefined) return say(part, "misread", content.detail);
  if (file.pos !== memfd.pos) return say(part, "lossy", differs("pos", String(memfd.pos), String(file.pos)));
  if ((memfd.seals & ~seals) !== 0) return say(part, "lossy", differs("seals", hex(memfd.seals), hex(seals)));
  const notes = [
    // F_SEAL_EXEC brings seals against writing along where it is applied: mm/memfd.c, memfd_add_seals(), since 6.3.
    ...(seals === memfd.seals ? [] : [`seals: from ${hex(memfd.seals)} to ${hex(seals)}`]),
    ...(content.absent === 0 ? [] : [`${content.absent} of its pages are not in the capture`]),
  ];
  return say(part, "works", notes.join("; "));
}

function differentContent(
  file: MemfdFile,
  memfd: Memfd,
  { departure, captured, handover: { pageSize } }: Truth,
): { detail?: string; absent: number } {
  const { core, folios } = file.inode;
  // What lies behind the end of the file no call reaches.
  const end = Math.ceil(Math.min(Number(memfd.size), Number.MAX_SAFE_INTEGER) / pageSize);
  const before = newIntervals<number>();
  const list = memfd.folios;
  for (let run = 0; run < list.length; run++)
    if ((list.flags[run]! & MEMFD_LUO_FOLIO_UPTODATE) !== 0 && list.index[run]! < end)
      map(before, list.index[run]!, list.pfn[run]!, pagesOf(list, run));
  const after = newIntervals<number>();
  folios.each(0, end, (index, pfn, order, flags) => {
    if ((flags & MEMFD_LUO_FOLIO_UPTODATE) !== 0) map(after, index, pfn, 2 ** order);
  });
  let absent = 0;
  for (const { from, to, old, now } of together(before, after, end)) {
    if (old === undefined && now === undefined) continue;
    const has = departure.memory.has;
    if (old !== undefined && !has(addressOf(from + old, pageSize), pageSize)) continue;
    if (old !== undefined && old === now) {
      const found = comparePages(departure.memory, core.ram, from + old, to - from, pageSize, captured);
      absent += found.absent;
      if (found.different !== undefined)
        return { absent, detail: `page ${found.different - old} of its content has been overwritten` };
      continue;
    }
    for (let page = from; page < to; page++) {
      if (old !== undefined && captured && !captured(page + old)) {
        absent++;
        continue;
      }
      const [was, is] = [
        pageAt(departure.memory, page, old, pageSize),
        pageAt(core.ram, page, now, pageSize),
      ];
      if (was && is ? sameBytes(was, is) : isZero((was ?? is)!)) continue;
      const place = (shift: number | undefined): string =>
        shift === undefined ? "a hole" : `the page at ${hex(addressOf(page + shift, pageSize))}`;
      return { absent, detail: differs(`page ${page} of its content`, place(old), place(now)) };
    }
  }
  return { absent };
}

const map = (mapping: Mapping, index: number, pfn: number, pages: number): void =>
  mapping.set(index, index + pages, pfn - index);

const pageAt = (
  ram: Ram,
  page: number,
  shift: number | undefined,
  pageSize: number,
): Uint8Array | undefined =>
  shift === undefined ? undefined : ram.read(addressOf(page + shift, pageSize), pageSize);

/** The pages `[0, end)` of two mappings in stretches over which neither changes. */
function* together(before: Mapping, after: Mapping, end: number) {
  const pieces = [before.pieces(0, end), after.pieces(0, end)] as const;
  for (let at = 0, b = 0, a = 0; at < end; ) {
    const [old, now] = [pieces[0][b], pieces[1][a]];
    const edge = (piece: { from: number; to: number } | undefined): number =>
      piece === undefined ? end : piece.from > at ? piece.from : piece.to;
    const to = Math.min(edge(old), edge(now), end);
    yield {
      from: at,
      to,
      old: old && old.from <= at ? old.value : undefined,
      now: now && now.from <= at ? now.value : undefined,
    };
    if (old?.to === to) b++;
    if (now?.to === to) a++;
    at = to;
  }
}
