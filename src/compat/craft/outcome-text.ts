/** What is to be said of an outcome: how it differs from that of the same handover without the fault. */
import { hex } from "../../report/hex.js";
import type { CallResult, FileResult, Outcome, SessionResult } from "./outcome.js";

/** Worst first. */
export type OutcomeKind =
  /** The boot stops: a panic on purpose. */
  | "panic"
  /** An unhandled fault, at boot or of the process that asks. */
  | "oops"
  | "ignored"
  | "refused"
  /** Taken, and something else comes out. */
  | "differs"
  | "warns"
  | "accepted";

export interface OutcomeSummary {
  readonly kind: OutcomeKind;
  /** A few words: `panic EINVAL`, `open refused EEXIST`. */
  readonly short: string;
  /** Everything that is different, each a sentence without a full stop. */
  readonly sentences: readonly string[];
}

/** Sums up what a kernel does with a fault; `good` is what it does without it. */
export function summarise(outcome: Outcome, good: Outcome): OutcomeSummary {
  const { boot, open } = outcome;
  if (boot.kind === "stops") {
    if (boot.errno === undefined)
      return { kind: "oops", short: "oops at boot", sentences: ["the boot ends in an unhandled fault"] };
    return {
      kind: "panic",
      short: `panic ${boot.errno}`,
      sentences: [`the kernel panics on purpose, ${boot.errno}`],
    };
  }
  if (boot.kind === "ignored")
    return {
      kind: "ignored",
      short: "ignored",
      sentences: ["the kernel boots as if cold, everything is lost"],
    };
  if (open === "oops")
    return { kind: "oops", short: "oops at open", sentences: ["whoever opens /dev/liveupdate is killed"] };
  if (open !== undefined && open !== "fine")
    return {
      kind: "refused",
      short: `open refused ${open}`,
      sentences: [`every open of /dev/liveupdate fails with EIO, the kernel logs ${open}`],
    };
  const notes = [...sessionNotes(outcome.sessions, good.sessions), ...otherNotes(outcome, good)];
  const worst = notes.reduce<Note | undefined>(
    (one, other) => (one && ranking.indexOf(one.kind) <= ranking.indexOf(other.kind) ? one : other),
    undefined,
  );
  if (!worst) return { kind: "accepted", short: "accepted", sentences: ["nobody notices"] };
  return { kind: worst.kind, short: worst.short, sentences: notes.map(({ sentence }) => sentence) };
}

interface Note {
  readonly kind: OutcomeKind;
  readonly short: string;
  readonly sentence: string;
}
const ranking: readonly OutcomeKind[] = [
  "panic",
  "oops",
  "ignored",
  "refused",
  "differs",
  "warns",
  "accepted",
];

function sessionNotes(sessions: readonly SessionResult[], good: readonly SessionResult[]): Note[] {
  return sessions.flatMap(({ name, result, files, finish }, s): Note[] => {
    if (result !== "fine") return [failed("session", `session ${name}`, result)];
    const notes = files.flatMap((file, f) => fileNotes(name, file, good[s]?.files[f]));
    return finish === undefined || finish === "fine"
      ? notes
      : [...notes, failed("finish", `the end of session ${name}`, finish)];
  });
}

function failed(short: string, what: string, result: CallResult): Note {
  if (result === "oops")
    return { kind: "oops", short: `${short} oops`, sentence: `${what}: whoever asks for it is killed` };
  return {
    kind: "refused",
    short: `${short} refused ${result}`,
    sentence: `${what}: refused with ${result}`,
  };
}

function fileNotes(
  session: string,
  { token, result, file }: FileResult,
  good: FileResult | undefined,
): Note[] {
  const what = `file ${hex(token)} of session ${session}`;
  if (!file) return [failed("file", what, result)];
  if (!good?.file) return [];
  const before = good.file;
  const other = (member: string, is: string, was: string): Note => ({
    kind: "differs",
    short: `${member} differs`,
    sentence: `${what}: ${member} ${is} instead of ${was}`,
  });
  const notes: Note[] = [];
  if (file.size !== before.size)
    notes.push(other("size", String(BigInt.asIntN(64, file.size)), String(before.size)));
  if (file.pos !== before.pos) notes.push(other("position", String(file.pos), String(before.pos)));
  if (file.seals !== before.seals) notes.push(other("seals", hex(file.seals), hex(before.seals)));
  const changed = before.pages.filter((page, i) => file.pages[i] !== page).length;
  if (changed > 0 && file.size >= before.size)
    notes.push({
      kind: "differs",
      short: "content differs",
      sentence: `${what}: ${changed} of ${before.pages.length} pages have lost their content`,
    });
  return notes;
}

function otherNotes(outcome: Outcome, good: Outcome): Note[] {
  const notes: Note[] = [];
  const lost = (short: string, sentence: string): void =>
    void notes.push({ kind: "differs", short, sentence });
  for (const [i, { name, found, finished }] of outcome.flbs.entries()) {
    if (good.flbs[i]?.found && !found) lost("FLB lost", `FLB ${name} is not found`);
    else if (good.flbs[i]?.finished && !finished) lost("FLB kept", `FLB ${name} is never finished`);
  }
  if (good.metadata && !outcome.metadata) lost("metadata lost", "kexec-metadata is not used");
  for (const region of good.revived)
    if (!outcome.revived.includes(region)) lost("region lost", `region ${region} is not revived`);
  if (outcome.warns && !good.warns)
    notes.push({ kind: "warns", short: "warning", sentence: "the kernel warns" });
  return notes;
}
