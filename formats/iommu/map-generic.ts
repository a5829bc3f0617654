/** How drivers/iommu/generic_pt maps and unmaps: VT-d and AMD since 6.19, RISC-V since 7.1. All addresses are in frames. */
import type { PhysAddr } from "../../src/memory/index.js";
import {
  canonical,
  childOf,
  covers,
  type Domain,
  freeTables,
  kindOf,
  levelOf,
  type MapErrno,
  type Mapped,
  type Node,
  readEntries,
  tableFor,
  topNode,
  writeEntries,
  writeEntry,
} from "./domain.js";
import { frameLg2, frameOf } from "./entry.js";
import { EMPTY, entriesOf, itemFrames, itemLg2, LEAF, mostLevels, TABLE } from "./format.js";
import { writeLeaves } from "./leaves.js";
import { nextLeaves, pageSizes } from "./page-sizes.js";
import { IOMMU_READ, IOMMU_WRITE } from "./prot.js";

/** Maps `frames` frames. What was mapped before a failure stays: the caller takes it back. */
export function mapGeneric(domain: Domain, iova: number, pa: number, frames: number, prot: number): Mapped {
  const failed = (errno: MapErrno, mapped = 0): Mapped => ({ errno, mapped });
  if (!(prot & (IOMMU_READ | IOMMU_WRITE))) return failed("EINVAL");
  if (domain.writableOnly && !(prot & IOMMU_WRITE)) return failed("EINVAL");
  if (!covers(domain, iova, frames) || pa + frames > 2 ** (domain.paBits - frameLg2)) return failed("ERANGE");
  const sizes = pageSizes(domain.pgsizeBitmap);
  const from = canonical(domain, iova);
  const first = nextLeaves(sizes, from, pa, frames);
  if (!first) return failed("ENXIO");
  const short = grow(domain, from + frames - 1, levelOf(domain, first.size));
  if (short) return failed(short);

  let done = 0;
  while (done < frames) {
    // The first leaves of all are not aligned worse than what follows, so that there is a size for the rest, too.
    const { size, count } = nextLeaves(sizes, from + done, pa + done, frames - done)!;
    for (let left = count; left > 0; ) {
      const found = tableFor(domain, from + done, levelOf(domain, size), "EADDRINUSE");
      if (typeof found === "string") return failed(found, done);
      const { node, index } = found;
      const slots = 2 ** (size + frameLg2 - itemLg2(domain.format, node.level));
      const wanted = Math.min(left, (node.entries - index) / slots);
      const free = freeLeaves(domain, node, index, wanted, slots);
      writeLeaves(domain, node, index, slots, { pa: pa + done, size, count: free, prot });
      done += free * 2 ** size;
      left -= free;
      if (free < wanted) return failed("EADDRINUSE", done);
    }
  }
  return { mapped: done };
}

/** Puts tables on top, lowest first, until the domain covers `last` and has leaves at `level`. */
function grow(domain: Domain, last: number, level: number): MapErrno | undefined {
  const { format, store, vaBits } = domain;
  if (!domain.grows) return undefined;
  let levels = domain.levels;
  const tooLow = (): boolean =>
    last >= 2 ** (Math.min(vaBits, itemLg2(format, levels)) - frameLg2) || level >= levels;
  for (; tooLow(); levels++) if (levels === mostLevels || itemLg2(format, levels) >= vaBits) return "ERANGE";

  const added: PhysAddr[] = [];
  let root = domain.root;
  for (let at = domain.levels; at < levels; at++) {
    const pa = store.allocate(2 ** format.granuleLg2, at);
    if (pa === undefined) {
      for (const table of added) store.free(table, 2 ** format.granuleLg2);
      return "ENOMEM";
    }
    added.push(pa);
    const node = { frame: frameOf(pa), level: at, entries: entriesOf(format) };
    writeEntry(domain, node, 0, format.tableWord(frameOf(root), at));
    root = pa;
  }
  domain.root = root;
  domain.levels = levels;
  return undefined;
}

/**
 * How many of `count` leaves of `slots` entries each can be written from `index` on: up to the first that something is in
 * the way of. Tables without leaves are none: they are removed.
 */
function freeLeaves(domain: Domain, node: Node, index: number, count: number, slots: number): number {
  const words = readEntries(domain, node, index, count * slots);
  for (let leaf = 0; leaf < count; leaf++) {
    const tables: { readonly index: number; readonly child: Node }[] = [];
    for (let i = leaf * slots; i < (leaf + 1) * slots; i++) {
      const lo = words[2 * i]!;
      const hi = words[2 * i + 1]!;
      const kind = kindOf(domain, lo, hi, node.level);
      if (kind === EMPTY) continue;
      if (kind !== TABLE) return leaf;
      const child = childOf(domain, node, lo, hi);
      if (hasLeaf(domain, child)) return leaf;
      tables.push({ index: index + i, child });
    }
    for (const { index: at, child } of tables) {
      writeEntry(domain, node, at, 0n);
      freeTables(domain, child);
    }
  }
  return count;
}

function hasLeaf(domain: Domain, node: Node): boolean {
  const words = readEntries(domain, node, 0, node.entries);
  for (let i = 0; i < node.entries; i++) {
    const lo = words[2 * i]!;
    const hi = words[2 * i + 1]!;
    const kind = kindOf(domain, lo, hi, node.level);
    if (kind === LEAF || (kind === TABLE && hasLeaf(domain, childOf(domain, node, lo, hi)))) return true;
  }
  return false;
}

/**
 * Unmaps from `iova` on, slot by slot, up to the end of the range or the first slot that nothing is in. A leaf goes as a whole
 * where the range begins with it.
 * @returns frames that were unmapped, which can be more than were asked for
 */
export function unmapGeneric(domain: Domain, iova: number, frames: number): number {
  if (!covers(domain, iova, frames)) return 0;
  const from = canonical(domain, iova);
  const top = topNode(domain);
  const reach = top.entries * itemFrames(domain.format, top.level);
  if (from >= reach) return 0;
  let unmapped = 0;
  /** Unmaps what of the range is in a table; false where it has to end. `base` is the input frame of its first entry. */
  const within = (node: Node, base: number, start: number, end: number): boolean => {
    const items = itemFrames(domain.format, node.level);
    const words = readEntries(domain, node, 0, node.entries);
    for (let at = start; at < end; ) {
      const index = Math.floor((at - base) / items);
      const slot = base + index * items;
      const lo = words[2 * index]!;
      const hi = words[2 * index + 1]!;
      const kind = kindOf(domain, lo, hi, node.level);
      if (kind === TABLE) {
        const child = childOf(domain, node, lo, hi);
        if (!within(child, slot, at, Math.min(end, slot + items))) return false;
        if (at === slot && end >= slot + items) {
          writeEntry(domain, node, index, 0n);
          freeTables(domain, child);
        }
        at = slot + items;
        continue;
      }
      if (kind !== LEAF) return false;
      const size = 2 ** (domain.format.leafLg2(lo, hi, node.level) - frameLg2);
      if (at % size !== 0) return false;
      const slots = size / items;
      writeEntries(domain, node, index, new Int32Array(2 * slots));
      words.fill(0, 2 * index, 2 * (index + slots));
      unmapped += size;
      at += size;
    }
    return true;
  };
  within(top, 0, from, Math.min(from + frames, reach));
  return unmapped;
}
