import { newestKernel } from "../../../formats/kernels.js";
import { printStructure } from "../../compat/abi/print.js";
import { entriesOf } from "../../compat/abi/source.js";
import { KhoError } from "../../report/error.js";
import { type Exit, exits } from "../exit.js";
import { jsonText } from "../json.js";
import { nearest } from "../nearest.js";
import type { Run } from "../run.js";
import { alignRows } from "../table.js";
import { safeName, safeSentence } from "../text.js";
import { type AbiOptions, kernelJson, kernelText, type NamedKernel, namedKernels } from "./sides.js";
import { structureJson } from "./structure-json.js";

export interface AbiShowOptions extends AbiOptions {
  readonly from?: string;
  readonly pageSize: number;
}

/** `kho abi show [STRUCT]`: what a kernel hands over, or one of its structures. */
export async function abiShowCommand(
  run: Run,
  name: string | undefined,
  options: AbiShowOptions,
): Promise<Exit> {
  const { out, style } = run;
  const [kernel] = namedKernels(run, [options.from ?? newestKernel.release], options, options.pageSize);
  const { source } = kernel!;
  const entries = entriesOf(kernel!.kernel);
  if (name === undefined) {
    const all = [...source.structures].flatMap(([struct, structures]) =>
      structures.map((structure) => ({ structure, compatible: entries.get(struct)?.compatible })),
    );
    if (options.json)
      out.line(
        jsonText({
          ...kernelJson(kernel!),
          structs: all.map(({ structure, compatible }) => ({ ...structureJson(structure), compatible })),
        }),
      );
    else {
      out.line(safeSentence(kernelText(kernel!)));
      out.line();
      const rows = all.map(({ structure, compatible }) => [
        `struct ${safeName(structure.name)}`,
        String(structure.size),
        compatible ?? "",
      ]);
      const [head = "", ...lines] = alignRows([["STRUCT", "SIZE", "VERSION"], ...rows], ["left", "right"]);
      out.line(style.dim(head));
      for (const line of lines) out.line(line);
      writeProposed(run, kernel!);
    }
    return exits.fine;
  }
  const wanted = name.replace(/^(struct|union)\s+/, "");
  const found = source.find(wanted);
  if (found.length === 0) throw unknown(wanted, kernel!);
  const compatible = entries.get(wanted)?.compatible;
  const notes = [
    ...(compatible === undefined ? [] : [`version: ${compatible}`]),
    safeSentence(kernelText(kernel!)),
  ];
  if (options.json)
    out.line(
      jsonText({
        ...kernelJson(kernel!),
        structs: found.map((structure) => ({ ...structureJson(structure), compatible })),
      }),
    );
  else out.line(found.map((structure) => safeLines(printStructure(structure, notes))).join("\n\n"));
  return exits.fine;
}

/** Names in types of a file can hold anything. */
const safeLines = (text: string): string => text.split("\n").map(safeSentence).join("\n");

/** What sections of proposed series list, where an image has them. */
function writeProposed({ out, style }: Run, { image: { versions, features } }: NamedKernel): void {
  if (versions) {
    out.line();
    out.line(`${style.bold("Versions")}  that the image says it takes`);
    for (const version of versions) out.line(`  ${safeName(version)}`);
  }
  if (!features) return;
  out.line();
  out.line(`${style.bold("Features")}  that the image says it knows, demands and uses`);
  const rows = features.map(({ name, supp, req, active }) => [
    `  ${safeName(name)}`,
    ...[supp, req, active].map((bits) => `0x${bits.toString(16)}`),
  ]);
  for (const line of alignRows([["  NAME", "SUPPORTED", "REQUIRED", "ACTIVE"], ...rows])) out.line(line);
}

function unknown(name: string, { source, name: kernel }: NamedKernel): KhoError {
  const near = nearest(name, [...source.structures.keys(), ...source.names()]);
  return new KhoError("unknown-layout", `${kernel} has no struct ${safeName(name)}`, {
    expected: near.length > 0 ? near.map(safeName).join(" or ") : "a name that kho abi show lists",
  });
}
