import { type PhysAddr, physAddr } from "../src/memory/index.js";
import { isKhoError } from "../src/report/error.js";
import type { Consequence } from "../src/report/finding.js";
import type { Context } from "./context.js";
import { type Fdt, readFdt } from "./fdt/index.js";

/**
 * Reads a blob at `pa` that has to be a flattened tree, past damage. What is wrong with it is reported under `path`
 * with what its reader would do; undefined if nothing could be read.
 */
export function readTree(
  ctx: Context,
  blob: Uint8Array,
  pa: PhysAddr,
  path: string,
  consequence?: Consequence,
): Fdt | undefined {
  try {
    return readFdt(blob, {
      lenient: true,
      report: ({ severity, code, offset, length, message, expected, actual }) =>
        ctx.report(severity, code, `${path}: ${message}`, {
          path,
          pa: physAddr(pa + BigInt(offset)),
          length,
          ...(expected !== undefined && { expected }),
          ...(actual !== undefined && { actual }),
          consequence,
        }),
    });
  } catch (error) {
    // The reader reported it before it threw. In strict mode `report` itself threw, with the consequence.
    if (isKhoError(error) && error.consequence === undefined) return undefined;
    throw error;
  }
}
