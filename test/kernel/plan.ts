/** What the guest of a real kernel is to find of sessions that a simulated machine handed over. */
import { kernelOf } from "../../formats/kernels.js";
import { seals as sealBits } from "../../formats/memfd/layout.js";
import type { FilePlan, SessionPlan } from "../../src/compat/plan.js";

export { type FilePlan, makeFile, preserve, type SessionPlan, written } from "../../src/compat/plan.js";

const { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC } = sealBits;

/** The seals that a file arrives with. Formats without seals give every file that of one that nobody may seal. */
function arrivingSeals(release: string, { seals, executable }: FilePlan): number {
  if (seals === undefined || kernelOf(release).memfd === "memfd-v1") return F_SEAL_SEAL;
  if (executable === false) return seals | F_SEAL_EXEC;
  const implied = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
  return seals & F_SEAL_EXEC ? seals | implied : seals;
}

/** What the guest of the receiving kernel is to find. Names are without spaces. */
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
