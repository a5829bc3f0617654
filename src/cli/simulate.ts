import { readFileSync } from "node:fs";
import { orderCounts, preservedBytes } from "../../formats/kho/preserved.js";
import { packHandover } from "../handover/index.js";
import { elfCore } from "../image/elf-write.js";
import { ioError } from "../image/file.js";
import { isGzipName, writePieces } from "../image/write.js";
import { captureOf, type Departure } from "../machine/index.js";
import { storedBytes } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import type { Finding } from "../report/finding.js";
import { type HopReport, parseScenario, runScenario, type StepReport } from "../scenario/index.js";
import { type Exit, exits } from "./exit.js";
import { consequenceText, countText } from "./finding.js";
import { jsonText } from "./json.js";
import type { Run } from "./run.js";
import { luoTotals } from "./sections.js";
import { type OutputOptions, openSink, outputPath, type Sink, zerosRoom } from "./sink.js";
import type { ColorChoice } from "./terminal.js";
import { exactBytes, humanBytes, plural, safeName, safeSentence, wrap } from "./text.js";
import { type Branch, drawTree, leaf } from "./tree.js";

export interface SimulateCommandOptions extends OutputOptions {
  readonly color: ColorChoice;
  /** The kexec whose memory to write, from 1; the last one that handed anything over unless given. */
  readonly hop?: number;
  readonly zeros: "omit" | "store";
  readonly json?: boolean;
}

/** What a kernel left in memory, and what was decoded of it. */
type Handed = Required<Pick<HopReport, "departure" | "left">>;

/**
 * `kho simulate SCENARIO`: runs a chain of kernels and tells what happened at each; 1 if anything went otherwise than the
 * scenario says. `-o` writes the memory of one kexec, as a capture.
 */
export async function simulateCommand(
  run: Run,
  file: string,
  options: SimulateCommandOptions,
): Promise<Exit> {
  const out = whereTo(options);
  const scenario = parseScenario(readScenario(file));
  const kexecs = scenario.kernels.length - 1;
  if (options.hop !== undefined && (options.hop < 1 || options.hop > kexecs))
    throw new KhoError("usage", `there is no kexec ${options.hop} in this scenario`, {
      expected: kexecs === 0 ? "a second kernel" : `1 to ${kexecs}`,
    });
  // Before the work: a file that may not be replaced is no reason to wait.
  const sink = out === undefined ? undefined : openSink(run, out, options);
  try {
    const quiet = options.json || out === "-";
    if (!quiet) {
      const { name, description } = scenario;
      run.out.line(run.style.bold(safeName(name === "" ? file : name)));
      if (description !== "")
        for (const line of wrap(safeSentence(description), run.columns)) run.out.line(line);
    }
    let last: { readonly handed: Handed; readonly kexec: number } | undefined;
    const report = runScenario(scenario, {
      onProgress: run.progress.update,
      onHop(hop, index) {
        run.progress.clear();
        const { departure, left } = hop;
        if (departure && left && index + 1 === (options.hop ?? index + 1))
          last = { handed: { departure, left }, kexec: index + 1 };
        if (!quiet) writeHop(run, hop, index);
      },
    });
    if (options.json) run.out.line(jsonText(reportJson(report)));
    else if (!quiet) {
      const { good, bad } = run.style;
      run.out.line(`\n${report.fine ? good("as the scenario says") : bad("not as the scenario says")}`);
    }
    run.out.flush();
    if (sink) await writeMemory(run, out!, sink, last, options);
    return report.fine ? exits.fine : exits.findings;
  } catch (error) {
    sink?.abandon();
    throw error;
  }
}

function whereTo(options: SimulateCommandOptions): string | undefined {
  const { output, hop, json } = options;
  if (output === undefined) {
    if (hop !== undefined) throw new KhoError("usage", "--hop says whose memory -o OUT is to write");
    return undefined;
  }
  if (output === "-" && json)
    throw new KhoError("usage", "both the capture and --json would go to standard output");
  return outputPath(options, "the capture");
}

function readScenario(file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (cause) {
    throw ioError("cannot read", file, cause);
  }
}

function writeHop(run: Run, hop: HopReport, index: number): void {
  const { out, style } = run;
  out.line("");
  const kexec = index === 0 ? "" : `kexec ${index}: `;
  const unexpected = hop.expected ? "" : `  ${style.bad("which the scenario does not expect")}`;
  const head = `${kexec}${style.bold(`Linux ${safeName(hop.release)}`)}  ${outcomeText(run, hop)}${unexpected}`;
  for (const [i, line] of wrap(head, run.columns).entries()) out.line(i === 0 ? line : `  ${line}`);
  for (const line of drawTree(branchesOf(run, hop), run)) out.line(line);
  out.flush();
}

function outcomeText({ style }: Run, { outcome }: HopReport): string {
  switch (outcome.kind) {
    case "cold":
      return style.good("boots cold");
    case "received":
      return style.good("receives the handover");
    case "ignored":
    case "panic": {
      const { consequence } = outcome.reason;
      const paint = outcome.kind === "panic" ? style.bad : style.warn;
      if (consequence) return paint(safeSentence(consequenceText(consequence)));
      return paint(outcome.kind === "panic" ? "does not boot" : "ignores the handover and boots as if cold");
    }
  }
}

/** Room that the guides of a line at a depth of the tree leave; what is wrapped is indented by two columns. */
const roomAt = (columns: number, depth: number): number => Math.max(30, columns - 3 * depth - 2);

