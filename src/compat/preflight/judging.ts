/** What a handover is judged by, and what comes out. */
import type { Reason } from "../../machine/index.js";
import type { VerdictKind } from "../verdict.js";
import type { Part } from "./parts.js";
import type { Need, Policy } from "./policy.js";
import type { Receiver } from "./receiver.js";

/** A verdict, or `unknown` where neither capture nor image tell enough for one. */
export type FateKind = VerdictKind | "unknown";

/** What becomes of one part. */
export interface Fate extends Part {
  readonly verdict: FateKind;
  /** What decides; empty if it is the same as for the whole, or nothing is to be said. */
  readonly detail: string;
  readonly need: Need;
}

/** What becomes of a handover. */
export interface Fates {
  /** The worst of all parts, or what the boot came to. */
  readonly verdict: FateKind;
  readonly detail: string;
  readonly parts: readonly Fate[];
  /** The fault at boot, of `ignored` and of a `panic` there. */
  readonly reason?: Reason;
  /** True if all mandatory parts arrive whole, and nothing is misread or stops anybody. */
  readonly promised: boolean;
}

/** What a handover is judged by. */
export interface Judging {
  readonly receiver: Receiver;
  readonly policy: Policy;
  /** Parts of which the capture lacks a structure: by path, with a sentence. */
  readonly absent: ReadonlyMap<string, string>;
  /** Structures that all parts depend on and that are not in the capture. */
  readonly gaps: readonly Absent[];
}

/** A structure that is not in the capture: its path, and a sentence. */
export interface Absent {
  readonly path: string;
  readonly text: string;
}
