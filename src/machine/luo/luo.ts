import { physAddr } from "../../memory/index.js";
import { type Errno, errnoOf } from "../errno.js";
import type { File, FileHandler, Flb, KernelCore, RetrieveStatus } from "../kernel.js";
import { openDevice } from "./device.js";
import { incomingFlb, outgoingFlb, putIncomingFlb, putOutgoingFlb } from "./flb.js";
import type { IncomingLuo } from "./incoming.js";
import { registerFlb, registerHandler } from "./registry.js";
import { handOverRoot, type Roots } from "./root.js";
import { serialize } from "./serialize.js";
import type { LuoState, Session } from "./state.js";
import { newSessionStore } from "./store.js";

/** A session as it stands. */
export interface SessionStatus {
  readonly name: string;
  /** User space has asked for it; of incoming ones only. */
  readonly retrieved: boolean;
  readonly files: readonly {
    readonly compatible: string;
    readonly token: bigint;
    readonly data: bigint;
    /** `untried` for every preserved file. */
    readonly status: RetrieveStatus;
  }[];
}

/** The Live Update Orchestrator of a running kernel. Calls refuse by throwing a refusal. */
export interface Luo {
  /** `liveupdate=on`, with KHO on, and setting up succeeded. */
  readonly enabled: boolean;
  /** What is handed over as `liveupdate-number`; 0 where live update is off. */
  readonly number: bigint;
  /** What the kernel logged when it could not read the incoming sessions; every later open fails, too. */
  readonly openErrno: Errno | undefined;
  /** Opens /dev/liveupdate. */
  openDevice(): File;
  registerHandler(handler: FileHandler): void;
  registerFlb(handler: FileHandler, flb: Flb): void;
  /** The object of an FLB that was handed over; from 7.1 on the caller holds a reference until it puts it. */
  incomingFlb(flb: Flb): unknown;
  putIncomingFlb(flb: Flb): void;
  /** The object of an FLB that is to be handed over; from 7.2 on the caller holds a reference until it puts it. */
  outgoingFlb(flb: Flb): unknown;
  putOutgoingFlb(flb: Flb): void;
  /** The part of `reboot(KEXEC)` before the jump. Nothing where live update is off. */
  serialize(): void;
  /** Sessions of one list, in the order they were created or handed over. */
  sessions(kind: "outgoing" | "incoming"): SessionStatus[];
}

export interface LuoOptions {
  /** `liveupdate=on`. */
  readonly enabled: boolean;
  /** What the previous kernel handed over. */
  readonly incoming?: IncomingLuo;
}

/** LUO as it is once the kernel has booted: its root handed to KHO, no session, no handler. */
export function newLuo(core: KernelCore, { enabled, incoming }: LuoOptions): Luo {
  const number = BigInt.asUintN(64, (incoming?.number ?? 0n) + 1n);
  const roots = enabled && core.kho.enabled && core.kernel.luo ? setUp(core, number) : undefined;
  const luo: LuoState = {
    core,
    enabled: roots !== undefined,
    handlers: [],
    flbs: [],
    outgoing: new Map(),
    incoming: new Map(),
    sessionStore: newSessionStore(core, roots?.sessionArea ?? physAddr(0)),
    identities: new Set(),
    received: incoming,
    inUse: false,
    locked: false,
  };
  return {
    enabled: luo.enabled,
    number: luo.enabled ? number : 0n,
    get openErrno() {
      return luo.deserialized?.errno;
    },
    openDevice: () => openDevice(luo),
    registerHandler: (handler) => registerHandler(luo, handler),
    registerFlb: (handler, flb) => registerFlb(luo, handler, flb),
    incomingFlb: (flb) => incomingFlb(luo, flb),
    putIncomingFlb: (flb) => putIncomingFlb(luo, flb),
    outgoingFlb: (flb) => outgoingFlb(luo, flb),
    putOutgoingFlb: (flb) => putOutgoingFlb(luo, flb),
    serialize() {
      if (roots) serialize(luo, roots);
    },
    sessions: (kind) => Array.from(luo[kind].values(), statusOf),
  };
}

/** Without the memory for what is handed over from boot on, live update is off. */
function setUp(core: KernelCore, number: bigint): Roots | undefined {
  try {
    return handOverRoot(core, number);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    core.log(`LUO: cannot be set up, live update is off: ${(error as Error).message}`);
    return undefined;
  }
}

const statusOf = ({ name, retrieved, set }: Session): SessionStatus => ({
  name,
  retrieved,
  files: set.files.map(({ by, token, data, status }) => ({
    compatible: by.handler.compatible,
    token,
    data,
    status,
  })),
});
