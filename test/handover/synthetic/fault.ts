/** Handovers with one fault, and what a reader has to say of it. */

import { expect } from "vitest";
import { type DecodeOptions, decodeHandover } from "../../../src/handover/index.js";
import { openImage } from "../../../src/image/node.js";
import { isKhoError, type KhoError } from "../../../src/report/error.js";
import type { Consequence, Finding, Severity } from "../../../src/report/finding.js";
import { folios, scratch } from "./plans.js";
import { type Form, formOf } from "./releases.js";
import { type Hooks, type Plan, type Written, write } from "./writer.js";

export interface Fault {
  /** Labels of the forms that are written. */
  forms: readonly string[];
  plan?: Partial<Plan> | ((form: Form) => Partial<Plan>);
  hooks?: Hooks | ((form: Form) => Hooks);
  /** Breaks the bytes. */
  damage?: (written: Written) => void;
  /** The release that reads, if it is not the one that wrote. */
  reader?: string;
  options?: (written: Written) => DecodeOptions;
  code: string;
  severity?: Severity;
  path: string | RegExp;
  /** Address that the finding names. */
  pa?: (written: Written) => bigint;
  /** What the reader does; null for nothing at all. */
  does: Consequence | null | ((form: Form) => Consequence | null);
  /** Severities of other findings that are in the wake of the fault are not looked at, but strict mode is. */
  strict: "throws" | "reads";
}

/** A small handover with a bit of everything that the form has. */
export function smallPlan(form: Form): Plan {
  return {
    form,
    pageSize: 4096,
    handoff: "setup_data",
    scratch,
    ...(form.luo && {
      sessions: [
        {
          name: "vm-0",
          files: [
            { token: 1n, memfd: { size: 8n * 4096n, folios: folios([2, 0, 0, 0, 0]) } },
            { token: 2n, memfd: { size: 4096n, folios: folios([0]) } },
          ],
        },
        { name: "vm-1", files: [{ token: 1n, memfd: { size: 2n * 4096n, folios: folios([0, 0]) } }] },
      ],
    }),
    ...(form.luo?.flb && {
      flbs: [{ name: "liveupdate-test-flb-v0", data: 0xfeedf00dcafebee0n, count: 1n }],
    }),
    reserveMem: [{ name: "trace", start: 0x12000000n, size: 0x200000n }],
    ...(form.metadata && { metadata: { release: `${form.label}.4`, count: 2 } }),
    khoTest: [0, 2, 0],
    stray: [{ pfn: 2 ** 22 + 4, order: 1 }],
  };
}

export const broken = (fault: Fault, label: string): Written => {
  const form = formOf(label);
  const plan = typeof fault.plan === "function" ? fault.plan(form) : fault.plan;
  const hooks = typeof fault.hooks === "function" ? fault.hooks(form) : fault.hooks;
  const written = write({ ...smallPlan(form), ...plan }, hooks);
  fault.damage?.(written);
  return written;
};

const plain = (consequence: Consequence | undefined | null): unknown =>
  consequence
    ? {
        outcome: consequence.outcome,
        phase: consequence.phase,
        all: consequence.all ?? false,
        errno: consequence.errno ?? "none",
      }
    : "none";

/** Decodes; an error that is thrown is given as such. */
export function attempt(
  written: Written,
  options: DecodeOptions,
): { findings: readonly Finding[]; error?: KhoError } {
  try {
    return decodeHandover(openImage(written.core()), options);
  } catch (error) {
    if (!isKhoError(error)) throw error;
    return { findings: [], error };
  }
}

export function expectFault(fault: Fault, label: string): void {
  const form = formOf(label);
  const written = broken(fault, label);
  const options: DecodeOptions = { release: fault.reader ?? form.release, ...fault.options?.(written) };
  const { findings, error } = attempt(written, { ...options, mode: "forensic" });
  expect(error).toBeUndefined();
  const fits = (finding: Finding): boolean =>
    finding.code === fault.code &&
    (typeof fault.path === "string" ? finding.path === fault.path : fault.path.test(finding.path));
  const found = findings.find(fits);
  const all = findings.map(({ severity, code, path, message }) => `${severity} ${code} ${path}: ${message}`);
  expect(found, `no ${fault.code} at ${fault.path} among:\n${all.join("\n")}`).toBeDefined();
  expect(found!.severity).toBe(fault.severity ?? "error");
  const does = typeof fault.does === "function" ? fault.does(form) : fault.does;
  expect(plain(found!.consequence)).toEqual(plain(does));
  if (fault.pa) expect(found!.pa).toBe(fault.pa(written));
  // What a kernel takes without a word is no error, unless it loses or misreads something.
  for (const { severity, consequence, code, path } of findings)
    if (severity === "error" && !consequence) expect([code, path]).toEqual("an error has a consequence");

  const strict = attempt(written, options);
  if (fault.strict === "reads") expect(strict.error).toBeUndefined();
  else {
    expect(strict.error, "strict mode has to stop").toBeDefined();
    expect(plain(strict.error?.consequence)).not.toBe("none");
    expect(strict.error?.consequence?.all).toBe(true);
  }
}

// What kernels do, as the findings have to say it.
export const ignored = (errno?: string): Consequence => ({
  outcome: "ignored",
  phase: "boot",
  all: true,
  ...(errno && { errno }),
});
export const stops = (errno?: string): Consequence => ({
  outcome: "panic",
  phase: "boot",
  all: true,
  ...(errno && { errno }),
});
export const openFails = (errno: string): Consequence => ({
  outcome: "refused",
  phase: "open",
  all: true,
  errno,
});
export const openOops: Consequence = { outcome: "panic", phase: "open", all: true };
export const retrieveFails = (errno: string): Consequence => ({
  outcome: "refused",
  phase: "retrieve",
  errno,
});
export const retrieveOops: Consequence = { outcome: "panic", phase: "retrieve" };
export const misread = (phase: Consequence["phase"]): Consequence => ({ outcome: "misread", phase });
export const dropped = (errno?: string): Consequence => ({
  outcome: "ignored",
  phase: "boot",
  ...(errno && { errno }),
});

export const chunked = ["6.16", "6.17.8", "6.17.9", "6.18", "6.19", "7.0"] as const;
export const radix = ["7.1", "7.2", "7.3"] as const;
export const every = [...chunked, ...radix] as const;
export const luoV1 = ["6.19", "7.0", "7.1"] as const;
export const luoV5 = ["7.2", "7.3"] as const;
export const live = [...luoV1, ...luoV5] as const;

/** Not in the capture, and an address that no machine has. */
export const nowhere = 0x7f_0000_0000n;
export const notCanonical = 0xdead_0000_0000_0000n;
