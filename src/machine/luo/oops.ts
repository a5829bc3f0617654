import { KhoError } from "../../report/error.js";
import type { Phase } from "../../report/finding.js";

/** An access to where there is no memory: it kills whoever calls, and with the first process, or before it, the kernel. */
export const oops = (detail: string, phase: Phase): KhoError =>
  new KhoError("machine-oops", `the kernel oopses and kills the caller: ${detail}`, {
    consequence: { outcome: "panic", phase, detail },
  });
