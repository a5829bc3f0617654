import type { Code } from "./codes.js";

/** `error`: the reading kernel loses or misreads something; `warning`: wrong but survivable; `info`: worth knowing. */
export type Severity = "info" | "warning" | "error";

/** What the reading kernel makes of a fault. */
export type Outcome =
  /** It boots as if cold, or drops the one thing concerned, and everything preserved in it is lost. */
  | "ignored"
  /** A call fails with `errno`. */
  | "refused"
  /** The boot stops: panic, oops or hang. */
  | "panic"
  /** It accepts the bytes and takes them for something else. */
  | "misread";

/**
 * When the kernel notices: at boot, at the first open of /dev/liveupdate, when the file is retrieved, or, of a simulated
 * kernel, in the very call that it refuses.
 */
export type Phase = "boot" | "open" | "retrieve" | "call";

/** What the named kernel does with a fault, and when. */
export interface Consequence {
  readonly outcome: Outcome;
  readonly phase: Phase;
  /** Name of the errno without the minus, `EINVAL`, where the kernel has one. */
  readonly errno?: string;
  /** True if it is not this one item that is lost but all of live update, or the boot. */
  readonly all?: boolean;
  /** A sentence where the outcome alone would mislead. */
  readonly detail?: string;
}

/** One thing that is wrong, or worth knowing, in a handover. */
export interface Finding {
  readonly severity: Severity;
  readonly code: Code;
  /** Physical address of the first byte concerned; 0 where there is none. */
  readonly pa: bigint;
  /** Number of bytes concerned; 0 where unknown. */
  readonly length: number;
  /** Where in the handover: `luo.sessions[2].files[0].memfd`. */
  readonly path: string;
  readonly message: string;
  readonly expected?: string;
  readonly actual?: string;
  /** Absent where the kernel does not care. */
  readonly consequence?: Consequence;
}
