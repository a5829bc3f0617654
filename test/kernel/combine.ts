/** Faults that end with the file they are in, all in one handover: a boot for many of them. */

import { kernelOf } from "../../formats/kernels.js";
import type { CraftCase } from "../../src/compat/craft/case.js";
import type { Editor } from "../../src/compat/craft/edit.js";
import { twoSessions } from "../../src/compat/craft/good.js";
import type { SessionPlan } from "../../src/compat/plan.js";

/** One case of several whose fault is in the first file of the first session: each gets a session, of its name. */
export function combined(cases: readonly CraftCase[], release: string): CraftCase {
  const kernel = kernelOf(release);
  const sessionOf = (one: CraftCase): SessionPlan => {
    const [first] = one.plan?.(kernel).sessions ?? twoSessions;
    return { ...first!, name: one.name };
  };
  return {
    name: "combined",
    about: `${cases.length} faults of files at once`,
    area: "memfd",
    applies: () => true,
    plan: () => ({ sessions: cases.map(sessionOf) }),
    spoil(editor) {
      for (const [i, one] of cases.entries()) one.spoil(withFirst(editor, i));
    },
  };
}

/** The same handover with another session in front. */
function withFirst(editor: Editor, index: number): Editor {
  const luo = editor.handover.luo!;
  const sessions = [luo.sessions[index]!, ...luo.sessions.filter((_, i) => i !== index)];
  return { ...editor, handover: { ...editor.handover, luo: { ...luo, sessions } } };
}
