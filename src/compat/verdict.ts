import type { Reason } from "../machine/index.js";

/** What becomes of something that is handed over, as whoever runs the machines has to know it. */
export type VerdictKind =
  /** It is there, as it was. */
  | "works"
  /** It is gone, or has less than it had; the kernel takes the rest. */
  | "lossy"
  /** The kernel takes nothing at all and boots as if cold. */
  | "ignored"
  /** A call that asks for it fails with an errno. */
  | "refused"
  /** The boot stops, or a call runs into an unhandled fault. */
  | "panic"
  /** It is taken for something else, and nobody says so. */
  | "misread"
  /** There is nothing to be taken. */
  | "not-applicable";

/** Worst first. */
const ranking: readonly VerdictKind[] = [
  "panic",
  "misread",
  "refused",
  "ignored",
  "lossy",
  "works",
  "not-applicable",
];

/** Below 0 if `a` is worse than `b`. */
export const compareVerdicts = (a: VerdictKind, b: VerdictKind): number =>
  ranking.indexOf(a) - ranking.indexOf(b);

/** The worst of some verdicts, the first of these; undefined if there are none. */
export const worstOf = <V extends { readonly verdict: VerdictKind }>(verdicts: readonly V[]): V | undefined =>
  verdicts.reduce<V | undefined>(
    (worst, next) => (worst && compareVerdicts(worst.verdict, next.verdict) <= 0 ? worst : next),
    undefined,
  );

/** What becomes of one part of a handover. */
export interface PartVerdict {
  /** `preserved`, `sessions[vm0]`, `sessions[vm0].files[5]`, `flbs[NAME]`, `reserve_mem[NAME]`, `kexec_metadata`. */
  readonly part: string;
  readonly verdict: VerdictKind;
  /** The field that decides, with what was handed over and what came out. Empty where nothing is to be said. */
  readonly detail: string;
}

/** What a kernel makes of a handover. */
export interface Verdict {
  /** The worst of the parts that apply. */
  readonly verdict: VerdictKind;
  /** What decides: the detail of that part. */
  readonly detail: string;
  /** Empty where the boot has decided over all of it. */
  readonly parts: readonly PartVerdict[];
  /** The fault at boot, of `ignored` and of a `panic` there. */
  readonly reason?: Reason;
}
