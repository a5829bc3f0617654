/** IOMMU state of the proposed series in a handover, with the page tables that it keeps. */
import { newClaims } from "../../formats/claims.js";
import type { Context } from "../../formats/context.js";
import { armFormat } from "../../formats/iommu/arm/table.js";
import { type EntryReader, itemLg2, mostLevels, type PageTable } from "../../formats/iommu/format.js";
import { type FrameSet, newFrameSet } from "../../formats/iommu/frames.js";
import { type MappingRuns, newMappings } from "../../formats/iommu/mappings.js";
import { vtdss } from "../../formats/iommu/vtd/second-stage.js";
import { decodeMappings, type IommuContext } from "../../formats/iommu/walk.js";
import { x86Format } from "../../formats/iommu/x86.js";
import { kernelOf } from "../../formats/kernels.js";
import { lookupIn } from "../../formats/kho/runs.js";
import { decodeIommuState } from "../../formats/proposed/iommu/decode.js";
import { IOMMU_ARM_SMMUV3, IOMMU_INTEL } from "../../formats/proposed/iommu/layout.js";
import type { IommuSeries } from "../../formats/proposed/iommu/series.js";
import {
  type IommuDomain,
  type IommuState,
  isDeleted,
  type Placed,
} from "../../formats/proposed/iommu/state.js";
import type { Handover } from "../handover/index.js";
import { pageShift } from "../layout/index.js";
import { type PhysAddr, physAddr } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";

/** A preserved domain and its page table. */
export interface PersistedDomain {
  readonly record: Placed<IommuDomain>;
  /** Which format it has is not recorded: it follows from the IOMMU in front of the devices in it, and the record. */
  readonly table?: PageTable;
  readonly runs: MappingRuns;
  /** Frames of its tables. */
  readonly tables: FrameSet;
}

/** IOMMU state as it was handed over. */
export interface PersistedIommus {
  readonly series: IommuSeries;
  readonly rootPa: PhysAddr;
  readonly state: IommuState;
  /** As `state.domains`. */
  readonly domains: readonly PersistedDomain[];
}

/**
 * Reads the state that an FLB of the series leads to, walks the table of every domain, and checks that all tables are
 * preserved.
 * @throws KhoError `not-found` if the handover has no such FLB
 */
export function readPersisted(
  ctx: IommuContext,
  handover: Handover,
  series: IommuSeries,
): PersistedIommus | undefined {
  const flb = handover.luo?.flbs.find(({ name }) => name === series.compatible);
  if (!flb)
    throw new KhoError("not-found", `no FLB of the handover is called ${series.compatible}`, {
      expected: series.compatible,
      actual: (handover.luo?.flbs ?? []).map(({ name }) => name).join(", ") || "no FLBs",
    });
  const rootPa = physAddr(flb.data);
  const whole: Context = {
    ...ctx,
    abi: { byteOrder: "little", pageSize: handover.pageSize },
    kernel: kernelOf(handover.release),
    claims: newClaims(handover.pageSize, ctx.limits.maxClaims),
  };
  const state = decodeIommuState(whole, series, rootPa);
  if (!state) return undefined;
  const domains = state.domains.map((record, i) => readDomain(whole, state, record, i));
  checkPreserved(whole, handover, state, domains);
  return { series, rootPa, state, domains };
}

const domainPath = (index: number): string => `iommu.domains[${index}]`;

function readDomain(
  ctx: Context,
  state: IommuState,
  record: Placed<IommuDomain>,
  index: number,
): PersistedDomain {
  const tables = newFrameSet();
  const table = isDeleted(record) ? undefined : tableOf(ctx, state, record, index);
  if (!table) return { record, runs: newMappings().finish(), tables };
  return { record, table, runs: decodeMappings(ctx, table, `${domainPath(index)}.table`, tables), tables };
}

