import { isFine, type PairVerdict, summaryOf } from "../../compat/matrix.js";
import { groupReasons, pairsText, type ReasonGroup } from "../../compat/reasons.js";
import type { VerdictKind } from "../../compat/verdict.js";
import type { Run } from "../run.js";
import { alignRows } from "../table.js";
import type { Style } from "../terminal.js";
import { safeName, safeSentence, wrap } from "../text.js";

/** What the verdicts mean, worst first. */
export const legend: Readonly<Record<VerdictKind, string>> = {
  panic: "the boot stops, or a call runs into an unhandled fault",
  misread: "it is accepted and taken for something else",
  refused: "a call fails with an errno",
  ignored: "boots as if cold, everything is lost",
  lossy: "it is taken, without a part of it",
  works: "everything is there, as it was",
  "not-applicable": "the first kernel cannot have it",
};

/** A verdict in its colour. */
export function verdictText(verdict: VerdictKind, style: Style, text: string = verdict): string {
  if (verdict === "works") return style.good(text);
  if (verdict === "not-applicable") return style.dim(text);
  return verdict === "lossy" || verdict === "ignored" ? style.warn(text) : style.bad(text);
}

/** Both ways between two kernels: a line for each state, then the reasons. */
export function pairLines(run: Run, there: PairVerdict, back: PairVerdict): string[] {
  const { style } = run;
  const name = (pair: PairVerdict): string => `${safeName(pair.from)} to ${safeName(pair.to)}`;
  const short = (verdict: VerdictKind): string =>
    verdictText(verdict, style, verdict === "not-applicable" ? "-" : verdict);
  const rows = there.states.map(({ state, verdict }, i) => [
    state,
    short(verdict),
    short(back.states[i]!.verdict),
  ]);
  const head = ["state", name(there), `back, ${name(back)}`].map(style.bold);
  return [...alignRows([head, ...rows]), ...reasonsOf(run, there), ...reasonsOf(run, back)];
}

function reasonsOf(run: Run, pair: PairVerdict): string[] {
  const { style } = run;
  const groups = groupReasons([pair]);
  const title = style.bold(`${safeName(pair.from)} to ${safeName(pair.to)}`);
  if (isFine(pair)) return ["", `${title}  ${style.good("everything works")}`];
  return ["", title, ...groups.flatMap((group) => groupLines(run, group, group.states.join(", ")))];
}

/** A matrix with a word for each pair, its legend, and the reasons. */
export function matrixLines(run: Run, releases: readonly string[], pairs: readonly PairVerdict[]): string[] {
  const { style } = run;
  const cell = (from: string, to: string): string => {
    const pair = pairs.find((candidate) => candidate.from === from && candidate.to === to)!;
    const { verdict, mixed } = summaryOf(pair);
    return verdictText(verdict, style, mixed ? `${verdict}*` : verdict);
  };
  const rows = releases.map((from) => [style.bold(from), ...releases.map((to) => cell(from, to))]);
  const head = ["from \\ to", ...releases].map(style.bold);
  const seen = new Set(pairs.map((pair) => summaryOf(pair).verdict));
  const meanings = Object.entries(legend)
    .filter(([verdict]) => seen.has(verdict as VerdictKind))
    .map(([verdict, meaning]) => [verdictText(verdict as VerdictKind, style), meaning]);
  return [
    ...alignRows([head, ...rows]),
    "",
    ...alignRows([...meanings, ["*", "the worst: not everything fares like that"]]),
    "",
    style.bold("why"),
    ...groupReasons(pairs).flatMap((group) =>
      groupLines(run, group, `${pairsText(group.pairs)}  (${statesText(group, pairs)})`),
    ),
  ];
}

/** `every state`, or their names. */
function statesText({ states }: ReasonGroup, pairs: readonly PairVerdict[]): string {
  return states.length === pairs[0]!.states.length ? "every state" : states.join(", ");
}

const indent = " ".repeat(9);

function groupLines({ style, columns }: Run, { verdict, detail }: ReasonGroup, where: string): string[] {
  const room = Math.max(40, columns - indent.length);
  const [first = "", ...rest] = wrap(safeSentence(detail), room);
  const tag = verdictText(verdict, style) + " ".repeat(Math.max(1, indent.length - verdict.length));
  return [
    tag + first,
    ...rest.map((line) => indent + line),
    ...wrap(safeSentence(where), room).map((line) => indent + style.dim(line)),
  ];
}
