/** A chart of ratios as SVG: a bar from 1, which is as fast as the peer, to the ratio; the goal as a mark. */
import { missedBy, partsOf, type Row } from "./ratios.js";
import { ratioText } from "./table.js";

const width = 900;
const left = 390;
const right = 70;
const rowHeight = 22;
const headHeight = 24;
const top = 64;
const bottom = 34;

const style = `
  svg { --back: #ffffff; --text: #24292f; --faint: #d0d7de; --plain: #6e7f91; --met: #2e9e5b; --missed: #d1495b; }
  @media (prefers-color-scheme: dark) {
    svg { --back: #0d1117; --text: #c9d1d9; --faint: #30363d; --plain: #8b9bad; }
  }
  .back { fill: var(--back); }
  text { fill: var(--text); font: 12px system-ui, sans-serif; }
  .title { font-weight: 600; font-size: 14px; }
  .subject { font-weight: 600; stroke: var(--back); stroke-width: 4; paint-order: stroke; }
  .grid { stroke: var(--faint); stroke-width: 1; }
  .one { stroke: var(--text); stroke-width: 1; }
  .spread { stroke: var(--text); stroke-width: 1.4; fill: none; }
  .goal { stroke: var(--text); stroke-width: 2.4; }
  .plain { fill: var(--plain); }
  .met { fill: var(--met); }
  .missed { fill: var(--missed); }`;

/** Rows of the same subject and the same of our ways stand under one head. Needs a row, and ratios above 0. */
export function chart(title: string, rows: readonly Row[]): string {
  const values = rows.flatMap(({ spread, goal }) => [...spread, ...(goal === null ? [] : [goal])]);
  const low = Math.floor(Math.log10(Math.min(...values, 0.9)));
  const high = Math.ceil(Math.log10(Math.max(...values, 1.1)));
  const inner = width - left - right;
  /** Equal steps for equal factors: half as fast and twice as fast are equally far from 1. */
  const at = (ratio: number): number =>
    Math.round(10 * (left + ((Math.log10(ratio) - low) / (high - low)) * inner)) / 10;

  const drawn: string[] = [];
  let y = top;
  let head = "";
  for (const row of rows) {
    if (headOf(row) !== head) {
      head = headOf(row);
      drawn.push(`<text class="subject" x="12" y="${y + 16}">${escaped(head)}</text>`);
      y += headHeight;
    }
    drawn.push(drawRow(row, y, at));
    y += rowHeight;
  }
  const end = y + 4;
  const height = end + bottom;
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)).map(
    (tick) =>
      `<path class="${tick === 1 ? "one" : "grid"}" d="M${at(tick)} ${top - 6}V${end}"/>` +
      `<text x="${at(tick)}" y="${end + 18}" text-anchor="middle">${Number(tick.toPrecision(6))}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escaped(title)}</title>
<style>${style}
</style>
<rect class="back" width="${width}" height="${height}"/>
<text class="title" x="12" y="24">${escaped(title)}</text>
<text x="12" y="44">our time / the peer's, logarithmic; left of 1 is faster; thin lines: least to most; upright marks: goals</text>
${ticks.join("\n")}
${drawn.join("\n")}
</svg>
`;
}

function headOf(row: Row): string {
  const { subject, ours } = partsOf(row);
  return ours === "" ? subject : `${subject}: ${ours}`;
}

function drawRow(row: Row, y: number, at: (ratio: number) => number): string {
  const { against, ratio, spread, goal } = row;
  const kind = goal === null ? "plain" : missedBy(row) === 0 ? "met" : "missed";
  const middle = y + 10;
  const [from, to] = [Math.min(at(ratio), at(1)), Math.max(at(ratio), at(1))];
  // A bar of nothing is still seen.
  const bar = `<rect class="${kind}" x="${from}" y="${y + 3}" width="${Math.max(to - from, 1).toFixed(1)}" height="14"/>`;
  const ends = spread.map((end) => `M${at(end)} ${middle - 4}v8`).join("");
  const mark = goal === null ? "" : `<path class="goal" d="M${at(goal)} ${y}v20"/>`;
  const value = Math.max(to, at(spread[1]), goal === null ? 0 : at(goal)) + 6;
  return [
    `<text x="${left - 10}" y="${y + 14}" text-anchor="end">${escaped(against)}</text>`,
    bar,
    `<path class="spread" d="M${at(spread[0])} ${middle}H${at(spread[1])}${ends}"/>`,
    mark,
    `<text x="${value}" y="${y + 14}">${ratioText(ratio)}</text>`,
  ].join("");
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => entities[character]!);
