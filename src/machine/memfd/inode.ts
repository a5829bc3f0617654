import { MEMFD_LUO_ALL_SEALS, seals as sealBits } from "../../../formats/memfd/layout.js";
import { pageShift } from "../../layout/index.js";
import { KhoError } from "../../report/error.js";
import { refusal } from "../errno.js";
import { type File, type Inode, type KernelCore, openFile } from "../kernel.js";
import { type FolioTable, newFolioTable, UPTODATE } from "./folios.js";
import { newPins, type Pins } from "./pins.js";

/** An inode of the kernel's shared memory. */
export interface MemfdInode extends Inode {
  readonly type: "memfd";
  /** What it is to live update: only a `memfd`, not one of `hugetlb` pages, and not a file that is still `linked`. */
  readonly kind: "memfd" | "hugetlb" | "linked";
  readonly name: string;
  /** Who its pages belong to, as the page allocator lists them. */
  readonly owner: string;
  /** Bytes; below 2^63, and negative only if a damaged handover said so. */
  size: bigint;
  /** F_SEAL_* bits. */
  seals: number;
  /** Has mode bits for execution, which F_SEAL_EXEC looks at. */
  readonly executable: boolean;
  /** Folios of the file have this order where size, alignment and memory allow. 0 to 9 in kernels with 4K pages. */
  readonly folioOrder: number;
  /** NUMA node that pages are taken from while it has some. */
  readonly node: number | undefined;
  readonly folios: FolioTable;
  /** Preserved: it neither grows nor shrinks, and no fallocate changes it. */
  frozenMapping: boolean;
  /** How often pages of it are pinned. */
  pins: number;
  /** Those that are pinned for devices. */
  readonly pinned: Pins;
  /** Shared mappings that can be written through. */
  writableMappings: number;
  readonly core: KernelCore;
}

/** An open memfd. */
export type MemfdFile = File<MemfdInode>;

/** True for an open file of shared memory. */
export const isMemfdFile = (file: File): file is MemfdFile => file.inode.type === "memfd";

/** Largest size and position of a file, MAX_LFS_FILESIZE. */
export const maxFileSize = (1n << 63n) - 1n;

/** What memfd_create and the calls right behind it are given. */
export interface MemfdOptions {
  /** Bytes, 0 to 2^63 - 1; default 0. All of it is a hole. */
  readonly size?: bigint | number;
  /** F_SEAL_* bits that are added once the size is set. Implies `allowSealing`. */
  readonly seals?: number;
  /** MFD_ALLOW_SEALING; without it the file has F_SEAL_SEAL. */
  readonly allowSealing?: boolean;
  /** Default true; false is MFD_NOEXEC_SEAL, which adds F_SEAL_EXEC and allows sealing. */
  readonly executable?: boolean;
  /** MFD_HUGETLB, which live update does not preserve. */
  readonly huge?: "hugetlb";
  /** A file of a tmpfs that still has a name, which live update does not preserve. */
  readonly linked?: boolean;
  /** See {@link MemfdInode.folioOrder}; default 0. */
  readonly folioOrder?: number;
  readonly node?: number;
  readonly name?: string;
}

/** Makes a file of shared memory, with seals that are set, not asked for: those of creation, or of a retrieved file. */
export function newInode(
  core: KernelCore,
  { name = "", folioOrder = 0, node, huge, linked, executable = true }: MemfdOptions,
  seals: number,
): MemfdInode {
  if (!Number.isInteger(folioOrder) || folioOrder < 0 || folioOrder > core.pages.largestOrder)
    throw new KhoError("machine-misuse", `no folio has order ${folioOrder}`, {
      expected: `0 to ${core.pages.largestOrder}`,
      actual: String(folioOrder),
    });
  const inode: MemfdInode = {
    type: "memfd",
    kind: huge ?? (linked ? "linked" : "memfd"),
    name,
    owner: name === "" ? "memfd" : `memfd ${name}`,
    size: 0n,
    seals,
    executable,
    folioOrder,
    node,
    folios: newFolioTable(),
    frozenMapping: false,
    pins: 0,
    pinned: newPins(core.pages),
    writableMappings: 0,
    core,
    opens: 0,
    release: () => dropPages(inode, 0, Number.POSITIVE_INFINITY),
  };
  return inode;
}

/**
 * memfd_create: opens a new file.
 * @throws KhoError `refused` as ftruncate is; `machine-misuse` for an order that no folio has
 */
