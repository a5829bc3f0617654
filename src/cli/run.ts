import { newOutput, type Output } from "./output.js";
import { newProgress, type Progress } from "./progress.js";
import {
  type ColorChoice,
  columnsOf,
  type Glyphs,
  glyphsOf,
  type Style,
  styleOf,
  usesColor,
} from "./terminal.js";

/** What a verb writes with: results to `out`, everything about them to `err`. */
export interface Run {
  readonly out: Output;
  readonly err: Output;
  readonly style: Style;
  readonly errStyle: Style;
  readonly glyphs: Glyphs;
  /** Columns to break text at; infinite where there is no terminal. */
  readonly columns: number;
  readonly progress: Progress;
}

/** Sets up the two outputs for one call of the command. */
export function newRun(color: ColorChoice): Run {
  return {
    out: newOutput(1, "standard output"),
    err: newOutput(2, "standard error"),
    style: styleOf(usesColor(color, 1)),
    errStyle: styleOf(usesColor(color, 2)),
    glyphs: glyphsOf(),
    columns: columnsOf(),
    progress: newProgress(),
  };
}
