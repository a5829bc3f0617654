import type { PhysAddr } from "../../memory/index.js";
import type { Errno } from "../errno.js";
import type { File, FileHandler, Flb, KernelCore, RetrieveStatus } from "../kernel.js";
import type { IncomingLuo } from "./incoming.js";
import type { FileStore, SessionStore } from "./store.js";

/** A registered FLB with its two lives. */
export interface RegisteredFlb {
  readonly flb: Flb;
  readonly outgoing: { count: number; data: bigint; object: unknown };
  readonly incoming: {
    /** 0 until the first request loads it; below 0 once it has underflowed. */
    count: bigint;
    data: bigint;
    object: unknown;
    retrieved: boolean;
    finished: boolean;
    /** A failed retrieve that is remembered. */
    errno?: Errno;
  };
}

/** A registered handler with its FLBs in the order of their registration. */
export interface RegisteredHandler {
  readonly handler: FileHandler;
  readonly flbs: RegisteredFlb[];
}

/** A file in a session. */
export interface SessionFile {
  readonly by: RegisteredHandler;
  readonly token: bigint;
  data: bigint;
  /** The handler's own state of a preserved file. */
  readonly state?: unknown;
  /** LUO's reference, of a preserved or retrieved file. */
  file?: File;
  status: RetrieveStatus;
  /** Why retrieving it failed. */
  errno?: Errno;
}

/** The files of a session, in the order they were preserved. */
export interface FileSet {
  readonly files: SessionFile[];
  /** The first file of each token. */
  readonly byToken: Map<bigint, SessionFile>;
  readonly store: FileStore;
  /** Blocks of the previous kernel that hold the records. */
  readonly carrying: PhysAddr[];
}

/** A session of either list. */
export interface Session {
  readonly kind: "outgoing" | "incoming";
  readonly name: string;
  readonly set: FileSet;
  /** An incoming one that user space has asked for. */
  retrieved: boolean;
  /** Files that could not be taken over, which 6.19 and 7.0 ignore. */
  readonly incomplete?: boolean;
}

/** All that LUO keeps. Maps are in the order of creation. */
export interface LuoState {
  readonly core: KernelCore;
  readonly enabled: boolean;
  /** In the order of registration, as they are tried. */
  readonly handlers: RegisteredHandler[];
  readonly flbs: RegisteredFlb[];
  readonly outgoing: Map<string, Session>;
  readonly incoming: Map<string, Session>;
  readonly sessionStore: SessionStore;
  /** What counts as preserved, system-wide; since 7.1. */
  readonly identities: Set<unknown>;
  readonly received: IncomingLuo | undefined;
  /** The device is open. */
  inUse: boolean;
  /** What reading the incoming sessions came to; absent before the first open. */
  deserialized?: { readonly errno?: Errno };
  /** A reboot has got past the point of no return, since 7.1. */
  locked: boolean;
}
