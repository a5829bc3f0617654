import type { Finding, TargetState } from "../../fuzz/campaign.js";
import { findingName } from "../../fuzz/node/folders.js";
import type { FuzzResult } from "../../fuzz/node/run.js";
import type { Run } from "../run.js";
import { alignRows } from "../table.js";
import { exactBytes, plural, safeSentence } from "../text.js";
import { clock } from "./status.js";

/** Executions of a target in a second of one worker. */
export const speedOf = ({ executions, seconds }: TargetState): number =>
  Math.round(executions / Math.max(seconds, 0.001));

/** What was found, when it is. */
export function findingLines({ errStyle }: Run, finding: Finding, path: string): string[] {
  const { target, oracle, message, place, input, minimised, seconds } = finding;
  const sizes =
    minimised === input
      ? exactBytes(input.length)
      : `${exactBytes(minimised.length)}, from ${exactBytes(input.length)}`;
  return [
    `${errStyle.bold(target)}: ${errStyle.bad(oracle)}  ${safeSentence(message.split("\n", 1)[0]!)}`,
    `  at ${safeSentence(place)}`,
    `  after ${clock(seconds)}, ${sizes}: ${path}`,
  ];
}

/** A table, one row for each target. */
export function reportLines({ style }: Run, { targets, seconds }: FuzzResult): string[] {
  const head = ["target", "runs", "runs/s", "edges", "of", "", "corpus", "findings"];
  const rows = targets.map((state) => [
    style.name(state.name),
    String(state.executions),
    String(speedOf(state)),
    String(state.reached.size),
    String(state.edges),
    `${Math.round((100 * state.reached.size) / Math.max(1, state.edges))}%`,
    String(state.corpus),
    state.findings.length === 0 ? style.good("0") : style.bad(String(state.findings.length)),
  ]);
  const findings = targets.reduce((sum, state) => sum + state.findings.length, 0);
  const said = findings === 0 ? style.good("no findings") : style.bad(plural(findings, "finding"));
  return [
    ...alignRows([head.map(style.bold), ...rows], ["left", ...Array<"right">(7).fill("right")]),
    "",
    `${said} in ${clock(seconds)}`,
  ];
}

export const reportJson = (
  { targets, seconds }: FuzzResult,
  { seed, jobs }: { readonly seed: bigint; readonly jobs: number },
): unknown => ({
  seed,
  jobs,
  seconds: Math.round(seconds * 1000) / 1000,
  targets: targets.map((state) => ({
    name: state.name,
    executions: state.executions,
    executionsPerSecond: speedOf(state),
    edges: state.edges,
    reached: state.reached.size,
    corpus: state.corpus,
    added: state.added.length,
    findings: state.findings.map((finding) => ({
      name: findingName(finding),
      oracle: finding.oracle,
      message: finding.message,
      place: finding.place,
      inputBytes: finding.input.length,
      minimisedBytes: finding.minimised.length,
      executions: finding.executions,
      seconds: Math.round(finding.seconds * 1000) / 1000,
    })),
    samples: state.samples,
  })),
});
