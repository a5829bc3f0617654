import type {
  Errno,
  Faults,
  LiveUpdateDevice,
  LiveUpdateSession,
  Machine,
  Process,
} from "../machine/index.js";
import type { Wanted } from "./files.js";

/** Told how far a long step is. */
export type Progress = (phase: string, done: number, total: number) => void;

/** What the user space of one kernel has, and where the kernel is to go wrong. */
export interface State {
  readonly machine: Machine;
  readonly agents: Map<string, Process>;
  readonly sessions: Map<string, LiveUpdateSession>;
  /** Retrieved files by session, as descriptors of the agent that retrieved them. */
  readonly retrieved: Map<string, { readonly agent: Process; readonly fds: Map<bigint, number> }>;
  readonly faults: SettableFaults;
  /** What this kernel is to hand over, and what it was handed, by session. */
  readonly leaving: Map<string, readonly Wanted[]>;
  readonly arrived: ReadonlyMap<string, readonly Wanted[]>;
  readonly progress: Progress;
}

/** Faults that steps turn on and off. */
export interface SettableFaults extends Faults {
  setFreeze(session: string, token: bigint, errno: Errno | undefined): void;
  /** Beginning of the purposes whose allocations are to fail. */
  setAllocation(purpose: string | undefined): void;
}

export function newFaults(): SettableFaults {
  const freezes = new Map<string, Errno>();
  const keyOf = (session: string, token: bigint): string => `${token} ${session}`;
  let failing: string | undefined;
  return {
    allocation: (what) => failing !== undefined && what.startsWith(failing),
    freeze: (session, token) => freezes.get(keyOf(session, token)),
    setAllocation(purpose) {
      failing = purpose;
    },
    setFreeze(session, token, errno) {
      if (errno === undefined) freezes.delete(keyOf(session, token));
      else freezes.set(keyOf(session, token), errno);
    },
  };
}

/** Descriptors that an agent may have: those of large hosts hold one for every file of every VM. */
const descriptors = 2 ** 21;

/** The process of that name, started if there is none. */
export function agentOf({ agents, machine }: State, name: string): Process {
  const agent = agents.get(name) ?? machine.process({ descriptors });
  agents.set(name, agent);
  return agent;
}

/** One process at a time can have the device: it is opened for each call, as agents that share it do. */
export function withDevice<T>(agent: Process, use: (device: LiveUpdateDevice) => T): T {
  const device = agent.openLiveUpdate();
  try {
    return use(device);
  } finally {
    device.close();
  }
}
