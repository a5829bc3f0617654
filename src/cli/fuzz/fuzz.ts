import { resolve } from "node:path";
import { readCorpus, writeCorpus, writeFinding } from "../../fuzz/node/folders.js";
import { runFuzz } from "../../fuzz/node/run.js";
import { ioError } from "../../image/file.js";
import { newFile } from "../../image/write.js";
import { KhoError } from "../../report/error.js";
import { type Exit, exits } from "../exit.js";
import { jsonText } from "../json.js";
import type { Run } from "../run.js";
import type { ColorChoice } from "../terminal.js";
import { type FuzzBuild, openBuild } from "./checkout.js";
import { listTargets } from "./list.js";
import { plotSvg } from "./plot.js";
import { findingLines, reportJson, reportLines } from "./report.js";
import { reproduce } from "./reproduce.js";
import { newStatus } from "./status.js";

export interface FuzzCommandOptions {
  readonly color: ColorChoice;
  readonly target?: readonly string[];
  readonly list?: boolean;
  readonly reproduce?: string;
  readonly time?: number;
  readonly runs?: number;
  readonly jobs: number;
  readonly seed: bigint;
  readonly keepGoing?: boolean;
  readonly corpus?: string;
  readonly findings: string;
  readonly plot?: string;
  readonly json?: boolean;
}

const defaultTime = 60;

/** `kho fuzz`: 1 if anything was found. */
export async function fuzzCommand(run: Run, options: FuzzCommandOptions): Promise<Exit> {
  const build = openBuild(run);
  const targets = targetsOf(build, options);
  if (options.list) return listTargets(run, build, targets);
  if (options.reproduce !== undefined) return reproduce(run, build, targets, options.reproduce);
  return campaign(run, build, targets, options);
}

function targetsOf(
  { table }: FuzzBuild,
  { target, reproduce: input }: FuzzCommandOptions,
): readonly string[] {
  const known = Object.keys(table.targets);
  for (const name of target ?? [])
    if (!known.includes(name))
      throw new KhoError("usage", `there is no target ${name}`, { expected: known.join(", ") });
  if (input !== undefined && target?.length !== 1)
    throw new KhoError("usage", "--reproduce needs the one --target that the input is for");
  return [...new Set(target ?? known)];
}

async function campaign(
  run: Run,
  { folder, table }: FuzzBuild,
  targets: readonly string[],
  options: FuzzCommandOptions,
): Promise<Exit> {
  const { out, err } = run;
  const { time = options.runs === undefined ? defaultTime : undefined, runs, jobs, seed, json } = options;
  const corpus =
    options.corpus === undefined ? undefined : withIo(options.corpus, (path) => readCorpus(path, targets));
  const status = newStatus(run, { time, jobs });
  const interrupted = new AbortController();
  const onSignal = (): void => interrupted.abort();
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  try {
    const result = await runFuzz({
      build: folder,
      table,
      targets,
      seed,
      jobs,
      keepGoing: options.keepGoing ?? false,
      ...(time !== undefined && { time }),
      ...(runs !== undefined && { runs }),
      ...(corpus && { corpus }),
      signal: interrupted.signal,
      onRound: status.round,
      onFinding(finding) {
        const path = withIo(options.findings, (findings) => writeFinding(findings, finding));
        status.clear();
        for (const line of findingLines(run, finding, path)) err.line(line);
        err.flush();
      },
    });
    status.clear();
    if (options.corpus !== undefined) withIo(options.corpus, (path) => writeCorpus(path, result.targets));
    if (options.plot !== undefined) writeText(options.plot, plotSvg(result, { jobs }));
    if (json) out.line(jsonText(reportJson(result, options)));
    else for (const line of reportLines(run, result)) out.line(line);
    return result.targets.some(({ findings }) => findings.length > 0) ? exits.findings : exits.fine;
  } finally {
    status.clear();
    process.removeListener("SIGINT", onSignal).removeListener("SIGTERM", onSignal);
  }
}

function withIo<T>(path: string, action: (path: string) => T): T {
  try {
    return action(resolve(path));
  } catch (cause) {
    throw ioError("cannot use", path, cause);
  }
}

function writeText(path: string, text: string): void {
  const bytes = new TextEncoder().encode(text);
  const file = newFile(path, true);
  file.data(0, bytes);
  file.finish(bytes.length);
}
