import { byIndex, pagesOf } from "../../formats/memfd/folios.js";
import { MEMFD_LUO_FOLIO_DIRTY, MEMFD_LUO_FOLIO_UPTODATE } from "../../formats/memfd/layout.js";
import type { Memfd } from "../../formats/memfd/memfd.js";
import type { File, Handover, Session } from "../handover/index.js";
import { addressOf } from "../memory/index.js";
import { hex } from "../report/hex.js";
import type { Exit } from "./exit.js";
import { type FoundSession, findSession } from "./find.js";
import { type InputOptions, withHandover } from "./input.js";
import { jsonText } from "./json.js";
import { type FolioSummary, ordersText, sealsText, summarise, tokenText } from "./memfd.js";
import { noticeFindings } from "./notice.js";
import type { Run } from "./run.js";
import { luoTotals, rangeText, sessionName, systemdBranches } from "./sections.js";
import { type Align, alignRows } from "./table.js";
import { exactBytes, humanBytes, plural, safeName } from "./text.js";
import { drawTree } from "./tree.js";

export interface SessionsCommandOptions extends InputOptions {
  readonly json?: boolean;
}

/** `kho sessions FILE [NAME]`: all sessions as a table, or one with the runs of its files. */
export async function sessionsCommand(
  run: Run,
  file: string,
  name: string | undefined,
  options: SessionsCommandOptions,
): Promise<Exit> {
  return withHandover(run, file, options, (decoded) => {
    const { handover } = decoded;
    const found = name === undefined ? undefined : findSession(handover, name);
    if (options.json) run.out.line(jsonText(sessionsJson(handover, found)));
    else if (found) writeSession(run, handover, found.session);
    else writeTable(run, handover);
    return noticeFindings(run, decoded);
  });
}

const head = ["SESSION / TOKEN", "HANDLER", "SIZE", "", "POS", "FOLIOS", "ORDERS", "RUNS", "HOLES", "SEALS"];
const aligns: readonly Align[] = [
  "left",
  "left",
  "right",
  "right",
  "right",
  "right",
  "left",
  "right",
  "right",
  "left",
];

function writeTable({ out, style }: Run, { luo, pageSize }: Handover): void {
  if (!luo) {
    out.line("there is no live-update state in this handover, so there are no sessions");
    return;
  }
  const { sessions } = luo;
  out.line(`${style.bold("Live update")}  ${safeName(luo.compatible)}; ${luoTotals(luo, pageSize)}`);
  if (sessions.length === 0) return;
  out.line();
  const rows: string[][] = [head];
  for (const session of sessions) {
    const { name, files, systemd } = session;
    const aside = [
      ...(files.length === 0 ? ["no files"] : []),
      ...(systemd ? [plural(systemd.units.length, "unit")] : []),
    ];
    rows.push([
      `${style.name(sessionName(name))}${aside.length > 0 ? `  ${style.dim(aside.join(", "))}` : ""}`,
    ]);
    for (const file of files) rows.push(fileRow(file, pageSize));
  }
  for (const [i, line] of alignRows(rows, aligns).entries()) out.line(i === 0 ? style.dim(line) : line);
}

function fileRow({ token, compatible, data, memfd }: File, pageSize: number): string[] {
  const start = [`  ${tokenText({ token })}`, safeName(compatible)];
  if (!memfd) return [...start, `data ${hex(data)}`, ""];
  const summary = summarise(memfd, pageSize);
  return [
    ...start,
    `${memfd.size}`,
    humanBytes(memfd.size),
    `${memfd.pos}`,
    `${summary.folios}`,
    ordersText(summary.orders) || "-",
    `${summary.runs}`,
    `${summary.holes}`,
    sealsText(memfd.seals) || "-",
  ];
}

function writeSession({ out, style, glyphs }: Run, { pageSize }: Handover, session: Session): void {
  const { name, files, systemd, pa } = session;
  out.line(
    `${style.bold("Session")} ${style.name(sessionName(name))}  ${plural(files.length, "file")}; record at ${hex(pa)}`,
  );
  for (const [i, file] of files.entries()) {
    const { token, compatible, data, memfd, pa: recordPa } = file;
    out.line();
    out.line(
      `${style.bold(`File ${i}`)}  token ${hex(token)} (${token})  ${safeName(compatible)}  data ${hex(data)}  record at ${hex(recordPa)}`,
    );
    if (!memfd) out.line("  not a memfd that can be read");
    else for (const line of memfdLines(memfd, pageSize, style.dim)) out.line(`  ${line}`);
  }
  if (systemd) {
    out.line();
    for (const line of drawTree(systemdBranches(systemd, { style, all: true }), { glyphs, style }))
      out.line(line);
  }
}

