import { newClaims } from "../../formats/claims.js";
import type { Context, Limits } from "../../formats/context.js";
import type { Fdt } from "../../formats/fdt/index.js";
import { newestKernel } from "../../formats/kernels.js";
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

/** The page size, how it is known, and the architecture where that follows. */
export interface PageSizeChoice {
  readonly pageSize: number;
  readonly guessed: boolean;
  /** Why this one, as a sentence. */
  readonly evidence: string;
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
  const { given, arch, recorded, record, vmcoreinfo, memory, limits, fdt, fdtPa } = evidence;
  if (given !== undefined && !isPageSize(given))
    throw new KhoError("usage", `no kernel with KHO has pages of ${given} bytes`, {
      expected: pageSizes.join(", "),
      actual: String(given),
    });
  const known = arch ?? (record ? ("x86_64" as const) : undefined);
  const choice = (pageSize: number, why: string, guessed = false): PageSizeChoice => {
    const implied = known ?? (pageSize === 4096 ? undefined : ("aarch64" as const));
    return { pageSize, guessed, evidence: why, ...(implied && { arch: implied }) };
  };
  if (given !== undefined) return choice(given, "named by the caller or a side file");
  if (known === "x86_64") return choice(4096, "x86-64 has no other");
  if (isPageSize(recorded)) return choice(Number(recorded), "a page was handed off for the root");
  if (isPageSize(vmcoreinfo)) return choice(vmcoreinfo!, "VMCOREINFO says so");
  if (memory.ranges.length === 0) return choice(pageSizes[0], "nothing tells; the smallest is taken", true);
  const [best] = readings(memory, limits, fdt, fdtPa);
  const why = best!.keepsRoot
    ? "with it the memory map keeps the root itself"
    : "the memory map reads best with it";
  return choice(best!.pageSize, why, true);
}

/** How a memory map reads with one page size. */
export interface Reading {
  readonly pageSize: number;
  /** Whether the map keeps the page of the root itself: only the right map of the right root does. */
  readonly keepsRoot: boolean;
  /** How many of the root's blobs it keeps, the root included. */
  readonly kept: number;
  readonly faults: number;
}

/** Reads the memory map of a root with each page size, quietly; the likeliest first. */
export function readings(memory: Memory, limits: Limits, fdt: Fdt, fdtPa: PhysAddr): Reading[] {
  const tries = pageSizes.map((pageSize): Reading => {
    let faults = 0;
    const ctx: Context = {
      memory,
      abi: { byteOrder: "little", pageSize },
      kernel: newestKernel,
      limits,
      claims: newClaims(pageSize),
      report: (severity) => {
        if (severity === "error") faults++;
      },
    };
    const { mapPa, form, subtrees } = decodeRoot({ ...ctx, report: () => {} }, fdt, fdtPa);
    if (mapPa === 0n) return { pageSize, keepsRoot: false, kept: 0, faults: 1 };
    const list = form.map === "bitmaps" ? decodeChunks(ctx, mapPa) : undefined;
    const map =
      form.map === "radix"
        ? decodeRadixMap(ctx, mapPa, radixShape(ctx.abi))
        : list && decodeBitmapMap(ctx, mapPa, list, bitmapSizeOf(list, ctx.abi) ?? "page");
    if (!map) return { pageSize, keepsRoot: false, kept: 0, faults };
    const lookup = lookupIn(map.runs);
    const isKept = (pa: PhysAddr): boolean => lookup(pfnOf(pa, pageSize)).kind === "block";
    const kept = [fdtPa, ...subtrees.map(({ pa }) => pa)].filter(isKept);
    return { pageSize, keepsRoot: isKept(fdtPa), kept: kept.length, faults };
  });
  return tries.sort((a, b) => b.kept - a.kept || a.faults - b.faults || a.pageSize - b.pageSize);
}
