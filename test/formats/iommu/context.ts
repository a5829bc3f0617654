import { defaultLimits, type Limits, reporter } from "../../../formats/context.js";
import type { IommuContext } from "../../../formats/iommu/walk.js";
import type { Memory } from "../../../src/memory/index.js";
import type { Finding } from "../../../src/report/finding.js";

/** A context over memory, with the findings that it collects. */
export function contextOver(
  memory: Memory,
  limits: Partial<Limits> = {},
): { readonly ctx: IommuContext; readonly findings: Finding[] } {
  const findings: Finding[] = [];
  const all = { ...defaultLimits, ...limits };
  return { ctx: { memory, limits: all, report: reporter(findings, false, all.maxFindings) }, findings };
}

/** Codes of findings, without repetitions. */
export const codesOf = (findings: readonly Finding[]): string[] => [
  ...new Set(findings.map(({ code }) => code)),
];
