import { type Kernel, kernelOf, kernels } from "../../../formats/kernels.js";
import { type CraftCase, type Crafted, craft, unspoilt } from "../../compat/craft/case.js";
import { craftCases } from "../../compat/craft/cases/index.js";
import type { Change } from "../../compat/craft/edit.js";
import type { Outcome } from "../../compat/craft/outcome.js";
import { type OutcomeSummary, summarise } from "../../compat/craft/outcome-text.js";
import { predict } from "../../compat/craft/predict.js";
import { KhoError } from "../../report/error.js";
import { hex } from "../../report/hex.js";
import { type Exit, exits } from "../exit.js";
import { jsonText } from "../json.js";
import { nearest } from "../nearest.js";
import type { Run } from "../run.js";
import { type OutputOptions, outputPath } from "../sink.js";
import { alignRows } from "../table.js";
import type { ColorChoice } from "../terminal.js";
import { plural, wrap } from "../text.js";
import { paintOutcome } from "./craft-colours.js";
import { openCrafted, writeCrafted } from "./craft-files.js";
import { listCases } from "./craft-list.js";

export interface CraftCommandOptions extends OutputOptions {
  readonly color: ColorChoice;
  readonly release?: string;
  readonly json?: boolean;
}

/** `kho craft [CASE]`: all cases, or one of them, with what every kernel that reads its format does. */
export async function craftCommand(
  run: Run,
  name: string | undefined,
  options: CraftCommandOptions,
): Promise<Exit> {
  if (name === undefined) {
    if (options.output !== undefined) throw new KhoError("usage", "-o OUT writes one case: name it");
    return listCases(run, options);
  }
  const one = caseOf(name);
  const kernel = writerOf(one, options.release);
  const release = options.release ?? kernel.release;
  const out = options.output === undefined ? undefined : outputPath(options, "the capture");
  if (out === "-" && options.json)
    throw new KhoError("usage", "both the capture and --json would go to standard output");
  const files = out === undefined ? undefined : openCrafted(run, out, options);
  try {
    const crafted = craft(one, release);
    const predictions = predictionsOf(run, crafted, kernel, release);
    if (options.json) run.out.line(jsonText(caseJson(crafted, release, predictions)));
    else if (out !== "-") writeCase(run, crafted, release, predictions);
    run.out.flush();
    if (files) await writeCrafted(run, files, crafted, predictions[0]!.outcome);
    return exits.fine;
  } catch (error) {
    files?.abandon();
    throw error;
  }
}

function caseOf(name: string): CraftCase {
  const found = craftCases.find((one) => one.name === name);
  if (found) return found;
  const near = nearest(
    name,
    craftCases.map((one) => one.name),
  );
  throw new KhoError("not-found", `there is no case ${name}`, {
    expected: near.length > 0 ? near.join(", ") : "one that `kho craft` lists",
  });
}

/** The row of the release that is to write a case: the newest one that does unless named. */
function writerOf(one: CraftCase, release: string | undefined): Kernel {
  if (release !== undefined) return kernelOf(release);
  return kernels.findLast((kernel) => one.applies(kernel))!;
}

interface Prediction extends OutcomeSummary {
  readonly release: string;
  readonly outcome: Outcome;
}

/** First of the release that wrote it, then of all others that read that version of KHO. */
function predictionsOf(run: Run, crafted: Crafted, writer: Kernel, release: string): Prediction[] {
  const others = kernels.filter((kernel) => kernel !== writer && kernel.kho === writer.kho);
  const readers = [release, ...others.map((kernel) => kernel.release)];
  const predictions = readers.map((reader, i) => {
    run.progress.update("kernels", i, readers.length);
    const outcome = predict(crafted, reader);
    return { release: reader, outcome, ...summarise(outcome, predict(unspoilt(crafted), reader)) };
  });
  run.progress.clear();
  return predictions;
}

/** Bytes of a member that are shown. */
const shownBytes = 16;
/** Changes that are shown. */
const shownChanges = 10;

function writeCase(
  run: Run,
  { case: one, changes }: Crafted,
  release: string,
  predictions: readonly Prediction[],
): void {
  const { out, style } = run;
  for (const [i, line] of wrap(`${one.name}: ${one.about}`, run.columns).entries())
    out.line(i === 0 ? style.bold(one.name) + line.slice(one.name.length) : line);
  out.line(`a handover of Linux ${release} with ${plural(changes.length, "change")}`);
  out.line();
  const rows = changes
    .slice(0, shownChanges)
    .map(({ structure, member, pa, was, is }) => [structure, member, hex(pa), shown(was), shown(is)]);
  for (const line of alignRows([["structure", "member", "address", "was", "is"].map(style.dim), ...rows]))
    out.line(`  ${line}`);
  if (changes.length > shownChanges) out.line(style.dim(`  ... and ${changes.length - shownChanges} more`));
  out.line();
  const text = predictions.map((prediction) => [
    `Linux ${prediction.release}`,
    paintOutcome(style, prediction.kind, prediction.short),
    prediction.sentences.join("; "),
  ]);
  for (const line of alignRows(text)) out.line(line);
}

const shown = (bytes: Uint8Array): string => {
  const hexes = Array.from(bytes.subarray(0, shownBytes), (byte) => byte.toString(16).padStart(2, "0"));
  return hexes.join(" ") + (bytes.length > shownBytes ? " ..." : "");
};

const caseJson = (
  { case: one, changes }: Crafted,
  release: string,
  predictions: readonly Prediction[],
): unknown => ({
  name: one.name,
  area: one.area,
  about: one.about,
  release,
  changes: changes.map(changeJson),
  predictions,
});

const changeJson = ({ structure, member, pa, was, is }: Change): unknown => ({
  structure,
  member,
  pa,
  was: Buffer.from(was).toString("hex"),
  is: Buffer.from(is).toString("hex"),
});
