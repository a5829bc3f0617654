import { readFileSync } from "node:fs";
import { orderCounts, preservedBytes } from "../../formats/kho/preserved.js";
import { decodeHandover, packHandover } from "../handover/index.js";
import { elfCore } from "../image/elf-write.js";
import { ioError } from "../image/file.js";
import { isGzipName, writePieces } from "../image/write.js";
import { captureOf, type Departure, type Outcome } from "../machine/index.js";
import { KhoError } from "../report/error.js";
import { type HopReport, parseScenario, runScenario, type StepReport } from "../scenario/index.js";
import { type Exit, exits } from "./exit.js";
import { consequenceText, countText } from "./finding.js";
import { jsonText } from "./json.js";
import type { Run } from "./run.js";
import { luoTotals } from "./sections.js";
import { type OutputOptions, openSink, outputPath } from "./sink.js";
import type { ColorChoice } from "./terminal.js";
import { exactBytes, humanBytes, plural, safeName, safeSentence } from "./text.js";
import { type Branch, drawTree, leaf } from "./tree.js";

export interface SimulateCommandOptions extends OutputOptions {
  readonly color: ColorChoice;
  /** The kexec whose memory to write, from 1; the last one that there was unless given. */
  readonly hop?: number;
  readonly zeros: "omit" | "store";
  readonly json?: boolean;
}

/**
 * `kho simulate SCENARIO`: runs a chain of kernels and tells what happened at each; 1 if anything went otherwise than the
 * scenario says. `-o` writes the memory of one kexec, as a capture.
 */
export async function simulateCommand(
  run: Run,
  file: string,
  options: SimulateCommandOptions,
): Promise<Exit> {
  const out = options.output === undefined ? undefined : outputPath(options, "the capture");
  const scenario = parseScenario(readScenario(file));
  const { progress } = run;
  const quiet = options.json || out === "-";
  const departures: Departure[] = [];
  if (!quiet) {
    run.out.line(run.style.bold(safeName(scenario.name === "" ? file : scenario.name)));
    if (scenario.description !== "") run.out.line(safeSentence(scenario.description));
  }
  const report = runScenario(scenario, {
    onProgress: progress.update,
    onHop(hop, index) {
      progress.clear();
      if (hop.departure?.handoff) departures[index] = hop.departure;
      if (!quiet) writeHop(run, hop, index);
    },
  });
  progress.clear();
  if (options.json && out !== "-") run.out.line(jsonText(reportJson(report.hops, report.fine)));
  else if (!quiet)
    run.out.line(
      report.fine ? run.style.good("as the scenario says") : run.style.bad("not as the scenario says"),
    );
  if (out !== undefined) await writeImage(run, out, departures, options);
  return report.fine ? exits.fine : exits.findings;
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
  const arrived = index === 0 ? "" : `kexec ${index}: `;
  out.line("");
  out.line(`${arrived}${style.bold(`Linux ${safeName(hop.release)}`)}  ${outcomeText(run, hop)}`);
  const branches: Branch[] = hop.steps.map((step) => stepBranch(run, step));
  if (hop.left) branches.push(leftBranch(run, hop.left));
  else if (hop.departure) branches.push(leaf("hands over nothing"));
  for (const line of drawTree(branches, run)) out.line(line);
  out.flush();
}

function outcomeText({ style }: Run, { outcome, expected }: HopReport): string {
  const text = style[outcome.kind === "panic" ? "bad" : outcome.kind === "ignored" ? "warn" : "good"](
    outcomeWords(outcome),
  );
  return expected ? text : `${text}  ${style.bad("which the scenario does not expect")}`;
}

function outcomeWords(outcome: Outcome): string {
  switch (outcome.kind) {
    case "cold":
      return "boots cold";
    case "received":
      return "receives the handover";
    case "ignored":
    case "panic": {
      const { consequence, message } = outcome.reason;
      const verdict = consequence ? consequenceText(consequence) : outcome.kind;
      return `${verdict}: ${safeSentence(message)}`;
    }
  }
}

