/** What a program on a real kernel is told to look for, so that it finds what was predicted and reports everything else. */
import type { PatternRange } from "../../machine/index.js";
import type { FilePlan, SessionPlan } from "../plan.js";
import type { FileResult, Outcome } from "./outcome.js";

/** A file for the program: 64-bit numbers that JSON has no exact form for are text. */
export interface ExpectedFile {
  readonly token: string;
  /** Bytes, as the position is. */
  readonly size: number;
  readonly pos: number;
  /** F_SEAL_* bits. */
  readonly seals: number;
  readonly ranges: readonly PatternRange[];
}

export interface Expected {
  readonly sessions: readonly { readonly name: string; readonly files: readonly ExpectedFile[] }[];
}

/** Sessions as they are asked for, each file as it is predicted, or, where it will not come, as it was planned. */
export const expectedOf = (asked: readonly SessionPlan[], { sessions }: Outcome): Expected => ({
  sessions: asked.map(({ name, files }, s) => ({
    name,
    files: files.map((plan, f) => expectedFile(plan, sessions[s]?.files[f])),
  })),
});

/** Nobody looks through more than this many bytes of a file. */
const longest = 2n ** 40n;

function expectedFile(plan: FilePlan, result: FileResult | undefined): ExpectedFile {
  const token = `0x${plan.token.toString(16)}`;
  const { size, pos = 0, seals = 0, ranges = [] } = plan;
  if (!result?.file) return { token, size, pos, seals, ranges };
  const { file } = result;
  return {
    token,
    // A file of negative size has nothing to look through.
    size: file.size < longest ? Number(file.size) : 0,
    pos: Number(file.pos),
    seals: file.seals,
    ranges:
      file.size < longest
        ? file.pages.flatMap((words, index): PatternRange[] =>
            words === 0 ? [] : [{ kind: "w", index, count: 1, words: words === "other" ? allWords : words }],
          )
        : [],
  };
}

/** A page that is something else is none of the pattern either way. */
const allWords = 512;
