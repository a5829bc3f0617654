import { defaultLimits } from "../../formats/context.js";
import { type MappingRuns, newMappings } from "../../formats/iommu/mappings.js";
import type { IommuContext } from "../../formats/iommu/walk.js";
import { newRuns } from "../../formats/kho/runs.js";
import type { Handover } from "../../src/handover/index.js";
import { type Memory, physAddr, sparseMemory } from "../../src/memory/index.js";
import type { Finding } from "../../src/report/finding.js";

/** First input frame, first frame, number of frames, access. */
export type Row = readonly [iova: number, pa: number, frames: number, access: number];

export function runsOf(rows: readonly Row[]): MappingRuns {
  const runs = newMappings();
  for (const [iova, pa, frames, access] of rows) runs.push(iova, pa, frames, access, 12);
  return runs.finish();
}

export function contextOver(memory: Memory = sparseMemory()): { ctx: IommuContext; findings: Finding[] } {
  const findings: Finding[] = [];
  return {
    findings,
    ctx: {
      memory,
      limits: defaultLimits,
      report: (severity, code, message, { pa = 0n, length = 0, path }) =>
        findings.push({ severity, code, message, path, pa, length }),
    },
  };
}

/** As much of a handover as IOMMUs are compared with. `preserved` are [pfn, pages], `scratch` is [address, bytes]. */
export function handoverOf(parts: {
  readonly preserved?: readonly (readonly [number, number])[];
  readonly scratch?: readonly (readonly [bigint, bigint])[];
  readonly flbs?: readonly { readonly name: string; readonly data: bigint; readonly count: bigint }[];
}): Handover {
  const runs = newRuns();
  for (const [pfn, pages] of parts.preserved ?? []) runs.push(0, pfn, pages);
  return {
    pageSize: 4096,
    release: "7.3",
    scratch: (parts.scratch ?? []).map(([pa, size]) => ({ pa: physAddr(pa), size })),
    ...(parts.preserved && { preserved: { runs: runs.finish() } }),
    luo: { sessions: [], flbs: parts.flbs ?? [] },
  } as unknown as Handover;
}
