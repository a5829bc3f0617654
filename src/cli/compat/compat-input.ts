import { kernels } from "../../../formats/kernels.js";
import type { PageSizes } from "../../compat/states/state.js";
import { KhoError } from "../../report/error.js";
import { kernelArgument } from "../abi/kernel-argument.js";
import type { Run } from "../run.js";

/** A kernel as the user names it, and the release whose formats it has. */
export interface NamedKernel {
  readonly name: string;
  readonly release: string;
}

/** @throws KhoError `unknown-release` for an image of a kernel whose formats are not known */
export function namedKernel(run: Run, name: string): NamedKernel {
  const { release, kernel, evidence } = kernelArgument(run, name);
  if (!kernel)
    throw new KhoError("unknown-release", `no handover formats are known for ${name}`, { actual: evidence });
  return { name, release: release ?? kernel.release };
}

/** One release of every row of formats: the last that has them where the row after it is of the same series. */
export const matrixReleases = (): string[] =>
  kernels.map(({ release }, i) => {
    const next = kernels[i + 1]?.release.split(".");
    const [major, minor] = release.split(".");
    return next?.[2] !== undefined && next[0] === major && next[1] === minor
      ? `${major}.${minor}.${Number(next[2]) - 1}`
      : release;
  });

/** @throws KhoError `usage` where only the second is named */
export function pageSizes(from: number | undefined, to: number | undefined): PageSizes | undefined {
  if (from === undefined && to !== undefined)
    throw new KhoError(
      "usage",
      "--to-page-size is of the second kernel, and --page-size of the first is missing",
    );
  return from === undefined ? undefined : { from, to: to ?? from };
}
