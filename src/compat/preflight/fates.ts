/** What becomes of each part of a handover in the next kernel. */
import type { Departure } from "../../machine/index.js";
import { judge } from "../judge.js";
import { type PartVerdict, type Verdict, worstOf } from "../verdict.js";
import { newDoubts } from "./doubts.js";
import type { Absent, Fate, FateKind, Fates, Judging } from "./judging.js";
import type { Part } from "./parts.js";
import { needOf, type Policy } from "./policy.js";

/** Worst first. */
const ranking: readonly FateKind[] = [
  "panic",
  "misread",
  "refused",
  "ignored",
  "unknown",
  "lossy",
  "works",
  "not-applicable",
];

/** True for the fate of what is there as it was. */
export const arrives = (verdict: FateKind): boolean => verdict === "works" || verdict === "not-applicable";
/** True for fates that cost more than the part itself. */
export const harms = (verdict: FateKind): boolean => verdict === "panic" || verdict === "misread";

/** Boots the receiver on a departure and tells what becomes of the parts, which are all that was left there. */
export function fatesOf(departure: Departure, parts: readonly Part[], judging: Judging): Fates {
  const { receiver, policy, gaps } = judging;
  const captured = (pfn: number): boolean => departure.memory.contents(pfn, 1)[0]?.kind !== "poison";
  const judged = (handlers?: ReadonlySet<string>): Verdict =>
    judge(departure, receiver.release, {
      captured,
      ...(handlers && { handlers }),
      ...(receiver.pageSize !== undefined && { pageSize: receiver.pageSize }),
    });
  const verdict = judged(receiver.handlers);
  let bare: Verdict | undefined;
  const doubt = newDoubts(departure.release, judging, () => (bare ??= judged(new Set())));
  // Memory that nobody wrote, and that is taken for a part of the handover, is none of the parts.
  const whole =
    verdict.reason !== undefined || !verdict.parts.some((part) => part.verdict === verdict.verdict);
  const said = byName(verdict.parts);
  const fates = new Map<string, Fate>();
  for (const part of parts) {
    const owner = part.within === undefined ? undefined : fates.get(part.within);
    const own = whole ? { verdict: verdict.verdict, detail: "" } : takeVerdict(said, part, owner ?? verdict);
    const doubts = whole ? undefined : doubt(part, own.verdict);
    const names = owner ? [part.part, owner.part] : [part.part];
    fates.set(part.key, { ...part, ...own, ...doubts, need: needOf(policy, names) });
  }
  const all = [...fates.values(), ...(whole ? [] : surplusOf(said, policy))];
  const promised =
    (!whole || arrives(verdict.verdict)) &&
    gaps.length === 0 &&
    all.every(({ verdict: kind, need }) => arrives(kind) || (need === "optional" && !harms(kind)));
  return {
    ...overall(verdict, all, gaps),
    parts: all,
    promised,
    ...(verdict.reason && { reason: verdict.reason }),
  };
}

/** The worst of everything. What a reader finds where the capture has a gap says nothing; an unknown root does. */
function overall(
  { verdict, detail, reason }: Verdict,
  parts: readonly Fate[],
  [gap]: readonly Absent[],
): Pick<Fates, "verdict" | "detail"> {
  if (verdict === "ignored" && reason) return { verdict, detail };
  if (gap) return { verdict: "unknown", detail: gap.text };
  if (reason) return { verdict, detail };
  const worst = ranking.find((kind) => parts.some((part) => part.verdict === kind)) ?? "works";
  if (arrives(worst)) return { verdict: "works", detail: "" };
  const telling = parts.find((part) => part.verdict === worst && part.detail !== "");
  return { verdict: worst, detail: telling ? `${telling.part}: ${telling.detail}` : detail };
}

type Said = Map<string, PartVerdict[]>;

/** Verdicts by the names of their parts, each in the order of the handover. */
function byName(parts: readonly PartVerdict[]): Said {
  const said: Said = new Map();
  for (const part of parts) {
    const known = said.get(part.part);
    if (known) known.push(part);
    else said.set(part.part, [part]);
  }
  return said;
}

/** Takes the verdict of a part. One that was not asked for shares the fate of what it belongs to: a session, or the whole. */
function takeVerdict(
  said: Said,
  { judged, kind }: Part,
  owner: Pick<Fate, "verdict">,
): Pick<Fate, "verdict" | "detail"> {
  const own = said.get(judged) ?? [];
  // Of the memory map several things can be said.
  const found = kind === "memory map" ? worstOf(own.splice(0)) : own.shift();
  if (found) return { verdict: found.verdict, detail: found.detail };
  if (owner.verdict !== "works") return { verdict: owner.verdict, detail: "" };
  return { verdict: "unknown", detail: "nothing was found out about it" };
}

/** What went wrong with what is no part of the handover, or only stands for parts that are. */
function surplusOf(said: Said, policy: Policy): Fate[] {
  return [...said.values()]
    .flat()
    .filter(({ verdict }) => verdict !== "works" && verdict !== "not-applicable")
    .map(({ part, verdict, detail }) => ({
      kind: part.startsWith("sessions[") ? "session" : "subtree",
      part,
      judged: part,
      key: part,
      path: part,
      verdict,
      detail,
      need: needOf(policy, [part]),
    }));
}
