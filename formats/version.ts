import type { PhysAddr } from "../src/memory/index.js";
import type { Consequence } from "../src/report/finding.js";
import type { Context } from "./context.js";
import { kernels } from "./kernels.js";

/** A version string that is not the one which the reader accepts. */
export interface ForeignVersion {
  /** What has it: `the root`. */
  readonly subject: string;
  readonly path: string;
  readonly pa: PhysAddr;
  readonly found: string;
  readonly expected: string;
  /** True if there is a decoder for it. */
  readonly known: boolean;
  readonly consequence: Consequence;
}

/**
 * Reports a version string that the release does not accept. Where the release is only a guess, a string that no
 * release ever wrote says that a development kernel did, whose own reader takes it: no fault, but worth a warning.
 */
export function reportVersion(ctx: Context, version: ForeignVersion): void {
  const { subject, path, pa, found, expected, known, consequence } = version;
  const released = kernels.some((kernel) => kernel.kho === found || kernel.luo === found);
  const message = `${subject} is of version "${found}"`;
  if (known && !released && ctx.releaseOpen)
    ctx.report(
      "warning",
      "compatible-mismatch",
      `${message}, which only development kernels wrote and read`,
      {
        path,
        pa,
        expected,
        actual: found,
      },
    );
  else
    ctx.report("error", known ? "compatible-mismatch" : "compatible-unknown", message, {
      path,
      pa,
      expected,
      actual: found,
      consequence,
    });
}