export function newMemfd(core: KernelCore, options: MemfdOptions = {}): MemfdFile {
  const { seals, executable = true, linked = false } = options;
  const allowSealing = !linked && (options.allowSealing || seals !== undefined || !executable);
  const size = BigInt(options.size ?? 0);
  if (size < 0n || size > maxFileSize)
    throw refusal(size < 0n ? "EINVAL" : "EFBIG", `no file has ${size} bytes`);
  const initial = (allowSealing ? 0 : sealBits.F_SEAL_SEAL) | (executable ? 0 : sealBits.F_SEAL_EXEC);
  const inode = newInode(core, options, initial);
  inode.size = size;
  if (seals !== undefined) addSealsTo(inode, seals);
  return openFile(inode);
}

const { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC } = sealBits;

/**
 * Adds seals as F_ADD_SEALS does. @throws KhoError `refused`: EINVAL for unknown seals, EPERM if no more are allowed,
 * EBUSY if the file can be written to past the call: it has a writable mapping, or its pages are pinned
 */
export function addSealsTo(inode: MemfdInode, seals: number): void {
  if ((seals & ~MEMFD_LUO_ALL_SEALS) !== 0) throw refusal("EINVAL", "there are no such seals");
  if (inode.seals & F_SEAL_SEAL) throw refusal("EPERM", "no more seals are allowed");
  if (seals & F_SEAL_WRITE && !(inode.seals & F_SEAL_WRITE)) {
    if (inode.writableMappings > 0)
      throw refusal("EBUSY", "the file is mapped and can be written through that");
    if (inode.pins > 0) throw refusal("EBUSY", "pages of the file are pinned");
  }
  // Who may execute the file gets it as it will stay.
  const implied =
    seals & F_SEAL_EXEC && inode.executable
      ? F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
      : 0;
  inode.seals |= seals | implied;
}

/** Pages that a size in bytes has, the last one perhaps in part. Exact: at most 2^51. */
export const pagesOfSize = (size: bigint, { core: { abi } }: MemfdInode): number =>
  size <= 0n ? 0 : Number((size - 1n) >> BigInt(pageShift(abi))) + 1;

/**
 * Gives every page of `[from, to)` a folio that has none; returns the first page left without, `to` if none is.
 * `limit` is the page that large folios may not reach beyond: the end of the file once the call is through.
 * New folios read as zeros and have `flags`. `what` is what fault injection is asked about.
 */
export function populate(
  inode: MemfdInode,
  { from, to, limit }: { from: number; to: number; limit: number },
  flags: number,
  what: string,
): number {
  const { core, folios } = inode;
  const gaps = folios.gaps(from, to);
  for (let i = 0; i < gaps.length; i += 2) {
    const end = gaps[i + 1]!;
    let start = gaps[i]!;
    for (let page = Math.max(start, from); page < Math.min(end, to); page = start) {
      const order = addFolio(page, start, Math.min(end, limit));
      if (order < 0) return page;
      start = page - (page % 2 ** order) + 2 ** order;
    }
  }
  return to;

  /** Adds the largest folio for `page` that is aligned, within `[low, high)` and to be had; its order, or -1. */
  function addFolio(page: number, low: number, high: number): number {
    for (let order = inode.folioOrder; order >= 0; order--) {
      const index = page - (page % 2 ** order);
      if (order > 0 && (index < low || index + 2 ** order > high)) continue;
      if (core.faults.allocation?.(what, order)) continue;
      const pfn = allocate(order);
      if (pfn === undefined) continue;
      if ((flags & UPTODATE) !== 0) core.ram.zero(pfn, 2 ** order);
      folios.insert(index, pfn, order, flags);
      return order;
    }
    return -1;
  }
  function allocate(order: number): number | undefined {
    const near = inode.node === undefined ? undefined : core.pages.allocate(order, inode.owner, inode.node);
    return near ?? core.pages.allocate(order, inode.owner);
  }
}

/** Gives back the pages `[from, to)`, unless devices use them. A folio that reaches beyond is split, as far as that takes. */
export function dropPages({ core, folios, owner, pinned }: MemfdInode, from: number, to: number): void {
  folios.remove(from, to, (index, pfn, order, flags) => {
    const end = index + 2 ** order;
    const [first, behind] = [Math.max(index, from), Math.min(end, to)];
    pinned.release(pfn + first - index, behind - first);
    if (behind - first === 2 ** order) return;
    keep(index, first);
    keep(behind, end);
    function keep(low: number, high: number): void {
      for (let at = low; at < high; ) {
        let piece = 0;
        while (at % 2 ** (piece + 1) === 0 && at + 2 ** (piece + 1) <= high) piece++;
        core.pages.recut(pfn + at - index, 2 ** piece, owner);
        folios.insert(at, pfn + at - index, piece, flags);
        at += 2 ** piece;
      }
    }
  });
}
