/** Handlers and FLBs of one's own, whose state is a structure in a preserved page: the layout is all that is needed. */
import { type Abi, decode, encode, type Struct, sizeOf, type ValueOf } from "../layout/index.js";
import { physAddr } from "../memory/index.js";
import { hex } from "../report/hex.js";
import { refusal } from "./errno.js";
import {
  type File,
  type FileHandler,
  type Flb,
  type Inode,
  type KernelCore,
  openFile,
  pageOf,
} from "./kernel.js";

/** A type of file that is handed over as one structure. */
export interface StructFile<L extends Struct, I extends Inode> {
  /** Name and version of the format, at most 47 bytes: `counter-v1`. */
  readonly compatible: string;
  readonly layout: L;
  /** True for inodes of this type. */
  is(inode: Inode): inode is I;
  /** What to hand over: asked when the file is preserved, and again right before the jump. */
  save(inode: I, core: KernelCore): ValueOf<L>;
  /** Builds the inode anew. Refuse with a {@link refusal} what cannot be right. */
  load(value: ValueOf<L>, core: KernelCore): I;
}

/** State shared by the files of some handlers, handed over as one structure. */
export interface StructFlb<L extends Struct, Obj> {
  /** At most 47 bytes. */
  readonly name: string;
  readonly layout: L;
  /** Makes the object when the first file is preserved. */
  create(core: KernelCore): Obj;
  /** What to hand over: asked once, when the object has just been made. */
  save(object: Obj): ValueOf<L>;
  load(value: ValueOf<L>, core: KernelCore): Obj;
  /** Told when the last file is gone, or finished. */
  drop?(object: Obj, core: KernelCore): void;
}

/** A handler for files whose state is a structure. It lies in pages of its own, whose address is the file's data. */
export function structHandler<L extends Struct, I extends Inode>(type: StructFile<L, I>): FileHandler {
  const { compatible, layout } = type;
  const store = inPages(compatible, layout);
  const inodeOf = (file: File): I => file.inode as I;
  return {
    compatible,
    canPreserve: (file) => type.is(file.inode),
    preserve: (file, core) => ({ data: store.write(type.save(inodeOf(file), core), core), state: undefined }),
    unpreserve: (_, { data }, core) => store.discard(data, core),
    freeze(file, { data }, core) {
      store.rewrite(data, type.save(inodeOf(file), core), core);
      return data;
    },
    retrieve: (data, core) => openFile(type.load(store.take(data, core), core)),
    finish(data, status, core) {
      if (status === "untried") store.drop(data, core);
    },
    getId: (file) => file.inode,
  };
}

/** An FLB whose state is a structure. */
export function structFlb<L extends Struct, Obj>(type: StructFlb<L, Obj>): Flb<Obj> {
  const store = inPages(type.name, type.layout);
  return {
    name: type.name,
    preserve(core) {
      const object = type.create(core);
      return { data: store.write(type.save(object), core), object };
    },
    unpreserve(data, object, core) {
      store.discard(data, core);
      type.drop?.(object, core);
    },
    retrieve: (data, core) => type.load(store.take(data, core), core),
    finish: (_, object, core) => type.drop?.(object, core),
  };
}

/** Structures in preserved pages of their own. */
function inPages<L extends Struct>(what: string, layout: L) {
  const size = (abi: Abi): number => sizeOf(layout, abi);
  /** Takes over the pages that the previous kernel put a structure into; undefined if it did not. */
  const restore = (data: bigint, { kho, abi }: KernelCore): { pfn: number; order: number } | undefined => {
    const pfn = pageOf(data, abi);
    const order = data % BigInt(abi.pageSize) === 0n ? kho.restoreFolio(pfn, what) : -1;
    return order < 0 ? undefined : { pfn, order };
  };
  return {
    rewrite(data: bigint, value: ValueOf<L>, { ram, abi }: KernelCore): void {
      ram.write(physAddr(data), encode(layout, value, abi));
    },
    write(value: ValueOf<L>, { kho, ram, abi }: KernelCore): bigint {
      const bytes = encode(layout, value, abi);
      const pa = kho.allocPreserve(size(abi), what);
      ram.write(pa, bytes);
      return pa;
    },
    discard(data: bigint, { kho, abi }: KernelCore): void {
      kho.unpreserveFree(physAddr(data), size(abi));
    },
    /** Reads what the previous kernel wrote and frees its pages. */
    take(data: bigint, core: KernelCore): ValueOf<L> {
      const { ram, pages, abi } = core;
      const block = restore(data, core);
      const fits = block && 2 ** block.order * abi.pageSize >= size(abi);
      const value = fits && decode(layout, ram.read(physAddr(data), size(abi)).slice(), 0, abi);
      if (block) pages.free(block.pfn, block.order);
      if (!value) throw refusal("EINVAL", `no block of ${what} was preserved at ${hex(data)}`);
      return value;
    },
    /** Frees what nobody has asked for. */
    drop(data: bigint, core: KernelCore): void {
      const block = restore(data, core);
      if (block) core.pages.free(block.pfn, block.order);
      else core.log(`WARNING: no block of ${what} was preserved at ${hex(data)}`);
    },
  };
}
