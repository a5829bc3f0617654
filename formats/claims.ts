import type { PhysAddr } from "../src/memory/index.js";
import { KhoError } from "../src/report/error.js";
import type { Consequence } from "../src/report/finding.js";
import { misread } from "./consequence.js";
import { newPageOwners } from "./page-owners.js";

/**
 * How a structure's pages have to be preserved: as one block of this order, in whatever blocks, or not at all
 * (the memory map, the scratch array).
 */
export type Keeping = number | "any-order" | "not-preserved";

/** Pages that one structure occupies. */
export interface Claim {
  readonly pa: PhysAddr;
  /** Base pages. */
  readonly pages: number;
  readonly keeping: Keeping;
  readonly path: string;
  /** What the reader does if these pages are not preserved like that. */
  readonly lost: Consequence;
}

const reused = misread("boot", "the memory may be used for something else before it is read");

/**
 * Which pages the structures of a handover occupy. A page begins one structure at most, so a second claim is a cycle
 * or an overlap: whoever follows pointers claims first and stops when refused. That alone bounds every walk by the
 * memory that the capture holds. Structures that merely reach into each other are found afterwards, in sorted order.
 */
export interface Claims {
  /**
   * Claims `pages` base pages from `pa` on, which is taken rounded down to a page; `lost` is what the reader does if
   * they are not preserved as `keeping` says.
   * Returns the path of the structure that begins in the same page, if there is one, and then claims nothing.
   * @throws KhoError `limit-exceeded` for more claims than allowed, which walks that can be long look at {@link full} for
   */
  claim(pa: PhysAddr, pages: number, keeping: Keeping, path: string, lost?: Consequence): string | undefined;
  /** The path of the structure that begins in the page of `pa`, if there is one: for walks that read only afterwards. */
  ownerOf(pa: PhysAddr): string | undefined;
  /** True if only few further claims are allowed: lists that can be long end here, single structures need not. */
  readonly full: boolean;
  /** All claims in the order made. Order-0 pages of one path that follow each other in memory are one claim. */
  readonly all: readonly Claim[];
}

/** An empty set of claims for a page size in bytes. Twice `most` is the end of it, `most` where long lists end. */
export function newClaims(pageSize: number, most = 1 << 22): Claims {
  const owners = newPageOwners();
  const all: { -readonly [K in keyof Claim]: Claim[K] }[] = [];
  /** Claims that were made, each of which begins in another page. */
  let count = 0;
  let end = -1;
  const page = BigInt(pageSize);
  // At most 52 bits: the page size is at least 2^12.
  const frameOf = (pa: PhysAddr): number => Number(pa / page);
  return {
    all,
    get full() {
      return count >= most;
    },
    ownerOf(pa) {
      return all[owners.of(frameOf(pa))]?.path;
    },
    claim(pa, pages, keeping, path, lost = reused) {
      const first = frameOf(pa);
      const owner = owners.of(first);
      if (owner >= 0) return all[owner]!.path;
      if (count >= 2 * most)
        throw new KhoError("limit-exceeded", `structures begin in more than ${2 * most} pages`, { pa, path });
      const last = all.at(-1);
      if (last && keeping === 0 && last.keeping === 0 && last.path === path && end === first)
        last.pages += pages;
      else all.push({ pa: (BigInt(first) * page) as PhysAddr, pages, keeping, path, lost });
      owners.add(first, all.length - 1);
      count++;
      end = first + pages;
      return undefined;
    },
  };
}
