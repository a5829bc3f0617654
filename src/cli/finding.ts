import type { FaultDetail } from "../report/error.js";
import type { Consequence, Finding, Severity } from "../report/finding.js";
import { hex } from "../report/hex.js";
import { alignRows } from "./table.js";
import type { Style } from "./terminal.js";
import { plural, safeSentence, widthOf, wrap } from "./text.js";

/**
 * What the kernel makes of a fault, as the second half of a sentence: `ignores the whole handover at boot (EINVAL)`.
 */
export function consequenceText({ outcome, phase, errno, all, detail }: Consequence): string {
  const code = errno === undefined ? "" : ` (${errno})`;
  const more = detail === undefined ? "" : `: ${detail}`;
  switch (outcome) {
    case "ignored":
      if (all) return `ignores the whole handover at boot${code} and boots as if cold${more}`;
      return `drops this at ${when[phase]}${code}${more}`;
    case "refused":
      if (phase === "open" && all)
        return `refuses every open of /dev/liveupdate with EIO${errno === undefined ? "" : ` (it logs ${errno})`}: no session can be reached${more}`;
      return `refuses it at ${when[phase]}${errno === undefined ? "" : ` with ${errno}`}${more}`;
    case "panic":
      return phase === "boot" && all
        ? `does not boot${code}${more}`
        : `oopses at ${when[phase]}${code}${more}`;
    case "misread":
      return `notices nothing and misreads it at ${when[phase]}${more}`;
  }
}

const when = {
  boot: "boot",
  open: "the first open of /dev/liveupdate",
  retrieve: "retrieve",
  call: "the call",
} as const;

/** Address and length of a fault: `0x4b3000, 8 bytes`; empty where it has none. */
export function placeText({ pa = 0n, length = 0 }: Pick<FaultDetail, "pa" | "length">): string {
  if (pa === 0n) return "";
  return length > 0 ? `${hex(pa)}, ${plural(length, "byte")}` : hex(pa);
}

/** A severity in its colour. */
export function severityText(severity: Severity, style: Style): string {
  if (severity === "error") return style.bad("error");
  return severity === "warning" ? style.warn("warning") : style.dim("info");
}

/** Findings that differ in their place only: a fault of a handler's name is often one of every file. */
export interface FindingGroup {
  /** The first of them. */
  readonly finding: Finding;
  /** Places of all of them, in the order of discovery. */
  readonly places: readonly Pick<Finding, "pa" | "length" | "path">[];
}

/** Findings that say the same, together; worst first, within a severity in the order of discovery. */
export function groupFindings(findings: readonly Finding[]): FindingGroup[] {
  const groups = new Map<string, { finding: Finding; places: Finding[] }>();
  for (const finding of bySeverity(findings)) {
    const { severity, code, message, expected, actual, consequence } = finding;
    const key = JSON.stringify([severity, code, message, expected, actual, consequence]);
    const group = groups.get(key);
    if (group) group.places.push(finding);
    else groups.set(key, { finding, places: [finding] });
  }
  return [...groups.values()];
}

/** Places of a group that are listed. */
const shownPlaces = 3;

/**
 * A group of findings as lines: severity, sentence, then where, and what the kernel of `release` does with it. Broken
 * at `columns`; `all` lists every place.
 */
export function groupLines(
  { finding, places }: FindingGroup,
  release: string,
  {
    style,
    columns,
    all = false,
  }: { readonly style: Style; readonly columns: number; readonly all?: boolean },
): string[] {
  const { severity, code, message, expected, actual, consequence } = finding;
  const indent = " ".repeat(9);
  const body = (text: string): string[] => wrap(safeSentence(text), columns - indent.length);
  const times = places.length > 1 ? ` (${places.length} times)` : "";
  const [first = "", ...rest] = body(`${message}${times}`);
  const listed = all || places.length <= shownPlaces + 1 ? places.length : shownPlaces;
  const where = alignRows(
    places
      .slice(0, listed)
      .map((place) => [place.path, placeText(place)].filter((part) => part !== ""))
      .map((cells) => cells.map(safeSentence)),
  );
  const sentence = [first, ...rest];
  const tag = `  ${style.dim(code)}`;
  const lines = sentence.map((line, i) => (i === 0 ? "" : indent) + style.bold(line));
  // The code stands behind the sentence where there is room, else below it.
  if (widthOf(lines.at(-1)! + tag) + (lines.length === 1 ? indent.length : 0) <= columns)
    lines.push(lines.pop()! + tag);
  else lines.push(indent + style.dim(code));
  lines[0] = `${severityText(severity, style)}${" ".repeat(indent.length - severity.length)}${lines[0]}`;
  const comparison = comparisonText(expected, actual);
  if (comparison !== "") lines.push(...body(comparison).map((line) => indent + line));
  if (consequence)
    lines.push(...body(`Linux ${release} ${consequenceText(consequence)}`).map((line) => indent + line));
  lines.push(...where.filter((line) => line !== "").map((line) => indent + style.dim(line)));
  if (listed < places.length) lines.push(indent + style.dim(`... and ${places.length - listed} more`));
  return lines;
}

/** `expected 8 bytes, found 4 bytes`. */
export function comparisonText(expected: string | undefined, actual: string | undefined): string {
  const parts = [
    ...(expected === undefined ? [] : [`expected ${expected}`]),
    ...(actual === undefined || actual === "" ? [] : [`found ${actual}`]),
  ];
  return parts.join(", ");
}

const severities: readonly Severity[] = ["error", "warning", "info"];

/** Worst first; within a severity first what costs all of the handover, then in the order of discovery. */
export const bySeverity = (findings: readonly Finding[]): Finding[] =>
  severities.flatMap((severity) => {
    const same = findings.filter((finding) => finding.severity === severity);
    return [...same.filter(costsAll), ...same.filter((finding) => !costsAll(finding))];
  });

const costsAll = ({ consequence }: Finding): boolean => consequence?.all ?? false;

/** `2 errors, 1 warning`; `none` without any. */
export function countText(findings: readonly Finding[], style: Style): string {
  const parts = severities.flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    if (count === 0) return [];
    const text = severity === "info" ? `${count} info` : plural(count, severity);
    return [severity === "error" ? style.bad(text) : severity === "warning" ? style.warn(text) : text];
  });
  return parts.length === 0 ? style.good("none") : parts.join(", ");
}
