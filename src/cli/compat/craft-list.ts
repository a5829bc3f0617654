import { kernels } from "../../../formats/kernels.js";
import { type Crafted, crafter, unspoilt } from "../../compat/craft/case.js";
import { craftCases } from "../../compat/craft/cases/index.js";
import type { Good } from "../../compat/craft/good.js";
import type { Outcome } from "../../compat/craft/outcome.js";
import { type OutcomeSummary, summarise } from "../../compat/craft/outcome-text.js";
import { predict } from "../../compat/craft/predict.js";
import { type Exit, exits } from "../exit.js";
import { jsonText } from "../json.js";
import type { Run } from "../run.js";
import { alignRows } from "../table.js";
import { plural } from "../text.js";
import { paintOutcome } from "./craft-colours.js";

/** What is listed of a case: by release, what comes of it in a kernel of the release that wrote it. */
type Row = ReadonlyMap<string, OutcomeSummary>;

/** All cases, with what a kernel of each release does with its own. */
export function listCases(
  run: Run,
  { release, json = false }: { readonly release?: string; readonly json?: boolean },
): Exit {
  const releases = (release === undefined ? kernels.map((kernel) => kernel.release) : [release]).map(
    (one) => ({
      release: one,
      make: crafter(one),
    }),
  );
  const rows = craftCases.map((): Map<string, OutcomeSummary> => new Map());
  let done = 0;
  for (const { release: reader, make } of releases) {
    const good = new Map<Good, Outcome>();
    for (const [i, one] of craftCases.entries()) {
      run.progress.update("cases", done++, craftCases.length * releases.length);
      const crafted = make(one);
      if (crafted) rows[i]!.set(reader, summaryOf(crafted, reader, good));
    }
  }
  run.progress.clear();
  if (json) run.out.line(jsonText(listJson(rows)));
  else
    writeList(
      run,
      rows,
      releases.map((one) => one.release),
    );
  run.out.flush();
  return exits.fine;
}

function summaryOf(crafted: Crafted, release: string, known: Map<Good, Outcome>): OutcomeSummary {
  const good = known.get(crafted.good) ?? predict(unspoilt(crafted), release);
  known.set(crafted.good, good);
  return summarise(predict(crafted, release), good);
}

function writeList({ out, style }: Run, rows: readonly Row[], releases: readonly string[]): void {
  // Releases that no case tells apart stand in one column.
  const columns = columnsOf(rows, releases);
  const head = ["case", ...columns.map((column) => column.join(", "))].map(style.bold);
  const cells = craftCases.map((one, i) => [
    one.name,
    ...columns.map(([release]) => {
      const summary = rows[i]!.get(release!);
      return summary ? paintOutcome(style, summary.kind, summary.short) : style.dim("-");
    }),
  ]);
  for (const line of alignRows([head, ...cells])) out.line(line);
  out.line();
  out.line(`${plural(craftCases.length, "case")}; kho craft CASE says where the fault is`);
}

/** Neighbouring releases with the same summaries, together. */
function columnsOf(rows: readonly Row[], releases: readonly string[]): string[][] {
  const told = (release: string): string => rows.map((row) => row.get(release)?.short ?? "").join("\n");
  const columns: string[][] = [];
  for (const release of releases) {
    const last = columns.at(-1);
    if (last && told(last[0]!) === told(release)) last.push(release);
    else columns.push([release]);
  }
  return columns;
}

const listJson = (rows: readonly Row[]): unknown => ({
  cases: craftCases.map(({ name, area, about }, i) => ({
    name,
    area,
    about,
    releases: Object.fromEntries(rows[i]!),
  })),
});
