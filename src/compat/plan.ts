/** Sessions to make on a simulated machine. */
import {
  addSeals,
  fillPattern,
  type Machine,
  type MemfdFile,
  type PatternRange,
  seek,
} from "../machine/index.js";

export interface SessionPlan {
  readonly name: string;
  readonly files: readonly FilePlan[];
}

export interface FilePlan {
  readonly token: bigint;
  /** Bytes, as the position is. */
  readonly size: number;
  readonly pos?: number;
  /** F_SEAL_* bits that are added once there are contents; a file that nobody may seal unless given. */
  readonly seals?: number;
  /** False for MFD_NOEXEC_SEAL, which adds F_SEAL_EXEC and nothing else. */
  readonly executable?: false;
  readonly folioOrder?: number;
  readonly ranges?: readonly PatternRange[];
}

/** Pages that begin with `words` words of the pattern, or with nothing else. */
export const written = (index: number, count = 1, words = 512): PatternRange => ({
  kind: "w",
  index,
  count,
  words,
});

/** Makes a file as planned, but for its position. */
export function makeFile(machine: Machine, plan: FilePlan, owner = machine.init): MemfdFile {
  const { token, size, seals, executable = true, folioOrder = 0, ranges = [] } = plan;
  const allowSealing = seals !== undefined;
  const file = machine.memfd({ size, allowSealing, executable, folioOrder }, owner);
  fillPattern(file, token, ranges);
  if (seals !== undefined) addSeals(file, seals);
  return file;
}

/**
 * Makes the sessions with their files, preserves these, and only then moves the positions, as a program may. `agent` is
 * that program; the first process of the machine unless given.
 */
export function preserve(machine: Machine, sessions: readonly SessionPlan[], agent = machine.init): void {
  if (sessions.length === 0) return;
  const device = agent === machine.init ? machine.liveupdate : agent.openLiveUpdate();
  for (const { name, files } of sessions) {
    const session = device.createSession(name);
    for (const plan of files) {
      const file = makeFile(machine, plan, agent);
      session.preserve(file, plan.token);
      seek(file, BigInt(plan.pos ?? 0));
    }
  }
}