/** The table of a domain, as far as the records say how it is to be read. */
function tableOf(
  ctx: Context,
  state: IommuState,
  record: Placed<IommuDomain>,
  index: number,
): PageTable | undefined {
  const levels = Number(record.topLevel) + 1;
  const format = formatOf(ctx, state, record, index);
  if (!format) {
    ctx.report("info", "iommu-mode-guessed", "no device says which IOMMU this domain's table is for", {
      path: domainPath(index),
      pa: record.topTablePa,
    });
    return undefined;
  }
  const most = levels <= mostLevels ? Math.min(64, itemLg2(format, levels)) : 0;
  const vaBits = record.vaBits ?? most;
  if (vaBits > most || vaBits <= itemLg2(format, levels - 1)) {
    ctx.report(
      "error",
      "iommu-bad-context",
      `a table of ${levels} levels does not translate ${vaBits} bits`,
      {
        path: domainPath(index),
        pa: record.topTablePa,
        expected: `levels and bits of ${format.name}`,
        actual: `top level ${record.topLevel}, ${vaBits} bits`,
      },
    );
    return undefined;
  }
  return { format, root: record.topTablePa, levels, vaBits, signExtend: record.signExtend ?? false };
}

/** VT-d: the first stage is sign-extended, the second is not. SMMUv3: stage 1 has context descriptors, stage 2 none. */
function formatOf(
  { abi }: Context,
  state: IommuState,
  record: Placed<IommuDomain>,
  index: number,
): EntryReader | undefined {
  const device = state.devices.find((candidate) => candidate.domain === index && !isDeleted(candidate));
  const iommu = device?.iommu === undefined ? undefined : state.iommus[device.iommu];
  if (!device || !iommu) return undefined;
  if (iommu.type === BigInt(IOMMU_INTEL)) return record.signExtend ? x86Format() : vtdss();
  if (iommu.type !== BigInt(IOMMU_ARM_SMMUV3)) return undefined;
  const stage = device.smmuv3 && device.smmuv3.l1CdtabState !== 0n ? 1 : 2;
  return armFormat({ stage, granuleLg2: pageShift(abi) });
}

/** Every table of a domain has to be preserved as a block of its own, because the reading kernel restores it as one. */
function checkPreserved(
  ctx: Context,
  { preserved, pageSize }: Handover,
  state: IommuState,
  domains: readonly PersistedDomain[],
): void {
  if (!preserved) return;
  const lookup = lookupIn(preserved.runs);
  const scale = pageSize / 4096;
  for (const [i, { tables, table }] of domains.entries()) {
    if (!table) continue;
    const runs = tables.runs();
    let lost = 0;
    let first = -1;
    for (let run = 0; run < runs.length; run += 2)
      for (let frame = runs[run]!; frame < runs[run]! + runs[run + 1]!; frame++) {
        if (lookup(Math.floor(frame / scale)).kind !== "absent") continue;
        if (lost++ === 0) first = frame;
      }
    if (lost === 0) continue;
    ctx.report(
      "error",
      "page-not-preserved",
      `${lost} of the ${tables.size} pages of the domain's tables are not preserved`,
      {
        path: `${domainPath(i)}.table`,
        pa: BigInt(first) << 12n,
        length: 4096,
        actual: `top table at ${hex(table.root)}`,
        consequence: {
          outcome: "panic",
          phase: "boot",
          detail: "a table that cannot be restored stops the kernel on purpose",
        },
      },
    );
  }
  for (const [i, { intel }] of state.iommus.entries()) {
    if (!intel || intel.rootTable === 0n || isDeleted(state.iommus[i]!)) continue;
    if (lookup(Number(intel.rootTable / BigInt(pageSize))).kind === "absent")
      ctx.report("error", "page-not-preserved", "the IOMMU's root table is not preserved", {
        path: `iommu.iommus[${i}].root_table`,
        pa: intel.rootTable,
        length: 4096,
      });
  }
}
