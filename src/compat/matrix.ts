import { judgeOf } from "./judge.js";
import { departureIn, lacking, type PageSizes, type State } from "./states/state.js";
import { states as allStates } from "./states.js";
import { type VerdictKind, worstOf } from "./verdict.js";

/** What one release makes of one state that another one hands over. */
export interface StateVerdict {
  readonly state: string;
  readonly verdict: VerdictKind;
  /** What decides. Empty if it works. */
  readonly detail: string;
}

/** What one release makes of all that another one can hand over. */
export interface PairVerdict {
  readonly from: string;
  readonly to: string;
  readonly states: readonly StateVerdict[];
}

/** How to compare. */
export interface MatrixOptions {
  /** Bytes of a page before and after; 4096 unless given. */
  readonly pages?: PageSizes;
  /** What to hand over; everything that is known unless given. */
  readonly states?: readonly State[];
  /** Told how far it is, in handovers that were looked at. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Lets every release of `from` hand over every state that it can have to every release of `to`. Releases are as
 * {@link judgeOf} takes them. Pairs are in the order of `from`, then `to`.
 * @throws KhoError `unknown-release`
 */
export function judgeReleases(
  from: readonly string[],
  to: readonly string[],
  { pages, states = allStates, onProgress }: MatrixOptions = {},
): PairVerdict[] {
  const pairs = from.flatMap((old) =>
    to.map((next) => ({ from: old, to: next, states: [] as StateVerdict[] })),
  );
  const total = pairs.length * states.length;
  let done = 0;
  for (const old of new Set(from)) {
    const own = pairs.filter((pair) => pair.from === old);
    for (const state of states) {
      const judgeFor = inState(state, old, pages);
      for (const pair of own) {
        pair.states.push({ state: state.name, ...judgeFor(pair.to) });
        onProgress?.(++done, total);
      }
    }
  }
  return pairs;
}

/** What a release hands over in one state, made once, and then judged. */
function inState(
  state: State,
  from: string,
  pages: PageSizes | undefined,
): (to: string) => Omit<StateVerdict, "state"> {
  const lacks = lacking(state, from, pages);
  if (lacks !== undefined) return () => ({ verdict: "not-applicable", detail: `Linux ${from} ${lacks}` });
  const judgeFor = judgeOf(departureIn(state, from, pages), pages && { pageSize: pages.to });
  return (to) => {
    const { verdict, detail } = judgeFor(to);
    return { verdict, detail };
  };
}

/** What a pair comes to: the worst of the states that apply, and whether the others fare better. */
export function summaryOf({ states }: PairVerdict): {
  readonly verdict: VerdictKind;
  readonly mixed: boolean;
} {
  const applying = states.filter(({ verdict }) => verdict !== "not-applicable");
  const verdict = worstOf(applying)?.verdict ?? "not-applicable";
  return { verdict, mixed: applying.some((state) => state.verdict !== verdict) };
}

/** True if everything works that there is. */
export const isFine = (pair: PairVerdict): boolean => {
  const { verdict } = summaryOf(pair);
  return verdict === "works" || verdict === "not-applicable";
};
