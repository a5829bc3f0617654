import type { Target } from "../../formats/target.js";
import type { Placement } from "./placement.js";

/** What every part of a handover is written with. */
export interface Writing {
  readonly target: Target;
  readonly placement: Placement;
}
