import type { PhysAddr } from "../../src/memory/index.js";

/** Name of LUO's subtree. include/linux/kho/abi/luo.h, since 6.19. */
export const LUO_KHO_ENTRY_NAME = "LUO";

/** Property of the root of the tree of `luo-v1`: how many kernels there are in the chain. include/linux/kho/abi/luo.h */
export const LUO_FDT_LIVEUPDATE_NUM = "liveupdate-number";
/** Node of the sessions in the tree of `luo-v1`. Its version string is v2, whatever the kernel's comment says. */
export const LUO_FDT_SESSION_NODE_NAME = "luo-session";
export const LUO_FDT_SESSION_COMPATIBLE = "luo-session-v2";
/** Property with the session area's physical address. */
export const LUO_FDT_SESSION_HEADER = "luo-session-header";
/** Node of the FLBs in the tree of `luo-v1`; 6.19 has none. */
export const LUO_FDT_FLB_NODE_NAME = "luo-flb";
export const LUO_FDT_FLB_COMPATIBLE = "luo-flb-v1";
/** Property with the FLB page's physical address. */
export const LUO_FDT_FLB_HEADER = "luo-flb-header";
/** Property of the trees of `luo-v2` to `luo-v4`, which development kernels wrote: the address of a structure. */
export const LUO_FDT_ABI_HEADER = "luo-abi-header";

/** A preserved file as LUO knows it; what `data` means is up to the handler that `compatible` names. */
export interface LuoFile {
  readonly compatible: string;
  readonly data: bigint;
  /** Chosen by user space, unique within the session, any u64. */
  readonly token: bigint;
  /** Physical address of the record. */
  readonly pa: PhysAddr;
}

/** A session: its name as user space asks for it, and its files in the order they were preserved. */
export interface LuoSession<F extends LuoFile = LuoFile> {
  /** At most 63 bytes of any character set. */
  readonly name: string;
  readonly files: readonly F[];
  readonly pa: PhysAddr;
}

/** A file-lifecycle-bound object. `data` is opaque; `count` its references when it was serialized. */
export interface LuoFlb {
  readonly name: string;
  readonly data: bigint;
  readonly count: bigint;
  readonly pa: PhysAddr;
}

/** Live-update state. Sessions are in the order they were created. */
export interface Luo<F extends LuoFile = LuoFile> {
  /** `luo-v5`, as found. */
  readonly compatible: string;
  /** Kernels with LUO in the unbroken chain, the writer included. */
  readonly liveupdateNumber: bigint;
  readonly sessions: readonly LuoSession<F>[];
  readonly flbs: readonly LuoFlb[];
}
