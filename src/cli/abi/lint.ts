import type { AbiCitation, AbiClaim } from "../../compat/abi/claim.js";
import { lintAbi, lintAbis } from "../../compat/abi/lint.js";
import type { Severity } from "../../report/finding.js";
import { type Exit, exitOfFindings } from "../exit.js";
import { severityText } from "../finding.js";
import { jsonText } from "../json.js";
import type { Run } from "../run.js";
import { alignRows } from "../table.js";
import { plural, safeName, safeSentence, wrap } from "../text.js";
import { memberCells, offsetText, sizeText } from "./member-text.js";
import { type AbiOptions, kernelJson, kernelText, type NamedKernel, namedKernels } from "./sides.js";

const severities: readonly Severity[] = ["error", "warning", "info"];

/** `kho abi lint A [B]`: what can break a handover, in one kernel or from one to the other. */
export async function abiLintCommand(
  run: Run,
  a: string,
  b: string | undefined,
  options: AbiOptions,
): Promise<Exit> {
  const kernels = namedKernels(run, b === undefined ? [a] : [a, b], options);
  const [from, to] = kernels as [NamedKernel, NamedKernel?];
  const found = to ? lintAbis(from, to) : lintAbi(from);
  const claims = severities.flatMap((severity) => found.filter((claim) => claim.severity === severity));
  const { out } = run;
  if (options.json) out.line(jsonText({ kernels: kernels.map(kernelJson), claims }));
  else {
    for (const kernel of kernels) out.line(safeSentence(kernelText(kernel)));
    for (const claim of claims) writeClaim(run, claim);
    out.line();
    const counts = severities.map((severity) => {
      const count = claims.filter((claim) => claim.severity === severity).length;
      return severity === "info" ? `${count} info` : plural(count, severity);
    });
    out.line(claims.length === 0 ? run.style.good("nothing to say") : counts.join(", "));
  }
  return exitOfFindings(claims);
}

function writeClaim({ out, style, columns }: Run, claim: AbiClaim): void {
  const { rule, severity, struct, member, message, sides, members } = claim;
  const indent = " ".repeat(9);
  const subject = member === undefined ? struct : `${struct}.${member}`;
  out.line();
  out.line(
    `${severityText(severity, style)}${" ".repeat(indent.length - severity.length)}${style.bold(`struct ${safeName(subject)}`)}  ${style.dim(rule)}`,
  );
  for (const line of wrap(safeSentence(message), columns - indent.length)) out.line(indent + line);
  // What images list is said in the sentence; there is no structure to cite.
  for (const line of alignRows(rule === "not-taken" ? [] : sides.map(sideCells)))
    out.line(`${indent}${line}`);
  for (const line of alignRows(members.map((one) => memberCells(one, style)))) out.line(`${indent}  ${line}`);
}

/** Who, which version, how long the structure is, and where the member is. */
function sideCells({ kernel, compatible, size, place }: AbiCitation): string[] {
  if (size === undefined) return [safeName(kernel), "not there"];
  return [
    safeName(kernel),
    compatible ?? "no version",
    plural(size, "byte"),
    ...(place ? [`offset ${offsetText(place)}`, sizeText(place), safeName(place.type)] : []),
  ];
}
