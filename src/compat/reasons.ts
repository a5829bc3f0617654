import type { PairVerdict } from "./matrix.js";
import { compareVerdicts, type VerdictKind } from "./verdict.js";

/** Why some pairs of releases do not work: one reason, and where it holds. */
export interface ReasonGroup {
  readonly verdict: VerdictKind;
  /** The detail of the first of them. Others differ in numbers and releases alone. */
  readonly detail: string;
  readonly pairs: readonly Pick<PairVerdict, "from" | "to">[];
  /** States that it concerns in any of the pairs, in their order. */
  readonly states: readonly string[];
}

/** Reasons that say the same together, worst first. What works and what does not apply needs none. */
export function groupReasons(pairs: readonly PairVerdict[]): ReasonGroup[] {
  const groups = new Map<string, ReasonGroup & { pairs: PairVerdict[]; states: string[] }>();
  for (const pair of pairs)
    for (const { state, verdict, detail } of pair.states) {
      if (verdict === "works" || verdict === "not-applicable") continue;
      const key = `${verdict} ${subjectOf(detail)}`;
      const group = groups.get(key) ?? { verdict, detail, pairs: [], states: [] };
      groups.set(key, group);
      if (group.pairs.at(-1) !== pair) group.pairs.push(pair);
      if (!group.states.includes(state)) group.states.push(state);
    }
  return [...groups.values()].sort((a, b) => compareVerdicts(a.verdict, b.verdict));
}

/** What a detail is about: the path in front of it, without the names and numbers in brackets. */
const subjectOf = (detail: string): string =>
  detail.slice(0, Math.max(detail.indexOf(": "), 0)).replace(/\[.*\]/, "[]");

/** `6.19, 7.0 to 7.1, 7.2; 7.1 to 7.2`: pairs with the same receivers together. */
export function pairsText(pairs: readonly Pick<PairVerdict, "from" | "to">[]): string {
  const receivers = new Map<string, string[]>();
  for (const { from, to } of pairs) receivers.set(from, [...(receivers.get(from) ?? []), to]);
  const writers = new Map<string, string[]>();
  for (const [from, to] of receivers) {
    const key = to.join(", ");
    writers.set(key, [...(writers.get(key) ?? []), from]);
  }
  return [...writers].map(([to, from]) => `${from.join(", ")} to ${to}`).join("; ");
}
