import { largestBuddyOrder } from "../../formats/memfd/folio-checks.js";
import { addressOf, firstNot, type Pfn, pfn as pageFrame } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import { type Buddies, newBuddies } from "./buddies.js";
import { newIntervals, type Piece } from "./intervals.js";

/** A stretch of pages in use. */
export interface Holding {
  readonly pfn: Pfn;
  readonly pages: number;
  /** What for: `memfd vm0`, `kho root`, `received`. */
  readonly owner: string;
}

/** The page allocator: buddies of 2^order pages, deterministic, lowest address first. */
export interface PageAllocator {
  /** Largest order that it hands out, MAX_PAGE_ORDER. */
  readonly largestOrder: number;
  /** Takes a naturally aligned block; undefined if there is none (of that node, if one is named). Contents are stale. */
  allocate(order: number, owner: string, node?: number): Pfn | undefined;
  /**
   * Gives back an aligned block of pages that are all held: one that was allocated, several of these, or pages that are
   * held as such ({@link reserve}, {@link recut}).
   * @throws KhoError `machine-misuse` if one of them is free, or if they are part of a larger block
   */
  free(pfn: number, order: number): void;
  /** Takes these very pages, on any nodes. @throws KhoError `machine-misuse` if one of them is held, or is no RAM */
  reserve(pfn: number, pages: number, owner: string): void;
  /** Gives back pages that are held, in any pieces. @throws KhoError `machine-misuse` if one of them is free already */
  release(pfn: number, pages: number): void;
  /**
   * Changes the owner of pages that are held, and how they are cut: a block can be freed as pages, pages as a block. So
   * can the rest of blocks that are only partly among them.
   * @throws KhoError `machine-misuse` if one of them is free
   */
  recut(pfn: number, pages: number, owner: string): void;
  /** NUMA node of a page. @throws KhoError `machine-misuse` for a page of no range */
  nodeOf(pfn: number): number;
  /** Who holds a page; undefined if nobody does. */
  ownerOf(pfn: number): string | undefined;
  /** True if the page was given back at least once since this allocator began, whoever holds it now. */
  wasReturned(pfn: number): boolean;
  readonly freePages: number;
  /** Everything that is held, ascending, neighbours of one owner merged. */
  holdings(): Holding[];
  /** Stretches of free pages, ascending and merged. */
  vacancies(): { readonly pfn: Pfn; readonly pages: number }[];
}

/** Pages of one NUMA node. PFNs are below 2^52. */
export interface NodePages {
  readonly pfn: number;
  readonly pages: number;
  readonly node: number;
}

/** Who holds a page, and as part of a block of which order; who gave it back, if the order is `free`. */
interface State {
  readonly owner: string;
  readonly order: number;
}

const free = -1;

/**
 * An allocator of pages that are all free. It gives the lowest address of the smallest order that fits, of all nodes
 * unless one is named, and keeps the upper halves where it has to split. `ranges` come in any order and do not overlap;
 * `pageSize` in bytes decides the largest order.
 * @throws KhoError `machine-misuse` for ranges that overlap
 */