function* memfdLines(memfd: Memfd, pageSize: number, dim: (text: string) => string): Generator<string> {
  const { folios, size, pos, seals, flags, nrFolios } = memfd;
  const summary = summarise(memfd, pageSize);
  const facts = [
    exactBytes(size),
    `position ${pos}`,
    `seals ${sealsText(seals) || "none"}`,
    ...(flags === 0 ? [] : [`flags ${hex(flags)}`]),
  ];
  yield facts.join("  ");
  yield folioFacts(summary, nrFolios);
  if (folios.length === 0) return;
  const columnAligns: Align[] = ["right", "left", "right", "right", "left"];
  const rows = [["OFFSET", "MEMORY", "ORDER", "COUNT", "FLAGS"]];
  let end = 0;
  const hole = (from: number, to: number): void => {
    if (to > from) rows.push([hex(from), `hole of ${humanBytes(to - from)}`, "", "", ""]);
  };
  const fileEnd = Number(size);
  for (const i of byIndex(folios)) {
    const start = folios.index[i]! * pageSize;
    hole(end, Math.min(start, fileEnd));
    const bytes = BigInt(pagesOf(folios, i)) * BigInt(pageSize);
    rows.push([
      hex(start),
      rangeText(addressOf(folios.pfn[i]!, pageSize), bytes),
      `${folios.order[i]}`,
      `${folios.count[i]}`,
      folioFlags(folios.flags[i]!),
    ]);
    end = Math.max(end, start + Number(bytes));
  }
  hole(end, fileEnd);
  for (const [i, line] of alignRows(rows, columnAligns).entries()) yield `  ${i === 0 ? dim(line) : line}`;
}

function folioFacts(
  { folios, runs, bytes, holes, holeBytes, orders }: FolioSummary,
  nrFolios: bigint,
): string {
  const skipped = nrFolios - BigInt(folios);
  return [
    `${plural(folios, "folio")} in ${plural(runs, "run")}, ${exactBytes(bytes)}`,
    ...(orders.length > 0
      ? [orders.map(({ order, folios: count }) => `${count} of order ${order}`).join(", ")]
      : []),
    holes > 0 ? `${plural(holes, "hole")}, ${exactBytes(holeBytes)}` : "no holes",
    ...(skipped > 0n ? [`${plural(skipped, "entry", "entries")} of the list not used`] : []),
  ].join("; ");
}

function folioFlags(flags: number): string {
  const rest = flags & ~(MEMFD_LUO_FOLIO_DIRTY | MEMFD_LUO_FOLIO_UPTODATE);
  return [
    ...((flags & MEMFD_LUO_FOLIO_DIRTY) !== 0 ? ["dirty"] : []),
    ...((flags & MEMFD_LUO_FOLIO_UPTODATE) !== 0 ? ["uptodate"] : []),
    ...(rest === 0 ? [] : [hex(rest)]),
  ].join(" ");
}

/** What `--json` prints; a u64 is a bigint here and a string of decimals there. */
function sessionsJson({ luo, pageSize }: Handover, found: FoundSession | undefined): unknown {
  const file = ({ token, compatible, data, memfd }: File, index: number) => ({
    index,
    token,
    compatible,
    data,
    ...(memfd && { memfd: memfdJson(memfd, pageSize, found !== undefined) }),
  });
  const session = ({ name, files, systemd }: Session, index: number) => ({
    index,
    name,
    files: files.map(file),
    ...(systemd && { systemd }),
  });
  if (found) return { sessions: [session(found.session, found.index)] };
  return { sessions: (luo?.sessions ?? []).map(session) };
}

function memfdJson(memfd: Memfd, pageSize: number, withRuns: boolean) {
  const { size, pos, seals, flags, nrFolios, folios } = memfd;
  return {
    size,
    pos,
    seals,
    flags,
    nrFolios,
    ...summarise(memfd, pageSize),
    ...(withRuns && {
      folioRuns: Array.from(byIndex(folios), (i) => ({
        index: folios.index[i],
        pa: addressOf(folios.pfn[i]!, pageSize),
        order: folios.order[i],
        count: folios.count[i],
        flags: folios.flags[i],
      })),
    }),
  };
}
