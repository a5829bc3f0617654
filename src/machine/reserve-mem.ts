import { RESERVE_MEM_MAX_ENTRIES, type ReserveMem } from "../../formats/memblock/memblock.js";
import type { Abi } from "../layout/index.js";
import { addressOf, pfnOf } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import { type Stretch, without } from "./kho/blocks.js";
import type { PageAllocator } from "./pages.js";

/** A `reserve_mem=size:align:name` option. Sizes in bytes. */
export interface ReserveMemOption {
  /** Up to 15 characters. */
  readonly name: string;
  readonly size: number;
  /** A power of two; a page unless given. */
  readonly align?: number;
}

/** Regions as this boot has them. */
export interface ReservedRegion extends ReserveMem {
  /** True if it is the predecessor's, contents and all. */
  readonly revived: boolean;
}

/** Where regions come from. */
export interface RegionSource {
  readonly abi: Abi;
  readonly pages: PageAllocator;
  /** What the predecessor hands over, by name. */
  readonly handed: ReadonlyMap<string, ReserveMem>;
  /** A boot with a handover allocates early from scratch alone: a fresh region then comes out of these areas. */
  readonly scratch: readonly Stretch[] | undefined;
  log(line: string): void;
}

/**
 * Takes the regions of the command line: the predecessor's where it hands over one of that name, size and alignment,
 * else fresh memory from the top down. What scratch has no room for is left out.
 * @throws KhoError `usage` if a cold boot has no room, or for options that no kernel takes
 */
export function reserveRegions(options: readonly ReserveMemOption[], source: RegionSource): ReservedRegion[] {
  const { abi, pages, handed, scratch, log } = source;
  checkOptions(options);
  const fromTop = newTop(source);
  const regions: ReservedRegion[] = [];
  for (const { name, size, align = abi.pageSize } of options) {
    const owner = `reserve_mem ${name}`;
    const before = handed.get(name);
    const count = Math.ceil(size / abi.pageSize);
    const length = BigInt(count) * BigInt(abi.pageSize);
    if (before && before.size === length && before.start % BigInt(align) === 0n) {
      log(`Revived memory reservation '${name}' from KHO`);
      // Neither RAM nor the memory map is asked: pages that are free are simply taken for the region.
      hold(pages, pfnOf(before.start, abi.pageSize), count, owner);
      regions.push({ ...before, revived: true });
      continue;
    }
    if (before) log(`memblock: ${owner} does not fit what was handed over`);
    const pfn = fromTop(count, Math.max(1, align / abi.pageSize), owner);
    if (pfn !== undefined)
      regions.push({ name, start: addressOf(pfn, abi.pageSize), size: length, revived: false });
    else if (scratch) log(`memblock: no room for ${owner}`);
    else throw new KhoError("usage", `there is no room for ${count} pages of ${owner}`);
  }
  return regions;
}

/** Longest name of a region. mm/memblock.c */
const longestName = 15;

function checkOptions(options: readonly ReserveMemOption[]): void {
  if (options.length > RESERVE_MEM_MAX_ENTRIES)
    throw new KhoError(
      "usage",
      `${options.length} regions, kernels have room for ${RESERVE_MEM_MAX_ENTRIES}`,
    );
  const names = new Set<string>();
  for (const { name, size, align = 1 } of options) {
    if (name.length === 0 || name.length > longestName || names.has(name))
      throw new KhoError(
        "usage",
        `a region's name has 1 to ${longestName} characters and is its own: ${name}`,
      );
    if (
      !(
        Number.isSafeInteger(size) &&
        size > 0 &&
        Number.isSafeInteger(align) &&
        Number.isInteger(Math.log2(align))
      )
    )
      throw new KhoError("usage", `region ${name}: size and alignment are bytes, the latter a power of two`);
    names.add(name);
  }
}

/** Holds pages that may be free, received, or none of RAM at all. */
function hold(pages: PageAllocator, pfn: number, count: number, owner: string): void {
  for (const { pfn: start, pages: length } of pages.vacancies()) {
    const [from, until] = [Math.max(start, pfn), Math.min(start + length, pfn + count)];
    if (from < until) pages.reserve(from, until - from, owner);
  }
  for (const { pfn: start, pages: length, owner: before } of pages.holdings()) {
    const [from, until] = [Math.max(start, pfn), Math.min(start + length, pfn + count)];
    if (from < until && before !== owner) pages.recut(from, until - from, owner);
  }
}

/** Takes the highest pages that are free, or, of a boot with a handover, the highest of scratch. */
function newTop({ pages, scratch }: RegionSource) {
  let left = scratch;
  return (count: number, align: number, owner: string): number | undefined => {
    const places =
      left ?? pages.vacancies().map((free) => ({ start: free.pfn as number, end: free.pfn + free.pages }));
    let best = -1;
    for (const { start, end } of places) {
      const at = Math.floor((end - count) / align) * align;
      if (at >= start && at > best) best = at;
    }
    if (best < 0) return undefined;
    if (left) {
      pages.recut(best, count, owner);
      left = without(left, [{ start: best, end: best + count }]);
    } else pages.reserve(best, count, owner);
    return best;
  };
}
