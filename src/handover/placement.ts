import type { Claim } from "../../formats/claims.js";
import { planBitmapMap } from "../../formats/kho/map-bitmaps-encode.js";
import { radixShape } from "../../formats/kho/map-radix.js";
import { planRadixMap } from "../../formats/kho/map-radix-encode.js";
import type { PreservedMemory } from "../../formats/kho/preserved.js";
import { endOf, newRuns, type Runs, type RunsBuilder } from "../../formats/kho/runs.js";
import { rootOf, type Skeleton } from "../../formats/kho/skeleton.js";
import type { VmallocBlocks } from "../../formats/kho/vmalloc-encode.js";
import { khoTestFoliosPath } from "../../formats/paths.js";
import type { Abi } from "../layout/index.js";
import { firstNot, type PhysAddr, pfnOf, physAddr } from "../memory/index.js";
import { mergedRanges } from "../memory/ranges.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";

/**
 * Where the structures of a handover go. Structures have the paths that decoding gives them: `luo.sessions.blocks[0]`,
 * `luo.sessions[2].files[0].memfd.folios`. Made by {@link placedAs} or {@link placedBy}.
 */
export interface Placement {
  /**
   * A preserved block of `2 ** order` pages for a structure. `now` is where the handover itself says that it lies.
   * @throws KhoError `not-found` if nothing tells its place
   */
  block(path: string, order: number, now?: PhysAddr): PhysAddr;
  /** True if there is a structure although it has nothing in it; `usual` says whether kernels would make it. */
  keeps(path: string, usual: boolean): boolean;
  /** The pages of a vmalloc area that has room for `length` bytes, of which there is at least one. */
  area(path: string, length: number, abi: Abi): VmallocBlocks;
  /** Room for `length` bytes that are not preserved: the boot loader's part of the hand-off. */
  boot(path: string, length: number, now: PhysAddr, abi: Abi): PhysAddr;
  /**
   * Told where a record came to lie, and where the handover has it.
   * @throws KhoError `value-range` if it has to be the same place and is not
   */
  settle(path: string, pa: PhysAddr, now: PhysAddr): void;
  /** The memory map for what was placed, asked for last. */
  map(preserved: PreservedMemory, abi: Abi): Pick<PreservedMemory, "rootPa" | "runs" | "skeleton">;
}

/**
 * Everything where it is: for a handover and the `structures` that were decoded with it. Values may have been changed
 * since, but nothing that needs another place: no more sessions, files, folios or preserved blocks.
 */
export function placedAs(structures: readonly Claim[]): Placement {
  const byPath = new Map<string, Claim[]>();
  for (const claim of structures) {
    const known = byPath.get(claim.path);
    if (known) known.push(claim);
    else byPath.set(claim.path, [claim]);
  }
  const unknown = (path: string): KhoError =>
    new KhoError("not-found", `nothing tells where ${path} lies`, { path });
  return {
    block(path, _order, now) {
      // An address of 0 is how everything says that it has none.
      if (now) return now;
      const claim = byPath.get(path)?.[0];
      if (!claim) throw unknown(path);
      return claim.pa;
    },
    keeps: (path) => byPath.has(path),
    area(path, _length, { pageSize }) {
      const claims = byPath.get(path);
      if (!claims) throw unknown(path);
      const { keeping } = claims[0]!;
      const order = typeof keeping === "number" ? keeping : 0;
      const pfns: number[] = [];
      for (const { pa, pages } of claims)
        for (let page = 0; page < pages; page += 2 ** order) pfns.push(pfnOf(pa, pageSize) + page);
      return { pfns, order };
    },
    boot: (_path, _length, now) => now,
    settle(path, pa, now) {
      if (pa === now) return;
      throw new KhoError("value-range", `${path} is at ${hex(now)}, where no kernel would write it`, {
        path,
        pa: now,
        expected: hex(pa),
        actual: hex(now),
      });
    },
    map: (preserved) => preserved,
  };
}

/** Gives the address of a block of `2 ** order` pages, aligned to its size, that is in use for nothing else. */
export type Allocate = (order: number, path: string) => PhysAddr;

