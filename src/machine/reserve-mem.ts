import type { ReserveMem } from "../../formats/memblock/memblock.js";
import { type Abi, pageShift } from "../layout/index.js";
import { addressOf, type MemoryRange, pfnOf } from "../memory/index.js";
import { KhoError } from "../report/error.js";
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
  readonly scratch: readonly MemoryRange[] | undefined;
  log(line: string): void;
}

/**
 * Takes the regions of the command line: the predecessor's where it hands over one of that name, size and alignment,
 * else fresh memory from the top down.
 * @throws KhoError `usage` if there is no room
 */
export function reserveRegions(options: readonly ReserveMemOption[], source: RegionSource): ReservedRegion[] {
  const { abi, pages, handed, log } = source;
  const fromTop = newTop(source);
  return options.map(({ name, size, align = abi.pageSize }) => {
    const before = handed.get(name);
    const length = Math.ceil(size / abi.pageSize) * abi.pageSize;
    if (before && before.size === BigInt(length) && before.start % BigInt(align) === 0n) {
      log(`Revived memory reservation '${name}' from KHO`);
      // Neither RAM nor the memory map is asked: pages that are free are simply taken for the region.
      hold(pages, pfnOf(before.start, abi.pageSize), length / abi.pageSize, `reserve_mem ${name}`);
      return { ...before, revived: true };
    }
    if (before) log(`memblock: reserve_mem ${name} does not fit what was handed over`);
    const pfn = fromTop(length / abi.pageSize, Math.max(1, align / abi.pageSize), `reserve_mem ${name}`);
    return { name, start: addressOf(pfn, abi.pageSize), size: BigInt(length), revived: false };
  });
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
function newTop({ abi, pages, scratch }: RegionSource) {
  const areas = scratch?.map(({ pa, size }) => ({
    start: pfnOf(pa, abi.pageSize) as number,
    end: Number((pa + size) >> BigInt(pageShift(abi))),
  }));
  return (count: number, align: number, owner: string): number => {
    const places =
      areas ?? pages.vacancies().map((free) => ({ start: free.pfn as number, end: free.pfn + free.pages }));
    let best = -1;
    for (const { start, end } of places) {
      const at = Math.floor((end - count) / align) * align;
      if (at >= start && at > best) best = at;
    }
    if (best < 0) throw new KhoError("usage", `there is no room for ${count} pages of ${owner}`);
    if (!areas) pages.reserve(best, count, owner);
    else {
      pages.recut(best, count, owner);
      const area = areas.find(({ start, end }) => start <= best && best < end)!;
      area.end = best;
    }
    return best;
  };
}
