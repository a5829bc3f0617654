import type { Measured } from "./measure.js";
import { missedBy, type Row } from "./ratios.js";

/** Makes a text stand out on a terminal, or leaves it as it is. */
export type Paint = (colour: "bold" | "dim" | "red" | "green", text: string) => string;

const codes = { bold: 1, dim: 2, red: 31, green: 32 } as const;

/** Colours on a terminal, none where NO_COLOR is set or the output goes elsewhere. */
export const paintFor = (isTerminal: boolean, noColor: string | undefined): Paint =>
  isTerminal && !noColor ? (colour, text) => `\x1b[${codes[colour]}m${text}\x1b[0m` : (_, text) => text;

/** Three digits that count, as far as a ratio has them. */
export function ratioText(ratio: number): string {
  if (ratio >= 99.5) return ratio.toFixed(0);
  if (ratio >= 9.95) return ratio.toFixed(1);
  return ratio.toFixed(ratio < 0.0995 ? 3 : 2);
}

export function timeText(seconds: number): string {
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(1)} us`;
  return seconds < 1 ? `${(seconds * 1e3).toFixed(2)} ms` : `${seconds.toFixed(2)} s`;
}

/** `met`, `missed by 12 %`, or nothing where there is no goal. */
export function verdictText(row: Pick<Row, "ratio" | "goal">): string {
  if (row.goal === null) return "";
  const missed = missedBy(row);
  return missed === 0 ? "met" : `missed by ${Math.max(1, Math.round(missed * 100))} %`;
}

/** Columns of the table: the peers' names, two times, the ratio with its rounds, the goal. */
const widths = { name: 50, time: 10, ratio: 7, spread: 32 };

/** The first lines of a subject. */
export function tableHead(subject: string, paint: Paint): string {
  const head = [
    "  ours, and what it is compared with".padEnd(widths.name),
    "our time".padStart(widths.time),
    "its time".padStart(widths.time),
    "ratio".padStart(widths.ratio),
    "  least .. quartiles .. most".padEnd(widths.spread),
    "  goal",
  ].join("");
  return `${paint("bold", subject)}\n${paint("dim", head)}`;
}

/** A row; where its way is not that of the row before, under a line with its name. */
export function tableLines(ours: string, row: Measured, isFirst: boolean, paint: Paint): string {
  const spread = [row.spread[0], ...row.quartiles, row.spread[1]].map(ratioText).join(" .. ");
  const goal =
    row.goal === null
      ? ""
      : paint(missedBy(row) === 0 ? "green" : "red", `  ${ratioText(row.goal)} ${verdictText(row)}`);
  const line = [
    `    ${row.against}`.padEnd(widths.name),
    timeText(row.seconds.ours).padStart(widths.time),
    timeText(row.seconds.peer).padStart(widths.time),
    paint("bold", ratioText(row.ratio).padStart(widths.ratio)),
    `  ${spread}`.padEnd(widths.spread),
    goal,
  ]
    .join("")
    .trimEnd();
  return isFirst ? `  ${ours}\n${line}` : line;
}
