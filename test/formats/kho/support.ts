import { newClaims } from "../../../formats/claims.js";
import { type Context, defaultLimits } from "../../../formats/context.js";
import { kernelOf } from "../../../formats/kernels.js";
import { openImage } from "../../../src/image/node.js";
import type { Finding } from "../../../src/report/finding.js";
import type { Ram } from "../../handover/synthetic/ram.js";

/** A context over test memory, with the findings that it collects. */
export function contextOf(ram: Ram, release = "7.3", pageSize = 4096): { ctx: Context; findings: Finding[] } {
  const findings: Finding[] = [];
  const ctx: Context = {
    memory: openImage(ram.core(0)).memory,
    abi: { byteOrder: "little", pageSize },
    kernel: kernelOf(release),
    limits: defaultLimits,
    claims: newClaims(pageSize),
    report: (severity, code, message, { path, pa = 0n, length = 0, ...rest }) => {
      const { consequence, ...detail } = rest;
      findings.push({
        severity,
        code,
        message,
        path,
        pa,
        length,
        ...detail,
        ...(consequence && { consequence }),
      });
    },
  };
  return { ctx, findings };
}

export const abiOf = (pageSize: number) => ({ byteOrder: "little", pageSize }) as const;
