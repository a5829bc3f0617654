import { type PairVerdict, summaryOf } from "../../compat/matrix.js";
import { groupReasons, pairsText } from "../../compat/reasons.js";
import { legend } from "./compat-text.js";

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  row(head),
  row(head.map(() => "---")),
  ...rows.map(row),
];
/** Details hold names from kernels and captures, which may mean something to Markdown. */
const plain = (text: string): string => text.replace(/[\\`*_|<>[\]]/g, "\\$&");

/** Both ways between two kernels, as Markdown. */
export function pairMarkdown(there: PairVerdict, back: PairVerdict): string[] {
  const rows = there.states.map(({ state, verdict, detail }, i) => {
    const other = back.states[i]!;
    return [state, verdict, plain(detail), other.verdict, plain(other.detail)];
  });
  const [from, to] = [plain(there.from), plain(there.to)];
  return table(["state", `${from} to ${to}`, "why", `${to} to ${from}`, "why"], rows);
}

/** A matrix with a word for each pair, its legend, and the reasons, as Markdown. */
export function matrixMarkdown(releases: readonly string[], pairs: readonly PairVerdict[]): string[] {
  const cell = (from: string, to: string): string => {
    const { verdict, mixed } = summaryOf(pairs.find((pair) => pair.from === from && pair.to === to)!);
    return mixed ? `${verdict} \\*` : verdict;
  };
  const rows = releases.map((from) => [`**${from}**`, ...releases.map((to) => cell(from, to))]);
  const reasons = groupReasons(pairs).map(({ verdict, detail, pairs: where, states }) => [
    verdict,
    plain(detail),
    pairsText(where),
    states.join(", "),
  ]);
  return [
    ...table(["from \\\\ to", ...releases], rows),
    "",
    ...Object.entries(legend)
      .filter(([verdict]) => pairs.some((pair) => summaryOf(pair).verdict === verdict))
      .map(([verdict, meaning]) => `- **${verdict}**: ${meaning}`),
    "- **\\***: the worst; not everything fares like that",
    "",
    ...table(["verdict", "why, for example", "where", "states"], reasons),
  ];
}
