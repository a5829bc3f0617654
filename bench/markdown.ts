import { partsOf, type Row } from "./ratios.js";
import { ratioText, verdictText } from "./table.js";

/** The rows as a table with columns of equal width. */
export function markdownTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => {
    const { subject, ours } = partsOf(row);
    return [
      subject,
      code(ours),
      row.against,
      ratioText(row.ratio),
      row.spread.map(ratioText).join(" .. "),
      row.goal === null ? "" : `<= ${ratioText(row.goal)}, ${verdictText(row)}`,
    ].map((cell) => cell.replaceAll("|", "\\|"));
  });
  const head = ["Work", "Ours", "Against", "Ratio", "Least .. most", "Goal"];
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => (i === numbers ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join(" | ")} |`;
  const rule = widths.map((width, i) => (i === numbers ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  return [line(head), `| ${rule.join(" | ")} |`, ...cells.map(line)].join("\n");
}

/** The column that is aligned to the right. */
const numbers = 3;

/** Names of functions stand out, what is said of them does not. */
const code = (ours: string): string => ours.replace(/\b[a-z]+[A-Z]\w*/g, "`$&`");

const begin = "<!-- bench -->";
const end = "<!-- /bench -->";

/** Puts `block` between the markers of a text. Throws where it has not exactly one of each, in order. */
export function withBlock(text: string, block: string): string {
  const parts = text.split(begin);
  const rest = parts[1]?.split(end);
  if (parts.length !== 2 || rest?.length !== 2) throw new Error(`the text has no block ${begin} ... ${end}`);
  return `${parts[0]}${begin}\n\n${block.trim()}\n\n${end}${rest[1]}`;
}
