import { errnoOf, type Machine } from "../../machine/index.js";
import { isKhoError } from "../../report/error.js";
import type { Truth } from "../truth.js";
import type { PartVerdict, VerdictKind } from "../verdict.js";

/** A kernel that has booted with a handover, and what was handed over. */
export interface Arrived {
  readonly truth: Truth;
  readonly machine: Machine;
}

/** Says what became of one part. */
export const say = (part: string, verdict: VerdictKind, detail = ""): PartVerdict => ({
  part,
  verdict,
  detail,
});

/** `size: expected 4096, got 8192`. */
export const differs = (field: string, expected: string, actual: string): string =>
  `${field}: expected ${expected}, got ${actual}`;

/** What an error of a simulated call means for what was asked for; `call` names it. */
export function failure(part: string, call: string, error: unknown): PartVerdict {
  if (!isKhoError(error)) throw error;
  const errno = errnoOf(error);
  if (errno !== undefined) return say(part, "refused", `${call} fails with ${errno}: ${error.message}`);
  // An unhandled fault kills the caller; so does whatever the model cannot follow.
  return say(part, "panic", `${call} runs into an unhandled fault: ${error.message}`);
}
