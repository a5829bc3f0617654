/** Forensic mode reads on where strict mode stops, and says all that strict mode says. */
import { fail } from "../../src/fuzz/finding.js";
import type { Decoded } from "../../src/handover/index.js";
import { differenceOf } from "./equal.js";
import type { Outcome } from "./errors.js";

/** Fails unless all that came out of strict mode came out of forensic mode. */
export function checkSuperset(strict: Outcome<Decoded>, forensic: Outcome<Decoded>): void {
  if (strict.value) {
    if (!forensic.value)
      fail("superset", `only forensic mode stops: ${forensic.error.code} ${forensic.error.path}`);
    const missed = forensic.value.findings.find(
      ({ consequence }) => consequence?.all && consequence.outcome !== "misread",
    );
    if (missed) fail("superset", `strict mode reads on past ${missed.code} at ${missed.path}`);
    const difference = differenceOf(strict.value, forensic.value);
    if (difference !== undefined) fail("superset", `strict and forensic mode differ at ${difference}`);
    return;
  }
  const { code, path = "", message, pa = 0n, consequence } = strict.error;
  if (forensic.error) {
    if (forensic.error.code === code && forensic.error.message === message) return;
    // What strict mode stops at comes first, and without it nothing might have stopped forensic mode.
    if (consequence) return;
    fail("superset", `strict mode says ${code}, forensic mode ${forensic.error.code}`);
  }
  const { findings } = forensic.value;
  const found = findings.some(
    (finding) =>
      finding.code === code && finding.path === path && finding.pa === pa && finding.message === message,
  );
  // Beyond a limit findings are counted only.
  if (found || findings.some((finding) => finding.code === "limit-exceeded")) return;
  fail("superset", `forensic mode lacks what strict mode stops at: ${code} at ${path}, ${message}`);
}
