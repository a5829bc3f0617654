import type { Fate, FateKind } from "../../compat/preflight/judging.js";
import type { PartKind } from "../../compat/preflight/parts.js";
import type { Run } from "../run.js";
import { type Align, alignRows } from "../table.js";
import type { Style } from "../terminal.js";
import { humanBytes, plural, safeName, safeSentence, wrap } from "../text.js";
import { verdictText } from "./compat-text.js";
import { adviceLines } from "./preflight-advice.js";
import type { Shown } from "./preflight-shown.js";

/** Parts that are listed one by one. */
const listed = 10;

/** For whoever is awake: the verdict, what decides, what becomes of the parts, what to do first. */
export function preflightLines(run: Run, shown: Shown, all: boolean): string[] {
  return [
    ...headLines(run, shown),
    ...tableLines(run, shown),
    ...partLines(run, shown, all),
    ...adviceLines(run, shown, all),
  ];
}

const fateText = (verdict: FateKind, style: Style, text: string = verdict): string =>
  verdict === "unknown" ? style.warn(text) : verdictText(verdict, style, text);

function headLines(run: Run, { decoded, receiver, kernel, result }: Shown): string[] {
  const { style, columns } = run;
  const { handover } = decoded;
  const { reason, verdict, promised } = result;
  const guessed = handover.releaseGuessed ? ", worked out: " : ": ";
  const rows: [string, string][] = [
    ["decides", result.detail],
    ["from", `Linux ${handover.release}${guessed}${handover.releaseEvidence}`],
    [
      "to",
      [`Linux ${receiver.release}`, kernel === receiver.release ? "" : kernel].filter(Boolean).join(", "),
    ],
    ...receiver.notes.map((note): [string, string] => ["", note]),
    ...[...new Set(receiver.differences.map(({ text }) => text))].map((text): [string, string] => [
      "differs",
      text,
    ]),
    ...result.notes.map((note): [string, string] => ["note", note]),
    ...result.absent.slice(0, listed).map((text): [string, string] => ["lacks", text]),
    ...result.assumed.map((text): [string, string] => ["assumed", text]),
  ];
  const [first = "", ...more] = wrap(
    headText(shownHead(verdict, promised), receiver.release, reason !== undefined),
    columns - 2,
  );
  const label = promised ? "works" : verdict;
  return [
    `${fateText(promised ? "works" : verdict, style, style.bold(label))}: ${style.bold(first)}`,
    ...more.map((line) => `  ${style.bold(line)}`),
    ...alignRows(
      rows
        .filter(([, text]) => text !== "")
        .flatMap(([name, text]) =>
          wrap(safeSentence(text), columns - 13).map((line, i) => [
            `  ${style.dim(i === 0 ? name : "")}`,
            line,
          ]),
        ),
    ),
  ];
}

type Head = FateKind | "promised";

const shownHead = (verdict: FateKind, promised: boolean): Head =>
  promised && verdict !== "works" ? "promised" : verdict;

/** `early` tells that the boot itself has decided. */
function headText(head: Head, release: string, early: boolean): string {
  const linux = `Linux ${release}`;
  const texts: Record<Head, string> = {
    works: `${linux} takes all of it`,
    promised: `${linux} takes all that is mandatory; optional parts get lost, and lengthen the blackout`,
    lossy: `${linux} takes it, without something that is mandatory`,
    unknown: `it cannot be promised that ${linux} takes all that is mandatory`,
    ignored: `${linux} takes nothing and boots as if cold: everything is lost`,
    refused: `${linux} refuses a call, and what is behind it cannot be reached`,
    panic: early ? `${linux} does not boot with it` : `a call of ${linux} runs into an unhandled fault`,
    misread: `${linux} takes it for something else, and nobody says so`,
    "not-applicable": "nothing is handed over",
  };
  return texts[head];
}

const plurals: Readonly<Record<PartKind, string>> = {
  session: "sessions",
  file: "files",
  FLB: "FLBs",
  region: "regions",
  metadata: "metadata",
  subtree: "subtrees",
  "memory map": "preserved memory",
};

/** How many parts of each kind fare how, and the memory of their contents. */
function tableLines({ style }: Run, { result }: Shown): string[] {
  const groups = new Map<string, { fate: Fate; count: number; bytes: bigint }>();
  for (const fate of result.parts) {
    const key = `${fate.verdict} ${fate.kind} ${fate.need}`;
    const group = groups.get(key) ?? { fate, count: 0, bytes: 0n };
    groups.set(key, { ...group, count: group.count + 1, bytes: group.bytes + (fate.bytes ?? 0n) });
  }
  const aligns: Align[] = ["left", "right", "left", "right"];
  const rows = [...groups.values()].map(({ fate, count, bytes }) => [
    `  ${fateText(fate.verdict, style)}`,
    String(count),
    `${count === 1 && fate.kind !== "memory map" ? fate.kind : plurals[fate.kind]}${fate.need === "optional" ? ", optional" : ""}`,
    bytes === 0n ? "" : humanBytes(bytes),
  ]);
  return ["", style.bold("Parts"), ...alignRows(rows, aligns)];
}

/** Parts of which there is something of their own to say; those of which the same is said together. */
function partLines({ style, columns }: Run, { result }: Shown, all: boolean): string[] {
  const groups = new Map<string, Fate[]>();
  for (const fate of result.parts) {
    if (fate.detail === "") continue;
    const key = `${fate.verdict} ${fate.need} ${fate.detail}`;
    const group = groups.get(key);
    if (group) group.push(fate);
    else groups.set(key, [fate]);
  }
  if (groups.size === 0) return [];
  const count = all || groups.size <= listed + 2 ? groups.size : listed;
  const lines = [...groups.values()].slice(0, count).flatMap((group) => {
    const { verdict, detail, need } = group[0]!;
    const names = all || group.length <= 3 ? group : group.slice(0, 2);
    const more = group.length - names.length;
    const list = `${names.map(({ part }) => safeName(part)).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
    const text = `${list}${need === "optional" ? ", optional" : ""}: ${safeSentence(detail)}`;
    return wrap(text, columns - 12).map((line, i) => [i === 0 ? `  ${fateText(verdict, style)}` : "", line]);
  });
  const rest = groups.size - count;
  return [
    "",
    ...alignRows(lines),
    ...(rest > 0 ? [style.dim(`  ... and ${plural(rest, "more reason", "more reasons")} (--all)`)] : []),
  ];
}
