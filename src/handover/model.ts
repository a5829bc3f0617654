import type { KexecMetadata } from "../../formats/kho/metadata.js";
import type { PreservedMemory } from "../../formats/kho/preserved.js";
import type { KhoTest } from "../../formats/kho/test-module.js";
import type { Luo, LuoFile, LuoFlb, LuoSession } from "../../formats/luo/luo.js";
import type { ReserveMem } from "../../formats/memblock/memblock.js";
import type { Memfd } from "../../formats/memfd/memfd.js";
import type { MemoryRange, PhysAddr } from "../memory/index.js";
import type { SystemdMapping } from "./systemd.js";

/** How the root tree was found. */
export type FoundBy = "setup_data" | "chosen" | "argument" | "scan" | "debugfs";

/** Where the handover begins. */
export interface Handoff {
  readonly foundBy: FoundBy;
  /** Physical address of the x86 hand-off record; 0 if there is none. */
  readonly recordPa: PhysAddr;
  /** Physical address of the root tree; 0 where only its bytes are known. */
  readonly fdtPa: PhysAddr;
  /** Bytes as handed off, a page; 0 if unknown. Not the tree's totalsize. */
  readonly fdtSize: bigint;
  readonly scratchPa: PhysAddr;
  /** Bytes of the scratch array, not of the areas; 0 if unknown. */
  readonly scratchSize: bigint;
}

/** What a subtree's blob is, as far as it can be told. */
export type SubtreeKind = "fdt" | "luo_ser" | "kho_kexec_metadata" | "unknown";

/** A node of the root tree with the blob it names. */
export interface Subtree {
  readonly name: string;
  readonly pa: PhysAddr;
  /** Bytes: as recorded, or the tree's own totalsize where the version records none. */
  readonly size: bigint;
  readonly kind: SubtreeKind;
  /** The whole blob; absent if it is not in the capture. */
  readonly blob?: Uint8Array;
}

/** A preserved file. Handlers that are not known leave it opaque: the three numbers are all there is. */
export interface File extends LuoFile {
  readonly memfd?: Memfd;
}

/** A session with its files. */
export interface Session extends LuoSession<File> {
  /** What systemd keeps in the session of its name. */
  readonly systemd?: SystemdMapping;
}

/** Live-update state with everything that its files lead to. */
export interface LiveUpdate extends Omit<Luo, "sessions"> {
  readonly sessions: readonly Session[];
  readonly flbs: readonly LuoFlb[];
}

/** What one kernel handed to the next. Addresses are physical, sizes are in bytes. */
export interface Handover {
  /** Version string of the root, `kho-v4`, as found. */
  readonly compatible: string;
  /** Bytes. */
  readonly pageSize: number;
  /** True if it was worked out from how the memory map reads. */
  readonly pageSizeGuessed: boolean;
  /** Why this page size. */
  readonly pageSizeEvidence: string;
  /** `x86_64`, `aarch64`, or empty where nothing tells. */
  readonly arch: string;
  /** The release whose formats were used: a row of the release table, `7.3`. */
  readonly release: string;
  /** True if nobody named the release. */
  readonly releaseGuessed: boolean;
  /** Why this release. */
  readonly releaseEvidence: string;
  readonly handoff: Handoff;
  /** Low memory, global, then one area per NUMA node. */
  readonly scratch: readonly MemoryRange[];
  /** Absent if there is no memory map or it is not in the capture. */
  readonly preserved?: PreservedMemory;
  /** In the order of the tree. */
  readonly subtrees: readonly Subtree[];
  readonly luo?: LiveUpdate;
  readonly reserveMem: readonly ReserveMem[];
  readonly kexecMetadata?: KexecMetadata;
  readonly khoTest?: KhoTest;
}
