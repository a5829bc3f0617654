/** Sessions as a test wants them: made on a simulated machine, and described for the guest that looks for them. */
import { kernelOf } from "../../formats/kernels.js";
import { seals as sealBits } from "../../formats/memfd/layout.js";
import type { Machine } from "../../src/machine/machine.js";
import { addSeals, fillPattern, type PatternRange, seek } from "../../src/machine/memfd/file.js";
import type { MemfdFile } from "../../src/machine/memfd/inode.js";

export interface SessionPlan {
  /** Without spaces. */
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

/** Makes the sessions with their files, preserves these, and only then moves the positions, as a program may. */
export function preserve(machine: Machine, sessions: readonly SessionPlan[]): void {
  for (const { name, files } of sessions) {
    const session = machine.liveupdate.createSession(name);
    for (const plan of files) {
      const file = makeFile(machine, plan);
      session.preserve(file, plan.token);
      seek(file, BigInt(plan.pos ?? 0));
    }
  }
}

const { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC } = sealBits;

/** The seals that a file arrives with. Formats without seals give every file that of one that nobody may seal. */
function arrivingSeals(release: string, { seals, executable }: FilePlan): number {
  if (seals === undefined || kernelOf(release).memfd === "memfd-v1") return F_SEAL_SEAL;
  if (executable === false) return seals | F_SEAL_EXEC;
  const implied = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
  return seals & F_SEAL_EXEC ? seals | implied : seals;
}

/** What the guest of the receiving kernel is to find. */
export const expectation = (release: string, sessions: readonly SessionPlan[]): object => ({
  sessions: sessions.map(({ name, files }) => ({
    name,
    files: files.map((file) => ({
      token: `0x${file.token.toString(16)}`,
      size: file.size,
      pos: file.pos ?? 0,
      seals: arrivingSeals(release, file),
      ranges: (file.ranges ?? []).map(({ kind = "w", index, count, words = 512 }) => ({
        kind,
        index,
        count,
        words,
      })),
    })),
  })),
});
