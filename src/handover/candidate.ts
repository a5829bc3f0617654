import type { HandoffRecord } from "../../formats/kho/handoff.js";
import type { PhysAddr } from "../memory/index.js";

/** Something at a page start, or a record in a page, that could be the beginning of a handover. */
export interface Candidate {
  readonly pa: PhysAddr;
  readonly kind: "root" | "setup_data" | "boot_params" | "device-tree";
  /** One sentence: what it is and whether it can be used. */
  readonly verdict: string;
  /** True if a handover can be read from here. */
  readonly usable: boolean;
  /** The record that leads to a root, of every kind but `root`. */
  readonly record?: HandoffRecord;
  /** How much of what a root leads to is in the capture; larger is better. */
  readonly score: number;
}
