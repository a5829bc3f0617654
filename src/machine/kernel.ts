import type { Kernel } from "../../formats/kernels.js";
import type { Abi } from "../layout/index.js";
import type { Pfn, PhysAddr } from "../memory/index.js";
import type { Faults } from "./faults.js";
import type { Kho } from "./kho/types.js";
import type { PageAllocator } from "./pages.js";
import type { Ram } from "./ram.js";

/** What kernel code of a simulated machine works with: handlers and FLBs get it, and nothing else is shared. */
export interface KernelCore {
  /** The release as `uname -r` prints it, `7.3.4`. */
  readonly release: string;
  /** The formats of that release. */
  readonly kernel: Kernel;
  readonly abi: Abi;
  readonly ram: Ram;
  readonly pages: PageAllocator;
  readonly kho: Kho;
  readonly faults: Faults;
  /** Adds a line to the kernel's log. */
  log(line: string): void;
}

/** An inode: what open files of it share. */
export interface Inode {
  /** `memfd`, or what a user's own kind of file calls itself. */
  readonly type: string;
  /** Open files of it. */
  opens: number;
  /** Called when its last open file is gone: gives back all that it holds. */
  release(): void;
}

/** An open file, the kernel's `struct file`: descriptors and live update hold references. See {@link openFile}. */
export interface File<I extends Inode = Inode> {
  readonly inode: I;
  /** Position in bytes. */
  pos: bigint;
  /** References; at 0 the file is gone. */
  refs: number;
}

/** A preserved file as its handler sees it. */
export interface Preserved<State = unknown> {
  /** What is handed over: a physical address, or any u64 that the handler likes. */
  readonly data: bigint;
  /** What the handler keeps for itself as long as the file is preserved; never crosses the kexec. */
  readonly state: State;
}

/** The session that a file is about to be preserved in. */
export interface SessionFiles {
  /** True if the inode of this file is preserved there already. */
  has(file: File): boolean;
}

/** How an incoming file fared: never tried, retrieved, or refused with an errno. */
export type RetrieveStatus = "untried" | "retrieved" | "failed";

/**
 * Kernel code for one type of file. Callbacks refuse by throwing a {@link refusal}. Required are those that the kernel
 * requires, too.
 */
export interface FileHandler<State = unknown> {
  /** At most 47 bytes: `memfd-v2`. */
  readonly compatible: string;
  canPreserve(file: File, core: KernelCore): boolean;
  preserve(file: File, core: KernelCore, session: SessionFiles): Preserved<State>;
  unpreserve(file: File, preserved: Preserved<State>, core: KernelCore): void;
  /** Last change before the jump; returns the data to hand over, which may be another one. */
  freeze?(file: File, preserved: Preserved<State>, core: KernelCore): bigint;
  unfreeze?(file: File, preserved: Preserved<State>, core: KernelCore): void;
  /** Builds the file from what the previous kernel left. */
  retrieve(data: bigint, core: KernelCore): File;
  canFinish?(data: bigint, status: RetrieveStatus, core: KernelCore): boolean;
  /** Gives back what is left of the data; an untried file is lost then. */
  finish(data: bigint, status: RetrieveStatus, core: KernelCore): void;
  /** What makes two open files the same for live update; the open file itself unless given. */
  getId?(file: File): unknown;
}

/** State that all files of some handlers share: a file-lifecycle-bound object. */
export interface Flb<Obj = unknown> {
  /** At most 47 bytes. */
  readonly name: string;
  preserve(core: KernelCore): { readonly data: bigint; readonly object: Obj };
  unpreserve(data: bigint, object: Obj, core: KernelCore): void;
  retrieve(data: bigint, core: KernelCore): Obj;
  finish(data: bigint, object: Obj, core: KernelCore): void;
}

/** Opens an inode: a file with one reference and position 0. */
export function openFile<I extends Inode>(inode: I): File<I> {
  inode.opens++;
  return { inode, pos: 0n, refs: 1 };
}

/** One more reference on an open file. */
export function getFile<F extends File>(file: F): F {
  file.refs++;
  return file;
}

/** One reference less. */
export function putFile(file: File): void {
  if (--file.refs === 0 && --file.inode.opens === 0) file.inode.release();
}

/** The first byte of a page. */
export const paOf = (pfn: number, { pageSize }: Abi): PhysAddr =>
  (BigInt(pfn) * BigInt(pageSize)) as PhysAddr;
/** The page of an address. */
export const pageOf = (pa: bigint, { pageSize }: Abi): Pfn => Number(pa / BigInt(pageSize)) as Pfn;