function stepBranch({ style }: Run, { agent, what, result, refused, detail }: StepReport): Branch {
  const verdict = result === "failed" ? style.bad("failed: ") : "";
  const errno = refused === undefined ? "" : `${style.warn(refused)}, `;
  return leaf(
    `${style.name(safeName(agent))}  ${safeSentence(what)}: ${verdict}${errno}${safeSentence(detail)}`,
  );
}

/** What a kernel leaves for the next one. */
function leftBranch(
  { style, errStyle }: Run,
  { handover, findings }: NonNullable<HopReport["left"]>,
): Branch {
  const { compatible, luo, preserved, pageSize, subtrees, kexecMetadata } = handover;
  const lines: Branch[] = [];
  if (luo) lines.push(leaf(`${safeName(luo.compatible)}; ${luoTotals(luo, pageSize)}`));
  if (preserved) {
    const orders = orderCounts(preserved.runs);
    const blocks = orders.reduce((sum, order) => sum + order.blocks, 0);
    const list = orders.map(({ order, blocks: count }) => `order ${order}: ${count}`).join(", ");
    lines.push(
      leaf(
        `preserves ${humanBytes(preservedBytes(preserved.runs, pageSize))} in ${plural(blocks, "block")} (${list}); the map takes ${plural(preserved.mapPages, "page")}`,
      ),
    );
  }
  if (kexecMetadata) lines.push(leaf(`kexec ${kexecMetadata.kexecCount} since the cold boot`));
  const serious = findings.filter(({ severity }) => severity !== "info");
  if (serious.length > 0) lines.push(leaf(`${countText(serious, errStyle)} for a reader of its own release`));
  return leaf(
    `${style.bold("hands over")} ${safeName(compatible)} with ${plural(subtrees.length, "subtree")}`,
    lines,
  );
}

function reportJson(hops: readonly HopReport[], fine: boolean): unknown {
  return {
    fine,
    hops: hops.map(({ release, outcome, expected, steps, left }) => ({
      release,
      outcome: outcome.kind,
      ...("reason" in outcome && {
        reason: outcome.reason.message,
        errno: outcome.reason.consequence?.errno,
      }),
      expected,
      steps,
      ...(left && {
        left: {
          compatible: left.handover.compatible,
          sessions: left.handover.luo?.sessions.length ?? 0,
          files: (left.handover.luo?.sessions ?? []).reduce((sum, { files }) => sum + files.length, 0),
          preservedBytes: String(
            left.handover.preserved
              ? preservedBytes(left.handover.preserved.runs, left.handover.pageSize)
              : 0n,
          ),
        },
      }),
    })),
  };
}

/** Writes what one kexec found in memory: its structures, and all that files and regions hold. */
async function writeImage(
  run: Run,
  out: string,
  departures: readonly (Departure | undefined)[],
  options: SimulateCommandOptions,
): Promise<void> {
  const hop = options.hop ?? departures.length;
  const departure = departures[hop - 1];
  if (!departure)
    throw new KhoError(
      "not-found",
      departures.length === 0 ? "nothing was handed over" : `kexec ${hop} handed nothing over`,
      {
        expected: departures.flatMap((found, i) => (found ? [String(i + 1)] : [])).join(", "),
      },
    );
  const { progress } = run;
  const image = captureOf(departure);
  const { pageSize } = departure.hardware.abi;
  const decoded = decodeHandover(image, {
    handoff: departure.bootData!,
    release: departure.release,
    pageSize,
    mode: "forensic",
  });
  const { memory } = packHandover(image, decoded, { data: true, onProgress: progress.update });
  const core = elfCore(memory, {
    ranges: memory.ranges,
    arch: departure.hardware.arch,
    pageSize,
    zeros: options.zeros,
  });
  const size = await writePieces(openSink(run, out, options), core, {
    gzip: isGzipName(out),
    onProgress: (done) => progress.update("writing", done, core.size),
  });
  progress.clear();
  run.err.line(
    `${out === "-" ? "standard output" : safeName(out)}: ${exactBytes(size)}, the memory of kexec ${hop}`,
  );
  run.err.flush();
}
