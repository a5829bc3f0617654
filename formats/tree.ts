import { type PhysAddr, physAddr } from "../src/memory/index.js";
import type { Code } from "../src/report/codes.js";
import { isKhoError } from "../src/report/error.js";
import type { Consequence, Severity } from "../src/report/finding.js";
import { misread } from "./consequence.js";
import type { Context } from "./context.js";
import { type Fdt, type FdtProblem, readFdt } from "./fdt/index.js";
import { isAtLeast } from "./kernels.js";

/** A blob read as a flattened tree, past damage. */
export interface ReadTree {
  /** Undefined if nothing could be read. */
  readonly fdt: Fdt | undefined;
  readonly faults: readonly TreeFault[];
}

/** A fault of a tree, which its reader may know to be harmless. */
export type TreeFault = Omit<FdtProblem, "severity"> & { readonly severity: Severity };

/** Reads a blob that has to be a flattened tree. */
export function parseTree(blob: Uint8Array): ReadTree {
  const faults: FdtProblem[] = [];
  try {
    return { fdt: readFdt(blob, { lenient: true, report: (fault) => faults.push(fault) }), faults };
  } catch (error) {
    if (!isKhoError(error)) throw error;
    return { fdt: undefined, faults };
  }
}

/**
 * Reports what is wrong with a tree at `pa`, under `path`. `refused` is what its reader does with a tree whose header is
 * wrong, which is all that kernels check beforehand; past that they only fail to find what is behind the damage.
 */
export function reportTree(
  ctx: Context,
  { faults }: ReadTree,
  pa: PhysAddr,
  path: string,
  refused: Consequence,
): void {
  const unread = misread(refused.phase, "what is behind the damage is not found");
  for (const { severity, code, offset, length, message, expected, actual } of faults) {
    const accepted = code === "fdt-unaligned" && !isAtLeast(ctx.kernel, "7.1");
    ctx.report(accepted ? "warning" : severity, code, `${path}: ${message}`, {
      path,
      pa: physAddr(pa + BigInt(offset)),
      length,
      ...(expected !== undefined && { expected }),
      ...(actual !== undefined && { actual }),
      consequence:
        captureFaults.has(code) || accepted ? undefined : headerFaults.has(code) ? refused : unread,
    });
  }
}

/** What the kernel's parser notices before it looks for anything. */
const headerFaults: ReadonlySet<Code> = new Set([
  "fdt-bad-magic",
  "fdt-bad-version",
  "fdt-bad-layout",
  "fdt-unaligned",
]);
/** What is wrong with the capture and not with the tree. */
const captureFaults: ReadonlySet<Code> = new Set(["fdt-truncated", "limit-exceeded"]);

/** {@link parseTree} and {@link reportTree}. */
export function readTree(
  ctx: Context,
  blob: Uint8Array,
  pa: PhysAddr,
  path: string,
  refused: Consequence,
): Fdt | undefined {
  const read = parseTree(blob);
  reportTree(ctx, read, pa, path, refused);
  return read.fdt;
}