/**
 * Everything in new places. What files and regions hold stays where it is, and so do scratch areas.
 *
 * The new memory map is made from the old one: it keeps the blocks that are data, which are all but those that one of
 * the `structures` of the old place has a part in, and every new structure. So `structures` are those that were decoded
 * with the handover; without them the old structures' blocks stay preserved. It has no empty bitmaps and leaves, and
 * lies, not preserved itself, where `allocate` says under the path `preserved`; so do, unless nothing handed them
 * over before, `handoff`, the x86 record, and `scratch`, the array of the scratch areas.
 */
export function placedBy(allocate: Allocate, structures: readonly Claim[] = []): Placement {
  /** Blocks of what was placed, by address as they have no page size yet. */
  const placed: { readonly pa: PhysAddr; readonly order: number }[] = [];
  const block = (path: string, order: number): PhysAddr => {
    const pa = allocate(order, path);
    placed.push({ pa, order });
    return pa;
  };
  return {
    block,
    keeps: (_path, usual) => usual,
    area: (path, length, { pageSize }) => ({
      pfns: Array.from({ length: Math.ceil(length / pageSize) }, () => pfnOf(block(path, 0), pageSize)),
      order: 0,
    }),
    boot: (path, length, _now, { pageSize }) => allocate(orderFor(length, pageSize), path),
    settle() {},
    map(preserved, abi) {
      const runs = newRuns();
      addData(runs, preserved.runs, structures, abi);
      for (const { pa, order } of placed) runs.push(order, pfnOf(pa, abi.pageSize), 1);
      const finished = runs.finish();
      const skeleton = planMap(preserved, finished, abi, () => allocate(0, "preserved"));
      return { rootPa: rootOf(skeleton, abi), runs: finished, skeleton };
    },
  };
}

/** The order of the smallest block of pages that holds `length` bytes. */
export function orderFor(length: number, pageSize: number): number {
  let order = 0;
  while (pageSize * 2 ** order < length) order++;
  return order;
}

/** The smallest map of the kind that there was. */
function planMap({ kind, skeleton }: PreservedMemory, runs: Runs, abi: Abi, page: () => PhysAddr): Skeleton {
  if (kind === "radix") {
    const early = skeleton.kind === "radix" && skeleton.early;
    return planRadixMap(runs, radixShape(abi, early), abi, page);
  }
  if (kind === "bitmap-page") return planBitmapMap(runs, "page", abi, page);
  // Small bitmaps share pages.
  const size = 512;
  let next = 0n;
  let left = 0;
  return planBitmapMap(runs, size, abi, (what) => {
    if (what === "chunk") return page();
    if (left === 0) {
      next = page();
      left = abi.pageSize / size;
    }
    left--;
    const pa = physAddr(next);
    next += BigInt(size);
    return pa;
  });
}

/** Adds the blocks of `runs` that no structure has a part in: what is contents. */
export function addData(to: RunsBuilder, runs: Runs, structures: readonly Claim[], { pageSize }: Abi): void {
  const taken = mergedRanges(
    structures
      .filter(({ keeping, path }) => keeping !== "not-preserved" && path !== khoTestFoliosPath)
      .map(({ pa, pages }) => ({ pa, size: BigInt(pages) * BigInt(pageSize) })),
  ).map(({ pa, size }) => ({ from: pfnOf(pa, pageSize), to: Number((pa + size) / BigInt(pageSize)) }));
  for (let i = 0; i < runs.length; i++) {
    const order = runs.order[i]!;
    const start = runs.pfn[i]!;
    const add = (from: number, until: number): void => {
      if (from < until) to.push(order, start + from * 2 ** order, until - from);
    };
    /** Blocks of the run that are dealt with. */
    let done = 0;
    let t = firstNot(0, taken.length, (k) => taken[k]!.to <= start);
    for (; t < taken.length && taken[t]!.from < endOf(runs, i); t++) {
      add(done, Math.floor((taken[t]!.from - start) / 2 ** order));
      done = Math.max(done, Math.ceil((taken[t]!.to - start) / 2 ** order));
    }
    add(done, runs.count[i]!);
  }
}
