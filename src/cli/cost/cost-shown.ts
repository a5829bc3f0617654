import type { Cost } from "../../cost/cost.js";
import type { ToolkitTimes } from "../../cost/measure.js";
import type { Span } from "../../cost/time.js";
import { humanBytes, plural } from "../text.js";

/** A cost and what was asked for with it. */
export interface Shown {
  readonly cost: Cost;
  readonly toolkit?: ToolkitTimes;
  /** Seconds that the machine boots with nothing preserved, as somebody measured it. */
  readonly baseBoot?: number;
}

/** Instructions for people: `79.1 M`, `6.06 G`. */
export function instructionText(count: number): string {
  const sign = count < 0 ? "-" : "";
  let value = Math.abs(count);
  if (value < 1000) return `${sign}${value}`;
  let unit = -1;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${sign}${value.toPrecision(3)} ${units[unit]}`;
}
const units = ["k", "M", "G", "T", "P", "E"];

const scales = [
  { from: 2 * 86_400, unit: "d", seconds: 86_400 },
  { from: 2 * 3600, unit: "h", seconds: 3600 },
  { from: 120, unit: "min", seconds: 60 },
  { from: 1, unit: "s", seconds: 1 },
  { from: 1e-3, unit: "ms", seconds: 1e-3 },
  { from: 0, unit: "us", seconds: 1e-6 },
] as const;

/** A time from its fast to its slow end, in one unit: `0.15 ... 0.46 s`. */
export function spanText({ least, most }: Span): string {
  const largest = Math.max(Math.abs(least), Math.abs(most));
  const { unit, seconds } = scales.find(({ from }) => largest >= from)!;
  const [a, b] = [least, most].map((value) => numberText(value / seconds)) as [string, string];
  return a === b ? `${a} ${unit}` : `${a} ... ${b} ${unit}`;
}

/** Two or three digits that count. */
function numberText(value: number): string {
  if (Math.abs(value) < 0.005) return "0";
  const digits = Math.abs(value) < 9.995 ? 2 : Math.abs(value) < 99.95 ? 1 : 0;
  return value.toFixed(digits);
}

/** `2 MiB` for order 9 with 4K pages. */
export const folioText = (order: number, pageSize: number): string =>
  humanBytes(BigInt(pageSize) << BigInt(order));

/** `64 sessions, 64 files, 1 TiB in 268435456 folios`. */
export function totalsText({ totals, shape }: Cost): string {
  const { sessions, files, folios, pages } = totals;
  const bytes = BigInt(pages) * BigInt(shape.pageSize);
  return `${plural(sessions, "session")}, ${plural(files, "file")}, ${humanBytes(bytes)} in ${plural(folios, "folio")}`;
}
