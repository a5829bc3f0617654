import type { Cost } from "../../cost/cost.js";
import type { SweepLine } from "../../cost/sweep.js";
import { KhoError } from "../../report/error.js";
import { chartStyle } from "../svg.js";
import { humanBytes } from "../text.js";
import { folioText } from "./cost-shown.js";

const width = 860;
const height = 576;
const frame = { left: 84, right: 178, top: 62, bottom: 134 };
const inner = { width: width - frame.left - frame.right, height: height - frame.top - frame.bottom };
const lineHeight = 14;

/** Readable on white and on near black, one for each order. */
const colors = ["#2a7fd4", "#d9661f", "#2e9e5b"];

/** The slowest of the usual speeds: a second is so many instructions. */
const perSecond = 1e9;

/**
 * Modelled blackout against memory, both logarithmic, as one SVG that is readable on light and on dark.
 * @throws KhoError `usage` for more files than there are pages in the largest memory
 */
export function costSvg({ model, shape, totals }: Cost, lines: readonly SweepLine[]): string {
  const drawn = lines.filter(({ points }) => points.length > 1);
  if (drawn.length === 0)
    throw new KhoError("usage", `a chart up to 4 TiB has no room for ${totals.memfds} files`);
  const memories = drawn.flatMap(({ points }) => points.map(({ memory }) => memory));
  const x = scale(Math.min(...memories), Math.max(...memories), 2);
  const values = drawn.flatMap(({ points }) => points.map(secondsOf));
  const y = scale(
    10 ** Math.floor(Math.log10(Math.min(...values))),
    10 ** Math.ceil(Math.log10(Math.max(...values))),
    10,
  );
  const { constants, note } = model.constants;
  const title = "Modelled blackout of a handover against memory";
  const machines = `${totals.memfds || 1} memfd${totals.memfds > 1 ? "s" : ""} in ${totals.sessions || 1} session${totals.sessions > 1 ? "s" : ""}`;
  const caption = [
    `Modelled, not measured: ${note}.`,
    `Linux ${shape.release}, pages of ${humanBytes(shape.pageSize)}, ${machines}. Seconds at 1 G instructions/s, a third of it at 3 G;`,
    "without the boot itself, and without memblock_free_all, which gets shorter. Counted up to 131,072 folios and",
    "16,384 runs, extrapolated beyond. Solid: each file is one run. Dashed: no two folios are neighbours.",
  ];
  const atX = (value: number): number => round(x.at(value) * inner.width);
  const atY = (value: number): number => round((1 - y.at(value)) * inner.height);
  const orders = [...new Set(drawn.map(({ order }) => order))];
  const paths = drawn.map(({ order, layout, points }) => {
    const path = points.map((point) => `${atX(point.memory)} ${atY(secondsOf(point))}`).join("L");
    const dash = layout === "scattered" ? ' stroke-dasharray="6 3"' : "";
    return `<path class="line" stroke="${colors[orders.indexOf(order)]}"${dash} d="M${path}"/>`;
  });
  const names = drawn.map(({ order, layout, points }) => ({
    name: `${folioText(order, shape.pageSize)}, ${layout}`,
    color: colors[orders.indexOf(order)]!,
    y: atY(secondsOf(points.at(-1)!)) + 4,
  }));
  const parts = [
    text(0, -34, title, 'class="title"'),
    ...x.ticks.map(
      (tick, i) =>
        `<path class="grid" d="M${atX(tick)} 0V${inner.height}"/>` +
        (i % 2 === 0 ? text(atX(tick), inner.height + 18, humanBytes(tick), 'text-anchor="middle"') : ""),
    ),
    ...y.ticks.map(
      (tick) =>
        `<path class="grid" d="M0 ${atY(tick)}H${inner.width}"/>` +
        text(-8, atY(tick) + 4, secondsText(tick), 'text-anchor="end"'),
    ),
    ...paths,
    ...labels(names),
    text(inner.width / 2, inner.height + 40, "memory of all files", 'text-anchor="middle"'),
    `<text transform="translate(-66 ${inner.height / 2}) rotate(-90)" text-anchor="middle">blackout, modelled</text>`,
    ...caption.map((line, i) => text(0, inner.height + 66 + i * 16, line, 'class="caption"')),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title>${title}, with constants counted on Linux ${constants.kernel}</title>
<style>${chartStyle}
</style>
<rect class="back" width="${width}" height="${height}"/>
<g transform="translate(${frame.left} ${frame.top})">
${parts.join("\n")}
</g>
</svg>
`;
}

const secondsOf = ({ instructions }: SweepLine["points"][number]): number =>
  Math.max(1, instructions) / perSecond;

/** A logarithmic axis from one power of `base` to another: where a value is, from 0 to 1. */
function scale(from: number, to: number, base: number) {
  const steps = Math.max(1, Math.round(Math.log(to / from) / Math.log(base)));
  return {
    at: (value: number): number => Math.log(value / from) / Math.log(base) / steps,
    ticks: Array.from({ length: steps + 1 }, (_, i) => from * base ** i),
  };
}

/** Names at the ends of their lines, moved apart where lines end close to each other. */
function labels(
  names: readonly { readonly name: string; readonly color: string; readonly y: number }[],
): string[] {
  let below = inner.height + 4 + lineHeight;
  return [...names]
    .sort((a, b) => b.y - a.y)
    .map(({ name, color, y }) => {
      below = Math.min(y, below - lineHeight);
      return text(inner.width + 8, below, name, `style="fill: ${color}"`);
    });
}

/** A power of ten of seconds. */
function secondsText(seconds: number): string {
  const power = Math.round(Math.log10(seconds));
  if (power >= 5) return `1e${power} s`;
  const [unit, rest] = power >= 0 ? ["s", power] : power >= -3 ? ["ms", power + 3] : ["us", power + 6];
  return rest < 0 ? `1e${power} s` : `${(10 ** rest).toLocaleString("en-US")} ${unit}`;
}

const round = (value: number): number => Math.round(10 * value) / 10;
const text = (x: number, y: number, content: string, attributes: string): string =>
  `<text x="${x}" y="${y}" ${attributes}>${content}</text>`;
