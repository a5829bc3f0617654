import type { Preflight } from "../../compat/preflight/preflight.js";
import type { Receiver } from "../../compat/preflight/receiver.js";
import type { Decoded } from "../../handover/index.js";

/** What is shown of one run. */
export interface Shown {
  readonly decoded: Decoded;
  readonly receiver: Receiver;
  /** The kernel as it was named. */
  readonly kernel: string;
  readonly result: Preflight;
}
