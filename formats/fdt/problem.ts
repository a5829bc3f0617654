import { escapeText } from "../../src/layout/index.js";
import type { Code } from "../../src/report/codes.js";
import { KhoError } from "../../src/report/error.js";
import { hex } from "../../src/report/hex.js";

/** One thing that is wrong in a blob. */
export interface FdtProblem {
  /** `error`: the blob is not valid; `warning`: valid, but a reader may not see everything in it. */
  readonly severity: "error" | "warning";
  readonly code: Code;
  /** Bytes from the start of the blob to the first byte at fault. May lie behind the end of a damaged blob. */
  readonly offset: number;
  /** Number of bytes at fault; 0 where there is no such number. */
  readonly length: number;
  /** A sentence, safe to show, that ends with the offset. */
  readonly message: string;
  /** What would have been right, where that can be said in short. */
  readonly expected?: string;
  /** What was there. */
  readonly actual?: string;
}

/** What a fault says besides its place. */
export interface Comparison {
  readonly expected?: string;
  readonly actual?: string;
}

/** Where the parts of the reader bring what is wrong. */
export interface Faults {
  /** Strict: throws. Lenient: reports and returns, and the reader goes on as well as it can. */
  add(code: Code, offset: number, length: number, message: string, detail?: Comparison): void;
  /** Reports, and gives the error to throw: nothing can be read. */
  fatal(code: Code, offset: number, length: number, message: string, detail?: Comparison): KhoError;
  /** How many faults there were. */
  readonly count: number;
}

/** Builds a problem; the message gets its offset here. */
export function problem(
  severity: FdtProblem["severity"],
  code: Code,
  offset: number,
  length: number,
  message: string,
  detail: Comparison = {},
): FdtProblem {
  return { severity, code, offset, length, message: `${message} (offset ${hex(offset)})`, ...detail };
}

/** Collects faults in lenient mode, throws the first one in strict mode. */
export function faults(lenient: boolean, report?: (problem: FdtProblem) => void): Faults {
  let count = 0;
  const note = (fault: FdtProblem): void => {
    count++;
    if (lenient) report?.(fault);
  };
  return {
    get count() {
      return count;
    },
    add(...about) {
      const fault = problem("error", ...about);
      note(fault);
      if (!lenient) throw errorOf(fault);
    },
    fatal(...about) {
      const fault = problem("error", ...about);
      note(fault);
      return errorOf(fault);
    },
  };
}

function errorOf({ code, message, length, expected, actual }: FdtProblem): KhoError {
  const comparison = { ...(expected !== undefined && { expected }), ...(actual !== undefined && { actual }) };
  return new KhoError(code, message, { length, ...comparison });
}

/** A name as messages show it: escaped, and cut, since one name can be as long as the blob. */
export function shown(name: string): string {
  const most = 64;
  return name.length > most ? `"${escapeText(name.slice(0, most))}"...` : `"${escapeText(name)}"`;
}
