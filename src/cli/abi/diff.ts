import { type AbiDifference, compareStructures } from "../../compat/abi/compare.js";
import { entriesOf } from "../../compat/abi/source.js";
import { type Exit, exits } from "../exit.js";
import { jsonText } from "../json.js";
import type { Run } from "../run.js";
import { alignRows } from "../table.js";
import { plural, safeName, safeSentence } from "../text.js";
import { memberCells, structSize } from "./member-text.js";
import { type AbiOptions, kernelJson, kernelText, type NamedKernel, namedKernels } from "./sides.js";

/** `kho abi diff A B`: structures that one hands over otherwise than the other. */
export async function abiDiffCommand(run: Run, a: string, b: string, options: AbiOptions): Promise<Exit> {
  const [from, to] = namedKernels(run, [a, b], options) as [NamedKernel, NamedKernel];
  const [before, after] = [entriesOf(from.kernel), entriesOf(to.kernel)];
  const names = [...new Set([...from.source.structures.keys(), ...to.source.structures.keys()])];
  const differences = names.flatMap((struct) => {
    const difference = compareStructures(
      from.source.structures.get(struct)?.[0],
      to.source.structures.get(struct)?.[0],
    );
    const versions = [before.get(struct)?.compatible, after.get(struct)?.compatible] as const;
    return difference ? [{ ...difference, versions }] : [];
  });
  const same = names.length - differences.length;
  const { out } = run;
  if (options.json)
    out.line(
      jsonText({
        from: kernelJson(from),
        to: kernelJson(to),
        same,
        structs: differences.map(({ versions: [was, is], ...rest }) => ({
          ...rest,
          ...(was !== undefined && { fromVersion: was }),
          ...(is !== undefined && { toVersion: is }),
        })),
      }),
    );
  else {
    for (const kernel of [from, to]) out.line(safeSentence(kernelText(kernel)));
    for (const difference of differences) writeDifference(run, difference, difference.versions);
    out.line();
    out.line(`${plural(differences.length, "structure")} differ, ${same} are the same`);
  }
  return differences.length > 0 ? exits.findings : exits.fine;
}

function writeDifference(
  { out, style }: Run,
  difference: AbiDifference,
  [was, is]: readonly [string | undefined, string | undefined],
): void {
  const { struct, kind, members } = difference;
  const paint = kind === "added" ? style.good : kind === "removed" ? style.bad : style.warn;
  const versions = was === is ? [is] : kind === "changed" ? [was ?? "?", is ?? "?"] : [was ?? is];
  const version = versions.filter((text) => text !== undefined).join(" -> ");
  out.line();
  out.line(
    `${paint(kind)} ${style.bold(`struct ${safeName(struct)}`)}  ${structSize(difference)}${version && `  ${style.dim(version)}`}`,
  );
  for (const line of alignRows(members.map((member) => memberCells(member, style)))) out.line(`  ${line}`);
}
