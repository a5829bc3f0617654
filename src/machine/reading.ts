import { newClaims } from "../../formats/claims.js";
import { type Context, defaultLimits, reporter } from "../../formats/context.js";
import type { Kernel } from "../../formats/kernels.js";
import type { Abi } from "../layout/index.js";
import type { Memory } from "../memory/index.js";
import type { Finding } from "../report/finding.js";

/** What a simulated kernel reads its predecessor's bytes with: the decoders that everybody else uses, past damage. */
export function readingContext(
  { ram, abi, kernel }: { readonly ram: Memory; readonly abi: Abi; readonly kernel: Kernel },
  findings: Finding[],
): Context {
  return {
    memory: ram,
    abi,
    kernel,
    limits: defaultLimits,
    claims: newClaims(abi.pageSize),
    report: reporter(findings, false, defaultLimits.maxFindings),
  };
}