function branchesOf(run: Run, hop: HopReport): Branch[] {
  const branches: Branch[] = [];
  const add = (text: string): void => {
    const [first = "", ...more] = wrap(text, roomAt(run.columns, 1));
    branches.push({ ...leaf(first), more });
  };
  const { outcome, findings, steps, left, departure } = hop;
  if ("reason" in outcome) add(safeSentence(outcome.reason.message));
  else if (seriousOf(findings).length > 0)
    add(`${countText(seriousOf(findings), run.style)} in what it was handed, as it reads it`);
  for (const step of steps) add(stepText(run, step));
  if (left) branches.push(leftBranch(run, left));
  else if (departure) add("hands over nothing");
  return branches;
}

const seriousOf = (findings: readonly Finding[]): Finding[] =>
  findings.filter(({ severity }) => severity !== "info");

function stepText(
  { style }: Run,
  { agent, what, result, refused, detail, files, bytes }: StepReport,
): string {
  const counted = result === "fine" && files ? `${plural(files, "file")}, ${humanBytes(bytes ?? 0n)} ` : "";
  const text = files === 0 && result === "fine" ? "" : `${counted}${safeSentence(detail)}`;
  const came = [
    ...(result === "failed" ? [style.bad("failed")] : []),
    ...(refused === undefined ? [] : [style.warn(refused)]),
    ...(text === "" ? [] : [text]),
  ].join(", ");
  return `${style.name(safeName(agent))}  ${safeSentence(what)}${came === "" ? "" : `: ${came}`}`;
}

/** What a kernel leaves for the next one. */
function leftBranch({ style, columns }: Run, { handover, findings }: Handed["left"]): Branch {
  const { compatible, luo, preserved, pageSize, subtrees, kexecMetadata } = handover;
  const lines: string[] = [];
  if (luo) lines.push(`${safeName(luo.compatible)}; ${luoTotals(luo, pageSize)}`);
  if (preserved) {
    const orders = orderCounts(preserved.runs);
    const blocks = orders.reduce((sum, order) => sum + order.blocks, 0);
    const numbers = orders.map(({ order }) => order);
    const list = numbers.length > 3 ? `${numbers[0]} to ${numbers.at(-1)}` : numbers.join(", ");
    const of = numbers.length === 0 ? "" : ` of order ${list}`;
    const map = `map of ${plural(preserved.mapPages, "page")}`;
    const bytes = humanBytes(preservedBytes(preserved.runs, pageSize));
    lines.push(`${bytes} preserved in ${plural(blocks, "block")}${of}; ${map}`);
  }
  if (kexecMetadata) lines.push(`kexec ${kexecMetadata.kexecCount} since the cold boot`);
  const serious = seriousOf(findings);
  if (serious.length > 0) lines.push(`${countText(serious, style)} for a reader of its own release`);
  return leaf(
    `${style.bold("hands over")} ${safeName(compatible)} with ${plural(subtrees.length, "subtree")}`,
    lines.map((line) => {
      const [head = "", ...more] = wrap(line, roomAt(columns, 2));
      return { ...leaf(head), more };
    }),
  );
}

function reportJson({ name, hops, fine }: ReturnType<typeof runScenario>): unknown {
  return {
    name,
    fine,
    hops: hops.map(({ release, outcome, expected, findings, steps, left }) => ({
      release,
      outcome: outcome.kind,
      ...("reason" in outcome && {
        reason: outcome.reason.message,
        errno: outcome.reason.consequence?.errno,
      }),
      expected,
      findings: seriousOf(findings).map(({ severity, code, path, message }) => ({
        severity,
        code,
        path,
        message,
      })),
      steps,
      ...(left && { left: leftJson(left) }),
    })),
  };
}

function leftJson({ handover }: Handed["left"]): unknown {
  const { compatible, luo, preserved, pageSize } = handover;
  const sessions = luo?.sessions ?? [];
  return {
    compatible,
    sessions: sessions.length,
    files: sessions.reduce((sum, { files }) => sum + files.length, 0),
    preservedBytes: preserved ? preservedBytes(preserved.runs, pageSize) : 0n,
    mapPages: preserved?.mapPages ?? 0,
  };
}

/** Writes what a kexec finds in memory: the structures, and all that files and regions hold. */
async function writeMemory(
  { progress, err }: Run,
  out: string,
  sink: Sink,
  last: { readonly handed: Handed; readonly kexec: number } | undefined,
  { hop, zeros }: SimulateCommandOptions,
): Promise<void> {
  if (!last)
    throw new KhoError(
      "not-found",
      hop === undefined ? "no kernel handed anything over" : `kexec ${hop} found nothing handed over`,
    );
  const { departure, left } = last.handed;
  const image = captureOf(departure);
  const { memory } = packHandover(image, left, { data: true, onProgress: progress.update });
  const core = elfCore(memory, {
    ranges: memory.ranges,
    ...identityOf(departure),
    zeros,
    maxSize: storedBytes(image.memory) + zerosRoom,
  });
  const size = await writePieces(sink, core, {
    gzip: isGzipName(out),
    onProgress: (done) => progress.update("writing", done, core.size),
  });
  progress.clear();
  err.line(
    `${out === "-" ? "standard output" : safeName(out)}: ${exactBytes(size)}, the memory that kexec ${last.kexec} finds`,
  );
  err.flush();
}

const identityOf = ({ hardware: { arch, abi } }: Departure) => ({ arch, pageSize: abi.pageSize });
