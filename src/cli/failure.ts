import { isKhoError, type KhoError } from "../report/error.js";
import { type Exit, exitOf, exits } from "./exit.js";
import { consequenceText, placeText } from "./finding.js";
import { isClosedPipe } from "./output.js";
import type { Run } from "./run.js";
import { safeSentence, wrap } from "./text.js";

/** What was being done when something failed; hints depend on it. */
export interface Attempt {
  readonly verb: string;
  readonly file?: string;
  readonly options: { readonly lenient?: boolean; readonly base?: bigint; readonly fdt?: bigint };
}

/** Says what went wrong on standard error, and gives the exit code. Never shows a stack for a KhoError. */
export function reportFailure(run: Run, error: unknown, attempt: Attempt): Exit {
  if (isClosedPipe(error)) return exits.fine;
  run.progress.clear();
  try {
    // What is on standard output was true before the failure, and belongs in front of it.
    run.out.flush();
  } catch (again) {
    if (isClosedPipe(again) && !isKhoError(error)) return exits.fine;
  }
  try {
    if (!isKhoError(error)) return reportBug(run, error);
    for (const line of errorLines(run, error, attempt)) run.err.line(line);
    run.err.flush();
    return exitOf(error.code);
  } catch {
    return isKhoError(error) ? exitOf(error.code) : exits.internal;
  }
}

function errorLines({ errStyle: style, columns }: Run, error: KhoError, attempt: Attempt): string[] {
  const { message, code, path, expected, actual, consequence } = error;
  const rows: [string, string][] = [
    ["at", [placeText(error), path ?? ""].filter((part) => part !== "").join("  ")],
    ["expected", expected ?? ""],
    ["found", code === "io" ? "" : (actual ?? "")],
    ["kernel", consequence ? consequenceText(consequence) : ""],
    ["hint", hintFor(error, attempt) ?? ""],
  ];
  const [first = "", ...rest] = wrap(safeSentence(message), Math.max(40, columns - 12));
  const lines = [
    `${style.bad("kho: error:")} ${style.bold(first)}`,
    ...rest.map((line) => `  ${style.bold(line)}`),
  ];
  for (const [label, text] of rows) {
    if (text === "") continue;
    for (const [i, line] of wrap(safeSentence(text), Math.max(40, columns - 12)).entries())
      lines.push(`  ${style.dim((i === 0 ? label : "").padEnd(8))}  ${line}`);
  }
  return lines;
}

/** What to try next, where there is something. */
function hintFor({ code, consequence, pa }: KhoError, { verb, options }: Attempt): string | undefined {
  if (code === "usage") return `kho ${verb} --help`;
  if (code === "decompression-limit") return "--max-decompressed 8G allows more";
  if (code === "unknown-release") return "leave out --release to have it worked out from the capture";
  if (code === "not-a-handover")
    return "kho scan FILE lists everything that could be a root; --fdt ADDR names one, --base ADDR says where raw memory begins";
  if (code === "memory-absent" && verb === "extract" && !options.lenient)
    return "--lenient leaves holes for what is absent, and says how much";
  if (code === "memory-absent" && pa !== undefined) return "kho scan FILE lists where a root could be";
  if (code === "handoff-malformed" || code === "handoff-cycle")
    return "--fdt ADDR names the root itself; without either the whole capture is searched";
  const readable = consequence !== undefined || code.startsWith("fdt-");
  if (readable && !options.lenient && verb !== "check")
    return "--lenient reads on past damage and lists all of it";
  return undefined;
}

function reportBug({ err }: Run, error: unknown): Exit {
  const what = error instanceof Error ? error.message : String(error);
  err.line(`kho: sorry, this is a bug in kho: ${safeSentence(what)} (KHO_DEBUG=1 shows where)`);
  if (process.env.KHO_DEBUG && error instanceof Error)
    for (const line of (error.stack ?? "").split("\n")) err.line(safeSentence(line));
  err.flush();
  return exits.internal;
}
