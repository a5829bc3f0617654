import { type Kernel, kernelOf } from "../../../formats/kernels.js";
import { KhoError } from "../../report/error.js";
import type { SessionPlan } from "../plan.js";
import { type Change, type Editor, editorOf } from "./edit.js";
import { type Good, goodHandover, type Plan } from "./good.js";
import type { Trial } from "./predict.js";

/** What of a handover a fault is in. */
export type Area = "root" | "map" | "subtrees" | "sessions" | "files" | "flbs" | "memfd";

/** A handover that is right but for one thing. */
export interface CraftCase {
  /** Lower case, with dashes. */
  readonly name: string;
  /** What is wrong, in a sentence. */
  readonly about: string;
  readonly area: Area;
  /** Whether a release writes what this is about. */
  applies(kernel: Kernel): boolean;
  /** The handover without the fault; two sessions with files unless given. */
  readonly plan?: (kernel: Kernel) => Plan;
  /** Puts the fault in. */
  spoil(editor: Editor): void;
  /** What a program is to ask for, if that is not what was planned. */
  readonly asked?: (planned: readonly SessionPlan[]) => readonly SessionPlan[];
}

/** A handover with a fault. */
export interface Crafted extends Trial {
  readonly case: CraftCase;
  readonly good: Good;
  readonly departure: Good["departure"];
  /** All that differs from the good one. */
  readonly changes: readonly Change[];
}

/**
 * Makes the handovers of cases as a release writes them. Those without a fault are made once for all cases that share
 * their plan; undefined is what a release has nothing to do with.
 * @throws KhoError `unknown-release`
 */
export function crafter(release: string): (one: CraftCase) => Crafted | undefined {
  const kernel = kernelOf(release);
  const made = new Map<CraftCase["plan"], Good>();
  return (one) => {
    if (!one.applies(kernel)) return undefined;
    const good = made.get(one.plan) ?? goodHandover(release, one.plan?.(kernel) ?? {});
    made.set(one.plan, good);
    const editor = editorOf(good, kernel);
    one.spoil(editor);
    const { departure, changes } = editor;
    const asked = one.asked?.(good.sessions) ?? good.sessions;
    return { case: one, good, departure, reserveMem: good.reserveMem, changes, asked };
  };
}

/**
 * Makes the handover of one case as a release writes it.
 * @throws KhoError `unknown-release`; `usage` for a release that the case does not apply to
 */
export function craft(one: CraftCase, release: string): Crafted {
  const crafted = crafter(release)(one);
  if (crafted) return crafted;
  throw new KhoError("usage", `Linux ${release} does not write what ${one.name} is about`);
}

/** The handover of a case without its fault, and the same questions. */
export const unspoilt = ({ good, reserveMem }: Crafted): Trial => ({
  departure: good.departure,
  reserveMem,
  asked: good.sessions,
});
