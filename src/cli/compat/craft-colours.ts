import type { OutcomeKind } from "../../compat/craft/outcome-text.js";
import type { Style } from "../terminal.js";

/** An outcome in the colour of how bad it is. */
export function paintOutcome(style: Style, kind: OutcomeKind, text: string): string {
  if (kind === "panic" || kind === "oops" || kind === "ignored") return style.bad(text);
  return kind === "accepted" ? style.good(text) : style.warn(text);
}