export function newPageAllocator(options: {
  readonly ranges: readonly NodePages[];
  readonly pageSize: number;
}): PageAllocator {
  const { pageSize } = options;
  const largestOrder = largestBuddyOrder({ pageSize });

  const misuse = (message: string, frame: number, expected: string, actual: string): KhoError =>
    new KhoError("machine-misuse", message, { pa: addressOf(frame, pageSize), expected, actual });

  /** Ascending, so that neighbours of one node are one range: blocks reach over where they meet. */
  const ranges: { pfn: number; pages: number; readonly node: number }[] = [];
  for (const range of [...options.ranges].sort((a, b) => a.pfn - b.pfn)) {
    const last = ranges.at(-1);
    const end = last ? last.pfn + last.pages : 0;
    if (range.pages === 0) continue;
    if (range.pfn < end)
      throw misuse(`two ranges have page ${hex(range.pfn)}`, range.pfn, "ranges that do not overlap", "both");
    if (last?.node === range.node && end === range.pfn) last.pages += range.pages;
    else ranges.push({ ...range });
  }

  const zones = new Map<number, Buddies>();
  /** By page. What has no state was never held, or is no RAM. */
  const states = newIntervals<State>();
  const returned = newIntervals<true>();
  let freePages = 0;
  for (const { pfn, pages, node } of ranges) {
    const zone = zones.get(node) ?? newBuddies(largestOrder);
    zone.add(pfn, pages);
    zones.set(node, zone);
    freePages += pages;
  }

  /** One object for each state that there is, so that neighbours in the same state are one piece. */
  const known = new Map<string, State[]>();
  const state = (owner: string, order: number): State => {
    let ofOwner = known.get(owner);
    if (!ofOwner) known.set(owner, (ofOwner = []));
    return (ofOwner[order - free] ??= { owner, order });
  };

  /** The first range that ends behind `pfn`. */
  const rangeAt = (pfn: number): number =>
    firstNot(0, ranges.length, (i) => ranges[i]!.pfn + ranges[i]!.pages <= pfn);
  /** Calls `each` for the parts of `[pfn, end)` in each range. @throws KhoError `machine-misuse` outside of them */
  const forNodes = (
    pfn: number,
    end: number,
    each: (zone: Buddies, pfn: number, pages: number) => void,
  ): void => {
    for (let i = rangeAt(pfn), at = pfn; at < end; i++) {
      const range = ranges[i];
      if (!range || range.pfn > at) throw noRam(at);
      const until = Math.min(range.pfn + range.pages, end);
      each(zones.get(range.node)!, at, until - at);
      at = until;
    }
  };
  const noRam = (page: number): KhoError =>
    misuse(`page ${hex(page)} is none of this allocator's`, page, "a page of its ranges", "none");

  /** The states of pages that all have to be held. @throws KhoError `machine-misuse` if one of them is not */
  const heldIn = (pfn: number, end: number): Piece<State>[] => {
    const pieces = states.pieces(pfn, end);
    let at = pfn;
    for (const { from, to, value } of pieces) {
      if (from > at || value.order === free) break;
      at = to;
    }
    if (at === end) return pieces;
    forNodes(at, at + 1, () => {});
    const last = states.get(at)?.owner;
    const actual = last === undefined ? "never held" : `free since ${last} gave it back`;
    throw misuse(`page ${hex(at)} is free already: ${actual}`, at, "a page that is held", actual);
  };

  /** Holds blocks that are partly in `[pfn, end)`, partly not, as single pages: they are blocks no more. */
  const breakAround = (pfn: number, end: number): void => {
    if (pfn === end) return;
    for (const border of [pfn, end]) {
      const { owner, order } = states.get(border) ?? { owner: "", order: free };
      const start = border - (border % 2 ** order);
      if (order !== free && start < border) states.set(start, start + 2 ** order, state(owner, 0));
    }
  };

  /** Pages that are held become free; their former owners are remembered. */
  const giveBack = (held: readonly Piece<State>[]): void => {
    for (const { from, to, value } of held) {
      states.set(from, to, state(value.owner, free));
      returned.set(from, to, true);
      forNodes(from, to, (zone, pfn, pages) => zone.add(pfn, pages));
      freePages += to - from;
    }
  };

  return {
    largestOrder,
    get freePages() {
      return freePages;
    },
    allocate(order, owner, node) {
      let best: Buddies | undefined;
      let from = 0;
      let lowest = 0;
      for (const [id, zone] of zones) {
        const fit = node === undefined || node === id ? zone.smallest(order) : undefined;
        if (fit === undefined || (best && fit > from)) continue;
        const start = zone.lowest(fit);
        if (best && fit === from && start > lowest) continue;
        [best, from, lowest] = [zone, fit, start];
      }
      if (!best) return undefined;
      const pfn = best.split(from, order);
      states.set(pfn, pfn + 2 ** order, state(owner, order));
      freePages -= 2 ** order;
      return pageFrame(pfn);
    },
    free(pfn, order) {
      const pages = 2 ** order;
      const block = `a block of order ${order}`;
      if (pfn % pages !== 0)
        throw misuse(
          `page ${hex(pfn)} is not where ${block} begins`,
          pfn,
          `a multiple of ${pages}`,
          hex(pfn),
        );
      const held = heldIn(pfn, pfn + pages);
      // Blocks are aligned: only one that is larger than this can reach out of it, and it has all of this.
      const { owner, order: whole } = held[0]!.value;
      if (whole > order) {
        const message = `page ${hex(pfn)} is held by ${owner} in a block of order ${whole}, not ${order}`;
        throw misuse(message, pfn, `order ${whole}`, `order ${order}`);
      }
      giveBack(held);
    },
    reserve(pfn, pages, owner) {
      const end = pfn + pages;
      forNodes(pfn, end, () => {});
      for (const { from, value } of states.pieces(pfn, end))
        if (value.order !== free)
          throw misuse(`page ${hex(from)} is held by ${value.owner}`, from, "free", `held by ${value.owner}`);
      forNodes(pfn, end, (zone, first, count) => zone.remove(first, count));
      states.set(pfn, end, state(owner, 0));
      freePages -= pages;
    },
    release(pfn, pages) {
      const held = heldIn(pfn, pfn + pages);
      breakAround(pfn, pfn + pages);
      giveBack(held);
    },
    recut(pfn, pages, owner) {
      heldIn(pfn, pfn + pages);
      breakAround(pfn, pfn + pages);
      states.set(pfn, pfn + pages, state(owner, 0));
    },
    nodeOf(pfn) {
      const range = ranges[rangeAt(pfn)];
      if (!range || range.pfn > pfn) throw noRam(pfn);
      return range.node;
    },
    ownerOf(pfn) {
      const now = states.get(pfn);
      return now === undefined || now.order === free ? undefined : now.owner;
    },
    wasReturned: (pfn) => returned.get(pfn) === true,
    holdings() {
      const list: { readonly pfn: Pfn; pages: number; readonly owner: string }[] = [];
      for (const { from, to, value } of states.pieces()) {
        const last = list.at(-1);
        if (value.order === free) continue;
        if (last?.owner === value.owner && last.pfn + last.pages === from) last.pages += to - from;
        else list.push({ pfn: pageFrame(from), pages: to - from, owner: value.owner });
      }
      return list;
    },
    vacancies() {
      const list: { readonly pfn: Pfn; pages: number }[] = [];
      const add = (from: number, to: number): void => {
        const last = list.at(-1);
        if (from === to) return;
        if (last && last.pfn + last.pages === from) last.pages += to - from;
        else list.push({ pfn: pageFrame(from), pages: to - from });
      };
      for (const { pfn, pages } of ranges) {
        let at = pfn;
        for (const { from, to, value } of states.pieces(pfn, pfn + pages)) {
          if (value.order === free) continue;
          add(at, from);
          at = to;
        }
        add(at, pfn + pages);
      }
      return list;
    },
  };
}
