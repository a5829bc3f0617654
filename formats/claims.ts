import type { PhysAddr } from "../src/memory/index.js";

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
}

/**
 * Which pages the structures of a handover occupy. A page begins one structure at most, so a second claim is a cycle
 * or an overlap: whoever follows pointers claims first and stops when refused. That alone bounds every walk by the
 * memory that the capture holds. Structures that merely reach into each other are found afterwards, in sorted order.
 */
export interface Claims {
  /**
   * Claims `pages` base pages from `pa` on, which is taken rounded down to a page.
   * Returns the path of the structure that begins in the same page, if there is one, and then claims nothing.
   */
  claim(pa: PhysAddr, pages: number, keeping: Keeping, path: string): string | undefined;
  /** All claims in the order made. Order-0 pages of one path that follow each other in memory are one claim. */
  readonly all: readonly Claim[];
}

/** An empty set of claims for a page size in bytes. */
export function newClaims(pageSize: number): Claims {
  const owners = new Map<number, number>();
  const all: { -readonly [K in keyof Claim]: Claim[K] }[] = [];
  let end = -1;
  return {
    all,
    claim(pa, pages, keeping, path) {
      // At most 52 bits: the page size is at least 2^12.
      const first = Number(pa / BigInt(pageSize));
      const owner = owners.get(first);
      if (owner !== undefined) return all[owner]!.path;
      const last = all.at(-1);
      if (last && keeping === 0 && last.keeping === 0 && last.path === path && end === first)
        last.pages += pages;
      else all.push({ pa: (BigInt(first) * BigInt(pageSize)) as PhysAddr, pages, keeping, path });
      owners.set(first, all.length - 1);
      end = first + pages;
      return undefined;
    },
  };
}
