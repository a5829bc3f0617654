import { isatty } from "node:tty";
import type { Decoded, Handover } from "../handover/index.js";
import { KhoError } from "../report/error.js";
import type { Finding } from "../report/finding.js";
import { hex } from "../report/hex.js";
import { type Exit, exitOfFindings } from "./exit.js";
import { countText, groupFindings, groupLines } from "./finding.js";
import { describeImage, type InputOptions, inputName, withHandover } from "./input.js";
import { safeJson } from "./json.js";
import type { Run } from "./run.js";
import { sectionsOf } from "./sections.js";
import { alignRows } from "./table.js";
import { humanBytes, safeName, safeSentence, wrap } from "./text.js";
import { drawTree } from "./tree.js";

export interface DecodeCommandOptions extends InputOptions {
  readonly format?: "text" | "json" | "pb";
  readonly json?: boolean;
  readonly all?: boolean;
}

/** `kho decode FILE`: the whole handover, for people or in the interchange form. */
export async function decodeCommand(run: Run, file: string, options: DecodeCommandOptions): Promise<Exit> {
  const format = chosenFormat(options);
  if (format === "pb" && isatty(1))
    throw new KhoError("usage", "binary output would garble the terminal: redirect it, as in > handover.pb");
  const onOpen = (image: Parameters<typeof describeImage>[0]): void => {
    if (format !== "text") return;
    run.out.line(`${run.style.bold(inputName(file))}: ${describeImage(image)}`);
    run.out.flush();
  };
  return withHandover(
    run,
    file,
    options,
    async (decoded) => {
      if (format === "text") writeText(run, decoded, options.all ?? false);
      else {
        const { toBinary, toJsonPieces } = await import("../interchange.js");
        if (format === "pb") run.out.bytes(toBinary(decoded));
        else {
          for (const piece of toJsonPieces(decoded)) run.out.text(safeJson(piece));
          run.out.line();
        }
      }
      run.out.flush();
      return exitOfFindings(decoded.findings);
    },
    { onOpen },
  );
}

function chosenFormat({ format, json }: DecodeCommandOptions): "text" | "json" | "pb" {
  if (json && format !== undefined && format !== "json")
    throw new KhoError("usage", `--json contradicts --format ${format}`);
  return json ? "json" : (format ?? "text");
}

function writeText(run: Run, { handover, findings }: Decoded, all: boolean): void {
  const { out, style, glyphs, columns } = run;
  for (const line of headerLines(run, handover)) out.line(line);
  for (const { title, summary, branches, aligns } of sectionsOf(handover, { style, all })) {
    out.line();
    for (const [i, line] of wrap(summary, columns - title.length - 2).entries())
      out.line(`${i === 0 ? style.bold(title) : " ".repeat(title.length)}  ${line}`);
    for (const line of drawTree(branches, { glyphs, style }, aligns)) out.line(line);
  }
  out.line();
  out.line(`${style.bold("Findings")}  ${countText(findings, style)}`);
  writeFindings(run, findings, handover.release, all ? Number.POSITIVE_INFINITY : 8);
}

function writeFindings(
  { out, style, columns }: Run,
  findings: readonly Finding[],
  release: string,
  limit: number,
): void {
  const groups = groupFindings(findings);
  const count = groups.length <= limit + 2 ? groups.length : limit;
  for (const group of groups.slice(0, count))
    for (const line of groupLines(group, release, { style, columns: columns - 2 })) out.line(`  ${line}`);
  if (count < groups.length) out.line(style.dim(`  ... and ${groups.length - count} more kinds (kho check)`));
}

/** Version, release, machine; then how each of them is known and where the root is. */
function headerLines({ style, columns }: Run, handover: Handover): string[] {
  const { compatible, release, releaseGuessed, releaseEvidence, arch, pageSize, handoff } = handover;
  const { pageSizeGuessed, pageSizeEvidence } = handover;
  const machine = [arch, `${humanBytes(pageSize)} pages${pageSizeGuessed ? "?" : ""}`]
    .filter((part) => part !== "")
    .join(", ");
  const title = `${safeName(compatible) || "no version string"}, Linux ${release}${releaseGuessed ? "?" : ""}, ${machine}`;
  const rows: [string, string][] = [
    ["release", `${release}, ${releaseGuessed ? "worked out" : "given"}: ${safeSentence(releaseEvidence)}`],
    ["root", rootText(handoff)],
  ];
  if (pageSizeGuessed) rows.push(["pages", `${humanBytes(pageSize)}, worked out: ${pageSizeEvidence}`]);
  if (handoff.recordPa !== 0n) rows.push(["hand-off", `x86 setup_data record at ${hex(handoff.recordPa)}`]);
  if (handoff.scratchPa !== 0n)
    rows.push(["", `scratch array at ${hex(handoff.scratchPa)}, ${handoff.scratchSize} bytes`]);
  const width = columns - 12;
  return [
    style.bold(title),
    ...alignRows(
      rows.flatMap(([label, text]) =>
        wrap(text, width).map((line, i) => [`  ${style.dim(i === 0 ? label : "")}`, line]),
      ),
    ),
  ];
}

function rootText({ foundBy, fdtPa, fdtSize }: Handover["handoff"]): string {
  const where = fdtPa === 0n ? "" : `${hex(fdtPa)}${fdtSize === 0n ? "" : `, ${fdtSize} bytes`}, `;
  return where + ways[foundBy](fdtPa === 0n);
}

const ways: Record<Handover["handoff"]["foundBy"], (nowhere: boolean) => string> = {
  setup_data: () => "found by the x86 setup_data list",
  chosen: () => "found by /chosen of the machine's tree",
  argument: (nowhere) => (nowhere ? "the file itself; its address is not known" : "at the address given"),
  scan: () => "found by a scan of every page",
  debugfs: () => "copied from debugfs; its address is not known",
};
