import type { Code } from "../report/codes.js";
import type { Finding } from "../report/finding.js";

/** What the command says to whoever called it. The one place where codes become numbers. */
export const exits = {
  fine: 0,
  /** It worked, and there are findings of severity `warning` or `error`, or bytes that had to be left out. */
  findings: 1,
  /** The command line is wrong, or asks for what is not there. */
  usage: 2,
  /** The input is not of a format that can be read, or is damaged. */
  content: 3,
  /** Reading or writing failed. */
  io: 4,
  /** A fault of this program. */
  internal: 70,
} as const;

export type Exit = (typeof exits)[keyof typeof exits];

const callersFault: ReadonlySet<Code> = new Set([
  "usage",
  "unknown-release",
  "unknown-layout",
  "policy-malformed",
  "not-found",
]);

/** The exit code for an error by its code: the caller's fault, the machine's, else the input's. */
export function exitOf(code: Code): Exit {
  if (callersFault.has(code)) return exits.usage;
  return code === "io" ? exits.io : exits.content;
}

/** 1 if any finding is worse than `info`, else 0. */
export const exitOfFindings = (findings: readonly Pick<Finding, "severity">[]): Exit =>
  findings.some(({ severity }) => severity !== "info") ? exits.findings : exits.fine;
