import type { Code } from "./codes.js";
import type { Consequence } from "./finding.js";

/** What a {@link KhoError} says beyond its code; every part is optional because not every fault has it. */
export interface FaultDetail {
  /** Physical address of the first byte at fault. */
  readonly pa?: bigint;
  /** Length of the bytes at fault. */
  readonly length?: number;
  /** Where in the handover: `luo.sessions[2].files[0].data`. Empty for faults outside of it. */
  readonly path?: string;
  /** What would have been right. */
  readonly expected?: string;
  /** What was there. */
  readonly actual?: string;
  /** What the kernel that reads this would do. */
  readonly consequence?: Consequence;
  /** The error underneath, where another library or the system raised one. */
  readonly cause?: unknown;
}

/**
 * The only error that kho throws. `code` is of a closed set, so callers can switch on it;
 * everything a message says is also a field.
 */
export class KhoError extends Error implements FaultDetail {
  override readonly name = "KhoError";
  readonly pa?: bigint;
  readonly length?: number;
  readonly path?: string;
  readonly expected?: string;
  readonly actual?: string;
  readonly consequence?: Consequence;

  constructor(
    readonly code: Code,
    message: string,
    detail: FaultDetail = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    const { cause: _, ...fields } = detail;
    Object.assign(this, fields);
  }
}

/** True for a {@link KhoError}, also for one of another copy of this package, and narrowed to a code if one is given. */
export function isKhoError(error: unknown, code?: Code): error is KhoError {
  if (!(error instanceof Error) || error.name !== "KhoError" || !("code" in error)) return false;
  return code === undefined || error.code === code;
}
