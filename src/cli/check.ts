import type { Decoded } from "../handover/index.js";
import { type Exit, exitOfFindings } from "./exit.js";
import { bySeverity, countText, groupFindings, groupLines } from "./finding.js";
import { describeImage, type InputOptions, inputName, withHandover } from "./input.js";
import { jsonText } from "./json.js";
import { summarise } from "./memfd.js";
import type { Run } from "./run.js";
import { plural, safeName, wrap } from "./text.js";

export interface CheckCommandOptions extends InputOptions {
  readonly json?: boolean;
  /** List every place of findings that say the same. */
  readonly all?: boolean;
}

/** `kho check FILE`: every finding, worst first. Always reads on past damage. */
export async function checkCommand(run: Run, file: string, options: CheckCommandOptions): Promise<Exit> {
  const { out, style, columns } = run;
  return withHandover(
    run,
    file,
    options,
    ({ image, ...decoded }) => {
      const { findings, handover } = decoded;
      if (options.json) out.line(jsonText(checkJson(decoded)));
      else {
        out.line(`${style.bold(inputName(file))}: ${describeImage(image)}`);
        const reader = `judged as Linux ${handover.release} reads it${handover.releaseGuessed ? ", a release that was worked out" : ""}`;
        const checked = [...checkedParts(decoded), reader].join("; ");
        for (const [i, line] of wrap(checked, columns - 9).entries())
          out.line(`${style.dim(i === 0 ? "checked " : "        ")}  ${line}`);
        out.line();
        out.line(findings.length === 0 ? style.good("no findings") : countText(findings, style));
        for (const group of groupFindings(findings)) {
          out.line();
          for (const line of groupLines(group, handover.release, {
            style,
            columns,
            all: options.all ?? false,
          }))
            out.line(line);
        }
      }
      out.flush();
      return exitOfFindings(findings);
    },
    { mode: "forensic" },
  );
}

/** What there was to check, so that "no findings" can be weighed. */
function checkedParts({ handover, structures }: Decoded): string[] {
  const { compatible, subtrees, preserved, scratch, luo, pageSize } = handover;
  const files = luo?.sessions.flatMap((session) => session.files) ?? [];
  let folios = 0;
  for (const { memfd } of files) if (memfd) folios += summarise(memfd, pageSize).folios;
  const blocks = preserved?.runs.count.reduce((sum, count) => sum + count, 0) ?? 0;
  return [
    `the ${safeName(compatible)} root with ${plural(subtrees.length, "subtree")}`,
    preserved
      ? `a memory map of ${plural(preserved.mapPages, "page")} with ${plural(blocks, "block")}`
      : "no memory map, so not what is preserved",
    scratch.length > 0
      ? plural(scratch.length, "scratch area")
      : "no scratch areas, so not what lies in them",
    ...(luo
      ? [
          `${plural(luo.sessions.length, "session")}, ${plural(files.length, "file")}, ${plural(folios, "folio")}`,
        ]
      : []),
    ...(handover.reserveMem.length > 0 ? [plural(handover.reserveMem.length, "reserve_mem region")] : []),
    `${plural(structures.length, "structure")} against map and scratch`,
  ];
}

/** What `--json` prints; a u64 is a bigint here and a string of decimals there. */
const checkJson = ({ findings, handover }: Decoded): unknown => ({
  release: handover.release,
  releaseGuessed: handover.releaseGuessed,
  findings: bySeverity(findings),
});
