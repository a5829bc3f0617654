import { type Abi, decode, hostIsLittle, pageShift, type ValueOf } from "../../src/layout/index.js";
import { addressOf, type PhysAddr, physAddr } from "../../src/memory/index.js";
import type { Consequence } from "../../src/report/finding.js";
import { hex } from "../../src/report/hex.js";
import { misread } from "../consequence.js";
import { type Context, readMemory } from "../context.js";
import { chunkPath, isMapPath } from "../paths.js";
import { type khoVmalloc, khoVmallocChunk } from "./layout.js";

/** A preserved vmalloc area: where its pages are, in virtual order. Its length in bytes is its user's business. */
export interface VmallocArea {
  /** PFN of each listed block of `2 ** order` pages. */
  readonly pfns: readonly number[];
  readonly order: number;
  /** False if the list is damaged and `pfns` is only its beginning. */
  readonly complete: boolean;
}

/** What the reader of an area does when the list is wrong, and when a pointer leads nowhere. */
export interface VmallocConsequences {
  readonly malformed?: Consequence;
  readonly oops?: Consequence;
}

const mistaken = "whatever is there is taken for a list of pages";

/** Follows the chunks of a `kho_vmalloc`. An empty descriptor (`first` = 0, no pages) is an empty area. */
export function decodeVmalloc(
  ctx: Context,
  descriptor: ValueOf<typeof khoVmalloc>,
  path: string,
  { malformed, oops }: VmallocConsequences = {},
): VmallocArea {
  const { abi } = ctx;
  const { first, total_pages: totalPages, order } = descriptor;
  const pfns: number[] = [];
  const area = (complete: boolean): VmallocArea => ({ pfns, order, complete });
  const shift = pageShift(abi);
  // Two levels of page table: the largest mapping that the kernel makes for vmalloc.
  const largest = 2 * (shift - 3);
  if (order > largest) {
    ctx.report("error", "vmalloc-bad-count", `the area is said to be made of pages of order ${order}`, {
      path,
      pa: first,
      expected: `order 0 to ${largest}`,
      actual: String(order),
      consequence: malformed,
    });
    return area(false);
  }
  const perBlock = 2 ** order;
  const wanted = Math.floor(totalPages / perBlock);
  const lowHalf = hostIsLittle ? 0 : 1;

  let chunk: PhysAddr = first;
  for (let index = 0; chunk !== 0n; index++) {
    const at = chunkPath(path, index);
    const place = { path: at, pa: chunk, length: abi.pageSize, consequence: malformed };
    if (chunk % BigInt(abi.pageSize) !== 0n) {
      ctx.report("error", "vmalloc-bad-chunk", `the chunk at ${hex(chunk)} is not page aligned`, place);
      return area(false);
    }
    const bytes = readMemory(ctx, chunk, abi.pageSize, at, oops);
    if (!bytes) return area(false);
    const owner = ctx.claims.claim(chunk, 1, 0, at, malformed);
    if (owner !== undefined) {
      // A page is restored once; one that something else has and that nobody has restored yet is taken for a chunk.
      const isTaken = !owner.startsWith(path) && !isMapPath(owner);
      ctx.report(
        "error",
        isTaken ? "structure-reused" : "vmalloc-bad-chunk",
        `the chunk at ${hex(chunk)} is in use already, as ${owner}`,
        isTaken ? { ...place, consequence: malformed && misread(malformed.phase, mistaken) } : place,
      );
      return area(false);
    }
    const { hdr, phys } = decode(khoVmallocChunk, bytes, 0, abi);
    // As halves: what is made of a bigint only in a finding takes no time in a list of millions.
    const halves = new Uint32Array(phys.buffer);
    for (let i = 0; i < phys.length; i++) {
      const low = halves[2 * i + lowHalf]!;
      const high = halves[2 * i + 1 - lowHalf]!;
      if (low === 0 && high === 0) break;
      if (pfns.length === wanted) {
        ctx.report("error", "vmalloc-bad-count", `the area lists more than its ${totalPages} pages`, {
          ...place,
          expected: `${wanted} addresses of ${2 ** order} pages`,
          actual: "more",
        });
        return area(false);
      }
      const pfn = high * 2 ** (32 - shift) + (low >>> shift);
      if ((low & (abi.pageSize - 1)) !== 0) {
        const listed = physAddr(phys[i]!);
        ctx.report(
          "warning",
          "vmalloc-bad-chunk",
          `entry ${i} of the chunk has low bits set, which readers ignore`,
          {
            path: at,
            pa: listed,
            actual: hex(listed),
          },
        );
      }
      // Aligned blocks of one order cannot overlap: that bounds what many areas together can ask for.
      if (pfn % perBlock !== 0) {
        const listed = physAddr(phys[i]!);
        ctx.report(
          "error",
          "vmalloc-bad-chunk",
          `page ${hex(listed)} of the area does not begin a block of order ${order}`,
          { path: at, pa: listed, length: abi.pageSize },
        );
        return area(false);
      }
      if (ctx.claims.full) {
        ctx.report("error", "limit-exceeded", "the structures of this handover take up too many pages", {
          path: at,
          pa: physAddr(phys[i]!),
        });
        return area(false);
      }
      const taken = ctx.claims.claim(addressOf(pfn, abi.pageSize), perBlock, order, path, malformed);
      if (taken !== undefined) {
        const listed = physAddr(phys[i]!);
        ctx.report(
          "error",
          "structure-reused",
          `page ${hex(listed)} of the area is in use already, as ${taken}`,
          {
            path: at,
            pa: listed,
            length: abi.pageSize,
            consequence: malformed,
          },
        );
        return area(false);
      }
      pfns.push(pfn);
    }
    chunk = hdr.next;
  }
  if (pfns.length === wanted) return area(true);
  ctx.report(
    "error",
    "vmalloc-bad-count",
    `the area lists ${pfns.length} addresses for ${totalPages} pages`,
    {
      path,
      pa: first,
      expected: `${wanted} addresses of ${2 ** order} pages`,
      actual: String(pfns.length),
      consequence: malformed,
    },
  );
  return area(false);
}

/** Bytes that an area has room for. */
export const vmallocBytes = ({ pfns, order }: VmallocArea, abi: Abi): number =>
  // The order of an area without pages can be anything: 0 times infinity is no number.
  pfns.length === 0 ? 0 : pfns.length * 2 ** order * abi.pageSize;

/**
 * The first `length` bytes of an area, page by page and in order; `offset` is that of the page in the area.
 * Stops early, with a finding, at memory that is absent.
 */
export function* vmallocPages(
  ctx: Context,
  area: VmallocArea,
  length: number,
  path: string,
  oops?: Consequence,
): Generator<{ bytes: Uint8Array; offset: number }> {
  const { pageSize } = ctx.abi;
  const perBlock = 2 ** area.order;
  for (let page = 0; page * pageSize < length && page < area.pfns.length * perBlock; page++) {
    const pfn = area.pfns[Math.floor(page / perBlock)]! + (page % perBlock);
    const offset = page * pageSize;
    const bytes = readMemory(ctx, addressOf(pfn, pageSize), Math.min(pageSize, length - offset), path, oops);
    if (!bytes) return;
    yield { bytes, offset };
  }
}
