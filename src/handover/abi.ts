import { newClaims } from "../../formats/claims.js";
import type { Context, Limits } from "../../formats/context.js";
import type { Fdt } from "../../formats/fdt/index.js";
import { kernelOf } from "../../formats/kernels.js";
import { bitmapSizeOf, decodeBitmapMap, decodeChunks } from "../../formats/kho/map-bitmaps.js";
import { decodeRadixMap, radixShape } from "../../formats/kho/map-radix.js";
import { decodeRoot } from "../../formats/kho/root.js";
import { lookupIn } from "../../formats/kho/runs.js";
import { pageSizes } from "../layout/index.js";
import { type Memory, type PhysAddr, pfnOf } from "../memory/index.js";
import { KhoError } from "../report/error.js";

/** Everything that says, or may betray, how large the pages are. */
export interface PageSizeEvidence {
  /** By the caller or a side file. */
  readonly given: number | undefined;
  readonly arch: "x86_64" | "aarch64" | undefined;
  /** Bytes of the root as handed off, which are always a page; 0 if unknown. */
  readonly recorded: bigint;
  /** True if there is an x86 hand-off record. */
  readonly record: boolean;
  readonly vmcoreinfo: number | undefined;
  readonly memory: Memory;
  readonly limits: Limits;
  readonly fdt: Fdt;
  readonly fdtPa: PhysAddr;
}

/** The page size, and the architecture where that follows. */
export interface PageSizeChoice {
  readonly pageSize: number;
  readonly arch?: "x86_64" | "aarch64";
}

const isPageSize = (size: number | bigint | undefined): boolean =>
  pageSizes.some((known) => known === Number(size));

/**
 * Nothing in a handover records the page size. In this order: what the caller says, x86, the size that was handed off
 * with the root, VMCOREINFO; else the page size whose reading of the memory map contains the root itself.
 * @throws KhoError `usage` for a page size that no kernel with KHO has
 */
export function choosePageSize(evidence: PageSizeEvidence): PageSizeChoice {
  const { given, arch, recorded, record, vmcoreinfo } = evidence;
  if (given !== undefined && !isPageSize(given))
    throw new KhoError("usage", `no kernel with KHO has pages of ${given} bytes`, {
      expected: pageSizes.join(", "),
      actual: String(given),
    });
  const known = arch ?? (record ? ("x86_64" as const) : undefined);
  const withArch = (pageSize: number): PageSizeChoice => {
    const implied = known ?? (pageSize === 4096 ? undefined : ("aarch64" as const));
    return { pageSize, ...(implied && { arch: implied }) };
  };
  if (given !== undefined) return withArch(given);
  if (known === "x86_64") return withArch(4096);
  if (isPageSize(recorded)) return withArch(Number(recorded));
  if (isPageSize(vmcoreinfo)) return withArch(vmcoreinfo!);
  return withArch(tryAll(evidence));
}

function tryAll({ memory, limits, fdt, fdtPa }: PageSizeEvidence): number {
  if (memory.ranges.length === 0) return pageSizes[0];
  const tries = pageSizes.map((pageSize) => {
    let faults = 0;
    const ctx: Context = {
      memory,
      abi: { byteOrder: "little", pageSize },
      kernel: kernelOf("7.3"),
      limits,
      claims: newClaims(pageSize),
      report: (severity) => {
        if (severity === "error") faults++;
      },
    };
    const { mapPa, form, subtrees } = decodeRoot({ ...ctx, report: () => {} }, fdt, fdtPa);
    if (mapPa === 0n) return { pageSize, kept: 0, faults: 1 };
    const list = form.map === "bitmaps" ? decodeChunks(ctx, mapPa) : undefined;
    const { runs } = list
      ? decodeBitmapMap(ctx, mapPa, list, bitmapSizeOf(list, ctx.abi) ?? "page")
      : decodeRadixMap(ctx, mapPa, radixShape(ctx.abi));
    const lookup = lookupIn(runs);
    const kept = [fdtPa, ...subtrees.map(({ pa }) => pa)].filter(
      (pa) => lookup(pfnOf(pa, pageSize)).kind === "block",
    );
    return { pageSize, kept: kept.length, faults };
  });
  tries.sort((a, b) => b.kept - a.kept || a.faults - b.faults || a.pageSize - b.pageSize);
  return tries[0]!.pageSize;
}
