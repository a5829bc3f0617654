import type { Advice } from "../../cost/advice.js";
import type { When } from "../../cost/model.js";
import { type Span, secondsOf } from "../../cost/time.js";
import { barOf } from "../pages.js";
import type { Run } from "../run.js";
import { type Align, alignRows } from "../table.js";
import { exactBytes, humanBytes, plural, safeName, safeSentence, wrap } from "../text.js";
import { folioText, instructionText, type Shown, spanText, totalsText } from "./cost-shown.js";

/** The whole cost for people. */
export function costLines(run: Run, shown: Shown): string[] {
  return [
    ...headLines(run, shown),
    ...structureLines(run, shown),
    ...orderLines(run, shown),
    ...phaseLines(run, shown),
    ...adviceLines(run, shown),
    ...toolkitLines(run, shown),
  ];
}

function headLines(run: Run, { cost }: Shown): string[] {
  const { style, columns } = run;
  const { shape, space, calls, scratch } = cost;
  const pages = space.structures.reduce((sum, row) => sum + row.pages, 0);
  const bytes = BigInt(pages) * BigInt(shape.pageSize);
  const callCount = calls.reduce((sum, { count }) => sum + count, 0);
  const rows: [string, string][] = [
    ["from", `Linux ${safeName(shape.release)}, ${shape.arch}, pages of ${humanBytes(shape.pageSize)}`],
    ["lies in", plural(space.runs, "physically contiguous run")],
    ["takes", `${exactBytes(bytes)} for structures, ${plural(pages, "page")}`],
    ["calls", `${callCount}, in both kernels`],
    [
      "scratch",
      scratch.regions === 0
        ? "nothing for what is preserved: memblock's first list holds the runs"
        : `${humanBytes(scratch.regions)} for memblock's list of the runs (estimated)${scratch.given === 0 ? "" : ` of ${humanBytes(scratch.given)}`}`,
    ],
    ...shape.assumed.map((text): [string, string] => ["assumed", text]),
    ...space.impossible.map((text): [string, string] => ["cannot be", text]),
  ];
  return [`${style.bold("Cost of a handover")}  ${totalsText(cost)}`, ...labelled(run, rows, columns)];
}

const labelled = ({ style }: Run, rows: readonly [string, string][], columns: number): string[] =>
  alignRows(
    rows.flatMap(([name, text]) =>
      wrap(safeSentence(text), columns - 13).map((line, i) => {
        const label = i === 0 ? name : "";
        return [`  ${name === "cannot be" ? style.bad(label) : style.dim(label)}`, line];
      }),
    ),
  );

function structureLines({ style }: Run, { cost }: Shown): string[] {
  const { structures } = cost.space;
  const sum = (of: "bytes" | "pages"): number => structures.reduce((all, row) => all + row[of], 0);
  const rows = structures
    .filter(({ count, pages }) => count > 0 || pages > 0)
    .map(({ name, what, count, bytes, pages, order }) => [
      `  ${safeName(name)}`,
      `${count}`,
      `${bytes}`,
      `${pages}`,
      order === "not-preserved" ? "-" : `${order}`,
      what,
    ]);
  const aligns: Align[] = ["left", "right", "right", "right", "right", "left"];
  const [head = "", ...lines] = alignRows(
    [
      ["  STRUCTURE", "COUNT", "BYTES", "PAGES", "ORDER", ""],
      ...rows,
      ["  all", "", `${sum("bytes")}`, `${sum("pages")}`, "", "order -: not preserved"],
    ],
    aligns,
  );
  return ["", `${style.bold("Structures")}  exact`, style.dim(head), ...lines];
}

function orderLines({ style, glyphs }: Run, { cost }: Shown): string[] {
  const { space, shape } = cost;
  const pagesOf = ({ order, blocks }: (typeof space.orders)[number]): number => blocks * 2 ** order;
  const most = Math.max(1, ...space.orders.map(pagesOf));
  const own = new Map(space.structureOrders.map(({ order, blocks }) => [order, blocks]));
  const rows = space.orders.map((count) => [
    `  ${count.order}`,
    folioText(count.order, shape.pageSize),
    `${count.blocks}`,
    `${own.get(count.order) ?? 0}`,
    humanBytes(BigInt(pagesOf(count)) * BigInt(shape.pageSize)),
    barOf(pagesOf(count) / most, glyphs),
  ]);
  const [head = "", ...lines] = alignRows(
    [["  ORDER", "BLOCK", "BLOCKS", "STRUCTURES", "SIZE", ""], ...rows],
    ["right", "right", "right", "right", "right", "left"],
  );
  return ["", `${style.bold("Preserved blocks")}  exact`, style.dim(head), ...lines];
}

const titles: Readonly<Record<When, string>> = {
  before: "Before the blackout",
  blackout: "Within the blackout",
  after: "After it",
};

