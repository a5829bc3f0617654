import { isFine, judgeReleases, type PairVerdict } from "../../compat/matrix.js";
import { KhoError } from "../../report/error.js";
import { type Exit, exits } from "../exit.js";
import { jsonText } from "../json.js";
import type { Run } from "../run.js";
import type { ColorChoice } from "../terminal.js";
import { matrixReleases, namedKernel, pageSizes } from "./compat-input.js";
import { matrixMarkdown, pairMarkdown } from "./compat-markdown.js";
import { matrixLines, pairLines } from "./compat-text.js";

export interface CompatCommandOptions {
  readonly color: ColorChoice;
  readonly matrix?: boolean;
  readonly json?: boolean;
  readonly format?: "text" | "markdown" | "json";
  /** Bytes. */
  readonly pageSize?: number;
  readonly toPageSize?: number;
}

/**
 * `kho compat FROM TO`, `kho compat --matrix`: lets simulated kernels of one release hand over everything they can to those
 * of another one; 1 if anything does not work from the first to the second.
 */
export function compatCommand(
  run: Run,
  kernels: readonly (string | undefined)[],
  options: CompatCommandOptions,
): Exit {
  const named = kernels.filter((kernel) => kernel !== undefined);
  if (options.matrix ? named.length > 0 : named.length < 2)
    throw new KhoError(
      "usage",
      options.matrix ? "--matrix is of every release, and takes none" : "two kernels are compared",
      { expected: "FROM TO, or --matrix" },
    );
  const format = options.json ? "json" : (options.format ?? "text");
  return options.matrix
    ? matrix(run, format, options)
    : pair(run, named as [string, string], format, options);
}

type Format = NonNullable<CompatCommandOptions["format"]>;

function pair(
  run: Run,
  names: readonly [string, string],
  format: Format,
  options: CompatCommandOptions,
): Exit {
  const [from, to] = names.map((name) => namedKernel(run, name)) as [Named, Named];
  const pages = pageSizes(options.pageSize, options.toPageSize);
  const judge = (old: Named, next: Named, way: typeof pages, step: number): PairVerdict => {
    const onProgress = (done: number, total: number): void =>
      run.progress.update("handovers", step * total + done, 2 * total);
    const [judged] = judgeReleases([old.release], [next.release], { ...(way && { pages: way }), onProgress });
    return { ...judged!, from: old.name, to: next.name };
  };
  const there = judge(from, to, pages, 0);
  const back = judge(to, from, pages && { from: pages.to, to: pages.from }, 1);
  run.progress.clear();
  if (format === "json") run.out.line(jsonText({ ...there, rollback: back }));
  else
    for (const line of format === "markdown" ? pairMarkdown(there, back) : pairLines(run, there, back))
      run.out.line(line);
  run.out.flush();
  return isFine(there) ? exits.fine : exits.findings;
}

type Named = ReturnType<typeof namedKernel>;

function matrix(run: Run, format: Format, options: CompatCommandOptions): Exit {
  const pages = pageSizes(options.pageSize, options.toPageSize);
  const releases = matrixReleases();
  const pairs = judgeReleases(releases, releases, {
    ...(pages && { pages }),
    onProgress: (done, total) => run.progress.update("handovers", done, total),
  });
  run.progress.clear();
  if (format === "json") run.out.line(jsonText({ releases, pairs }));
  else
    for (const line of format === "markdown"
      ? matrixMarkdown(releases, pairs)
      : matrixLines(run, releases, pairs))
      run.out.line(line);
  run.out.flush();
  return pairs.every(isFine) ? exits.fine : exits.findings;
}
