/** Every page is free, received or in use exactly once, and somebody is known to use it. */
import { expect } from "vitest";
import type { MemfdFile } from "../../../src/machine/index.js";
import { perBlock } from "./luo.js";
import { since } from "./releases.js";
import { hasLuo, inodesOf, type Model, type ModelInode } from "./state.js";
import { region, type World } from "./world.js";

/** Pages of the memory map itself, which grows and does not shrink. */
export const mapOwners = ["radix node", "kho bitmap", "kho map"];

/** Holdings and vacancies are all RAM, without gaps and overlaps. */
export function checkPartition({ machine: { core, hardware } }: World): void {
  const { pageSize } = core.abi;
  const pieces = [...core.pages.holdings(), ...core.pages.vacancies()].sort((a, b) => a.pfn - b.pfn);
  const merged: [number, number][] = [];
  for (const { pfn, pages } of pieces) {
    const last = merged.at(-1);
    if (last && last[1] > pfn) throw new Error(`page ${pfn} is listed twice`);
    if (last?.[1] === pfn) last[1] += pages;
    else merged.push([pfn, pfn + pages]);
  }
  const banks = hardware.banks.map(({ pa, size }) => [
    Number(pa) / pageSize,
    Math.floor(Number(pa + size) / pageSize),
  ]);
  expect(merged).toEqual(banks);
}

/** Owners by what they are for: those of single memfds and of the driver's items together. */
function kindOf(owner: string): string {
  const memfd = /^memfd.*?( header| folio list chunk| folio list)?$/.exec(owner);
  if (memfd) return `memfd${memfd[1] ?? ""}`;
  return /^driver (?!area chunk)/.test(owner) ? "driver" : owner;
}

export function pagesByOwner({ machine: { core } }: World): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { owner, pages } of core.pages.holdings())
    sums.set(kindOf(owner), (sums.get(kindOf(owner)) ?? 0) + pages);
  return sums;
}

/** Folios of a memfd below a page, and the pages of these. */
export function foliosOf({ folios }: MemfdFile["inode"], end = Number.MAX_SAFE_INTEGER) {
  const found = { folios: 0, pages: 0 };
  folios.each(0, end, (_index, _pfn, order) => {
    found.folios++;
    found.pages += 2 ** order;
  });
  return found;
}

/** Pages of all that is to be in use, by owner; what has none is not in it. */
export function expectedPages(model: Model, world: World): Map<string, number> {
  const { release, pageSize } = model;
  const { machine, memfds } = world;
  const sums = new Map<string, number>(world.base);
  const add = (owner: string, pages: number): void => {
    if (pages > 0) sums.set(owner, (sums.get(owner) ?? 0) + pages);
  };
  const luo = hasLuo(model);
  const areas = luo && !since(release, "7.2.13");
  for (const { size } of machine.scratch) add("scratch", Number(size) / pageSize);
  add("memblock fdt", 1);
  add(`reserve_mem ${region.name}`, region.pages);
  add("kho root", since(release, "6.19.10") || model.finalized ? 1 : 0);
  add("luo root", luo ? 1 : 0);
  add("luo session area", areas ? 16 : 0);
  add("luo flb page", since(release, "7.0") ? 1 : 0);
  add("kexec-metadata", since(release, "7.1.13") ? 1 : 0);
  for (const pages of model.received.values()) add("received", pages);

  add("luo session block", model.sessionBlocks);
  for (const { files } of model.outgoing) {
    if (areas) add("luo file area", files.length > 0 ? 2 : 0);
    else add("luo file block", Math.ceil(files.length / perBlock(model, "file")));
    for (const { file } of files) {
      const { inode } = file!;
      if (inode.type !== "memfd") {
        add("toy", 2 ** inode.order);
        continue;
      }
      add("memfd header", 1);
      if (inode.size === 0n) continue;
      const end = Number((inode.size - 1n) / BigInt(pageSize)) + 1;
      const list = Math.ceil((foliosOf(memfds.get(inode)!, end).folios * 16) / pageSize);
      add("memfd folio list", list);
      add("memfd folio list chunk", Math.floor(list / (pageSize / 8 - 1)) + 1);
    }
  }
  for (const { files } of model.incoming)
    for (const { status, saved } of files)
      if (status === "retrieved" && saved!.trait === "stubborn") add("toy in", 2 ** saved!.order);
  for (const inode of inodesOf(model)) add("memfd", pagesOfMemfd(inode, memfds));
  for (const { name, count, incoming } of model.flbs) {
    add(`flb ${name}`, count > 0 ? 1 : 0);
    add(`flb ${name} in`, incoming.retrieved && !incoming.finished ? 1 : 0);
  }
  for (const { kind, blocks, preserved } of model.items) {
    for (const { order } of blocks) add("driver", 2 ** order);
    if (kind === "area" && preserved)
      add("driver area chunk", Math.floor(blocks.length / (pageSize / 8 - 1)) + 1);
  }
  return sums;
}

function pagesOfMemfd(inode: ModelInode, memfds: World["memfds"]): number {
  if (!["memfd", "hugetlb", "linked"].includes(inode.type)) return 0;
  const real = memfds.get(inode);
  // A file that was retrieved and has had no descriptor yet is as it was handed over.
  return real ? foliosOf(real).pages : (inode.folioPages ?? 0);
}

/** Nothing is held that nobody needs. */
export function checkOwners(model: Model, world: World): void {
  const actual = pagesByOwner(world);
  // Nodes and bitmaps stay for as long as the kernel does.
  const map = mapOwners.slice(0, 2).reduce((sum, owner) => sum + (actual.get(owner) ?? 0), 0);
  if (since(model.release, "6.19.10")) expect(map).toBeGreaterThanOrEqual(world.mapPages);
  world.mapPages = map;
  for (const owner of mapOwners) actual.delete(owner);
  const byName = (sums: Map<string, number>) => [...sums].sort(([a], [b]) => (a < b ? -1 : 1));
  expect(byName(actual)).toEqual(byName(expectedPages(model, world)));
}