function phaseLines(run: Run, { cost, baseBoot }: Shown): string[] {
  const { style, glyphs, columns } = run;
  const { model, speeds } = cost;
  const { note } = model.constants;
  const most = Math.max(1, ...model.phases.map(({ instructions }) => instructions));
  const rows: string[][] = [["", "INSTRUCTIONS", "TIME", ""]];
  for (const when of ["before", "blackout", "after"] as const) {
    const phases = model.phases.filter((phase) => phase.when === when);
    if (phases.length === 0) continue;
    const total = phases.reduce((sum, { instructions }) => sum + instructions, 0);
    rows.push([
      style.bold(titles[when]),
      instructionText(total),
      spanText(secondsOf(phases, speeds)),
      when === "blackout" ? "without what the machine's own boot takes" : "",
    ]);
    for (const phase of phases)
      rows.push([
        `  ${phase.name}`,
        instructionText(phase.instructions),
        spanText(secondsOf([phase], speeds)),
        phase.instructions > 0 ? barOf(phase.instructions / most, glyphs) : "",
      ]);
  }
  const [head = "", ...lines] = alignRows(rows, ["left", "right", "right", "left"]);
  const blackout = secondsOf(
    model.phases.filter(({ when }) => when === "blackout"),
    speeds,
  );
  const speed = speeds.calibrated
    ? `at the speed of a real run: ${rateText(speeds.other.slow, speeds.other.fast)}`
    : `at ${rateText(speeds.other.slow, speeds.other.fast)}, assumed`;
  const notes = [
    `Modelled, not measured: instructions beyond a kernel with nothing preserved; ${note}.`,
    `Time ${speed}.`,
    ...model.cautions.filter((text) => text !== note).map((text) => `${text}.`),
    ...(model.phases.some(({ id, instructions }) => id === "free-all" && instructions < 0)
      ? ["Below 0 is what the boot becomes shorter by: preserved pages are not freed."]
      : []),
    baseBoot === undefined
      ? "The boot of the machine itself comes on top: --base-boot adds it."
      : `With a boot of ${spanText({ least: baseBoot, most: baseBoot })} as it was measured: a blackout of ${spanText(added(blackout, baseBoot))}.`,
  ];
  return [
    "",
    `${style.bold("Kernel phases")}  ${style.warn("modelled")}`,
    style.dim(head),
    ...lines,
    ...notes.flatMap((text) =>
      wrap(safeSentence(capital(text)), columns - 2).map((line) => `  ${style.dim(line)}`),
    ),
  ];
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const added = ({ least, most }: Span, more: number): Span => ({ least: least + more, most: most + more });

const rateText = (slow: number, fast: number): string => {
  const [a, b] = [slow, fast].map((rate) => Number((rate / 1e9).toPrecision(3)));
  return a === b ? `${a} G instructions/s` : `${a} ... ${b} G instructions/s`;
};

function adviceLines(run: Run, { cost }: Shown): string[] {
  const { style, columns } = run;
  const { advice, space } = cost;
  if (space.impossible.length > 0) return [];
  const dominant = dominantText(cost);
  const lines = advice.flatMap((each) => {
    const texts = [adviceText(each, cost), each.why].flatMap((text) => wrap(text, Math.max(40, columns - 4)));
    return [`  ${style.good(each.what)}`, ...texts.map((line) => `    ${line}`)];
  });
  return [
    "",
    `${style.bold("Advice")}  ${style.warn("modelled")}`,
    `  ${dominant}`,
    ...(lines.length > 0 ? lines : ["  nothing that this model knows of would change much"]),
  ];
}

/** Which phase the blackout consists of mostly. */
function dominantText({ model, speeds }: Shown["cost"]): string {
  const blackout = model.phases.filter(({ when, instructions }) => when === "blackout" && instructions > 0);
  const largest = [...blackout].sort((a, b) => b.instructions - a.instructions)[0];
  if (!largest) return "nothing of the blackout is the handover's";
  const all = blackout.reduce((sum, { instructions }) => sum + instructions, 0);
  const share = Math.round((100 * largest.instructions) / all);
  return `most of the blackout is ${largest.name}: ${spanText(secondsOf([largest], speeds))}, ${share} % of what it adds`;
}

function adviceText({ model: changed, blackout, before }: Advice, { model, speeds }: Shown["cost"]): string {
  const span = (of: typeof model, when: When): string =>
    spanText(
      secondsOf(
        of.phases.filter((phase) => phase.when === when),
        speeds,
      ),
    );
  const parts: string[] = [];
  if (blackout !== 0) parts.push(`blackout ${span(model, "blackout")} -> ${span(changed, "blackout")}`);
  if (Math.abs(before) > Math.abs(model.before) / 100)
    parts.push(`before it ${span(model, "before")} -> ${span(changed, "before")}`);
  return parts.join(", ");
}

function toolkitLines({ style }: Run, { toolkit }: Shown): string[] {
  if (!toolkit) return [];
  const { sessions, files, folios, factor, phases } = toolkit;
  const what: Readonly<Record<(typeof phases)[number]["name"], string>> = {
    preserve: "the simulated kernel preserves",
    leave: "it serializes and jumps",
    decode: "the library decodes",
    encode: "the library encodes",
    arrive: "the next simulated kernel boots",
    retrieve: "it retrieves every file",
  };
  const rows = phases.map(({ name, seconds }) => [
    `  ${name}`,
    spanText({ least: seconds, most: seconds }),
    what[name],
  ]);
  const size = `${plural(sessions, "session")}, ${plural(files, "file")}, ${plural(folios, "folio")}`;
  const scaled = factor === 1 ? "" : `, the handover has ${Number(factor.toPrecision(3))} times as many`;
  return [
    "",
    `${style.bold("This toolkit")}  measured here, in JavaScript: no kernel's time`,
    ...alignRows(rows, ["left", "right", "left"]),
    `  ${style.dim(`for ${size}${scaled}`)}`,
  ];
}
