import { isatty } from "node:tty";

/** When to use colour, as `--color` has it. */
export type ColorChoice = "auto" | "always" | "never";

type Paint = (text: string) => string;

/** The few meanings that have a colour. */
export interface Style {
  /** Headings and what a line is about. */
  readonly bold: Paint;
  /** Guides and asides. */
  readonly dim: Paint;
  /** Names that come from the image. */
  readonly name: Paint;
  readonly good: Paint;
  readonly warn: Paint;
  readonly bad: Paint;
}

/** The characters that trees and bars are drawn with. */
export interface Glyphs {
  readonly branch: string;
  readonly last: string;
  readonly line: string;
  readonly space: string;
  /** Eighths of a full block, ascending; the last is full. */
  readonly bar: readonly string[];
  readonly times: string;
}

const paint =
  (on: boolean, open: number, close: number): Paint =>
  (text) =>
    on && text !== "" ? `\x1b[${open}m${text}\x1b[${close}m` : text;

/** Colours, or texts as they are. */
export const styleOf = (color: boolean): Style => ({
  bold: paint(color, 1, 22),
  dim: paint(color, 2, 22),
  name: paint(color, 36, 39),
  good: paint(color, 32, 39),
  warn: paint(color, 33, 39),
  bad: paint(color, 31, 39),
});

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Whether to colour what goes to a file descriptor: the choice of the command line, then NO_COLOR, FORCE_COLOR and
 * TERM=dumb, then whether it is a terminal.
 */
export function usesColor(choice: ColorChoice, fd: number, env: Env = process.env): boolean {
  if (choice !== "auto") return choice === "always";
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== "0" && env.FORCE_COLOR !== "false";
  return env.TERM !== "dumb" && isatty(fd);
}

/** Lines and blocks; ASCII where the locale says that there is nothing else. */
export function glyphsOf(env: Env = process.env): Glyphs {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG;
  const ascii = env.TERM === "dumb" || (locale !== undefined && locale !== "" && !/utf-?8/i.test(locale));
  return ascii
    ? { branch: "|- ", last: "`- ", line: "|  ", space: "   ", bar: ["#"], times: "x" }
    : { branch: "├─ ", last: "└─ ", line: "│  ", space: "   ", bar: [..."▏▎▍▌▋▊▉█"], times: "×" };
}

/** Columns to break text at: the terminal's, or COLUMNS; infinite where nobody looks, so that `grep` sees whole lines. */
export function columnsOf(env: Env = process.env): number {
  const columns = isatty(1) ? process.stdout.columns : Number(env.COLUMNS);
  return Number.isInteger(columns) && columns > 0 ? Math.max(columns, 40) : Number.POSITIVE_INFINITY;
}
