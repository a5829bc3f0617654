/** Line charts below each other, as SVG. */
import { chartStyle } from "../svg.js";

export interface Line {
  /** Written at its right end, unless empty. Letters, digits and dashes. */
  readonly name: string;
  /** Ascending in x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Axis {
  readonly label: string;
  /** Ascending from 0. */
  readonly ticks: readonly number[];
  readonly end: number;
}

export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}

/** An axis from 0 to `most`, or to the round number above it. Precondition: `most` is above 0. */
export function axis(label: string, most: number, end: "there" | "above"): Axis {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough)!;
  const count = end === "above" ? Math.ceil(most / step - 1e-9) : Math.floor(most / step + 1e-9);
  const ticks = Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12)));
  return { label, ticks, end: end === "above" ? ticks.at(-1)! : most };
}

const width = 860;
const panelHeight = 330;
const frame = { left: 72, right: 130, top: 40, bottom: 52 };
const inner = { width: width - frame.left - frame.right, height: panelHeight - frame.top - frame.bottom };
const lineHeight = 13;

/** Readable on white and on near black; beyond these, lines are dashed. */
const colors = ["#2a7fd4", "#d9661f", "#2e9e5b", "#c44d8f", "#8a6fd1", "#a3831c", "#1f9c9c", "#d1495b"];
const dashes = ["", "6 3", "2 3"];

export function chart(panels: readonly Panel[]): string {
  const height = panels.length * panelHeight;
  const drawn = panels.map(
    (panel, i) => `<g transform="translate(${frame.left} ${i * panelHeight + frame.top})">${draw(panel)}</g>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title>Coverage and speed of a run of kho fuzz</title>
<style>${chartStyle}
</style>
<rect class="back" width="${width}" height="${height}"/>
${drawn.join("\n")}
</svg>
`;
}

function draw({ title, x, y, lines }: Panel): string {
  const atX = (value: number): number => round((value / x.end) * inner.width);
  const atY = (value: number): number => round(inner.height - (value / y.end) * inner.height);
  const parts = [
    text(0, -16, title, 'class="title"'),
    text(inner.width / 2, inner.height + 40, x.label, 'text-anchor="middle"'),
    `<text transform="translate(-56 ${inner.height / 2}) rotate(-90)" text-anchor="middle">${y.label}</text>`,
    ...x.ticks.map(
      (tick) =>
        `<path class="grid" d="M${atX(tick)} 0V${inner.height}"/>` +
        text(atX(tick), inner.height + 18, number(tick), 'text-anchor="middle"'),
    ),
    ...y.ticks.map(
      (tick) =>
        `<path class="grid" d="M0 ${atY(tick)}H${inner.width}"/>` +
        text(-8, atY(tick) + 4, number(tick), 'text-anchor="end"'),
    ),
    ...lines.map(({ points }, i) => {
      const path = points.map(([px, py]) => `${atX(px)} ${atY(py)}`).join("L");
      const color = colors[i % colors.length];
      const dash = dashes[Math.floor(i / colors.length) % dashes.length];
      return `<path class="line" stroke="${color}"${dash && ` stroke-dasharray="${dash}"`} d="M${path}"/>`;
    }),
    ...labels(lines, atY),
  ];
  return parts.join("\n");
}

/** Names at the ends of their lines, moved apart where lines end close to each other. */
function labels(lines: readonly Line[], atY: (value: number) => number): string[] {
  const ends = lines
    .map(({ name, points }, i) => ({ name, color: colors[i % colors.length], y: atY(points.at(-1)![1]) + 4 }))
    .filter(({ name }) => name !== "")
    .sort((a, b) => b.y - a.y);
  let below = inner.height + 4 + lineHeight;
  return ends.map(({ name, color, y }) => {
    below = Math.min(y, below - lineHeight);
    return `<text x="${inner.width + 8}" y="${below}" style="fill: ${color}">${name}</text>`;
  });
}

const round = (value: number): number => Math.round(10 * value) / 10;
const number = (value: number): string => value.toLocaleString("en-US");
const text = (x: number, y: number, content: string, attributes: string): string =>
  `<text x="${x}" y="${y}" ${attributes}>${content}</text>`;
