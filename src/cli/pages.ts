import { orderCounts, type PreservedMemory, preservedBytes } from "../../formats/kho/preserved.js";
import { endOf, lookupIn, type Runs } from "../../formats/kho/runs.js";
import { forAscending } from "../../formats/kho/runs-by-address.js";
import type { Handover } from "../handover/index.js";
import { addressOf, pfnOf, physAddr } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import type { Exit } from "./exit.js";
import { type InputOptions, withHandover } from "./input.js";
import { jsonText } from "./json.js";
import { noticeFindings } from "./notice.js";
import type { Run } from "./run.js";
import { mapText, rangeText } from "./sections.js";
import { alignRows } from "./table.js";
import type { Glyphs } from "./terminal.js";
import { exactBytes, humanBytes, plural } from "./text.js";

export interface PagesCommandOptions extends InputOptions {
  readonly json?: boolean;
  readonly at?: bigint;
}

/** `kho pages FILE`: which memory the next kernel keeps. */
export async function pagesCommand(run: Run, file: string, options: PagesCommandOptions): Promise<Exit> {
  return withHandover(run, file, options, (decoded) => {
    const { preserved, pageSize } = decoded.handover;
    if (!preserved) {
      // Up to 6.18 a handover that keeps nothing has no map either.
      if (decoded.findings.some(({ code, severity }) => code === "map-missing" && severity === "info")) {
        run.out.line(
          options.json ? jsonText({ pageSize, ranges: [] }) : "the memory map is empty: nothing is preserved",
        );
        return noticeFindings(run, decoded);
      }
      throw new KhoError("map-missing", "there is no memory map that could be read in this capture");
    }
    if (options.at !== undefined) writeLookup(run, decoded.handover, preserved, options.at);
    else if (options.json) writeJson(run, preserved, pageSize);
    else writeText(run, preserved, pageSize);
    return noticeFindings(run, decoded);
  });
}

/** Bytes of one block of `order`. */
const blockBytes = (order: number, pageSize: number): bigint => 2n ** BigInt(order) * BigInt(pageSize);
/** Columns of a full bar. */
const barWidth = 30;

function writeText({ out, style, glyphs }: Run, preserved: PreservedMemory, pageSize: number): void {
  const { runs } = preserved;
  const total = preservedBytes(runs, pageSize);
  const counts = orderCounts(runs);
  const blocks = counts.reduce((sum, count) => sum + count.blocks, 0);
  out.line(
    `${style.bold("Preserved memory")}  ${exactBytes(total)} in ${plural(blocks, "block")}, ${plural(runs.length, "range")}; ${mapText(preserved)}`,
  );
  if (runs.length === 0) return;
  out.line();
  const bytesOf = ({ order, blocks }: (typeof counts)[number]): bigint =>
    BigInt(blocks) * blockBytes(order, pageSize);
  const most = Math.max(1, ...counts.map((count) => Number(bytesOf(count))));
  const histogram = alignRows(
    [
      ["ORDER", "BLOCK", "BLOCKS", "BYTES", "", "SHARE"],
      ...counts.map((count) => [
        `${count.order}`,
        humanBytes(blockBytes(count.order, pageSize)),
        `${count.blocks}`,
        `${bytesOf(count)}`,
        humanBytes(bytesOf(count)),
        `${percent(bytesOf(count), total)}  ${barOf(Number(bytesOf(count)) / most, glyphs)}`,
      ]),
    ],
    ["right", "right", "right", "right", "right", "left"],
  );
  for (const [i, line] of histogram.entries()) out.line(i === 0 ? style.dim(line) : line);
  out.line();
  const widest = widestRange(runs, pageSize);
  out.line(style.dim(`${"RANGE".padEnd(widest)}  ORDER   BLOCKS           BYTES`));
  // Written as they come, not gathered as a table: there may be millions.
  forAscending(runs, (i) => {
    const bytes = BigInt(runs.count[i]!) * blockBytes(runs.order[i]!, pageSize);
    const cells = [
      rangeOf(runs, i, pageSize).padEnd(widest),
      `${runs.order[i]}`.padStart(5),
      `${runs.count[i]}`.padStart(7),
      `${bytes}`.padStart(14),
      humanBytes(bytes).padStart(8),
    ];
    out.line(cells.join("  "));
  });
}

/** Characters of the longest range. Only of those that have more digits than any before is the text made. */
function widestRange(runs: Runs, pageSize: number): number {
  let widest = "RANGE".length;
  let most = 0;
  for (let i = 0; i < runs.length; i++) {
    const digits = hexDigits(runs.pfn[i]! * pageSize) + hexDigits(endOf(runs, i) * pageSize - 1);
    if (digits <= most) continue;
    most = digits;
    widest = Math.max(widest, rangeOf(runs, i, pageSize).length);
  }
  return widest;
}

function hexDigits(value: number): number {
  let digits = 1;
  for (let top = 16; value >= top; top *= 16) digits++;
  return digits;
}

const rangeOf = (runs: Runs, i: number, pageSize: number): string =>
  rangeText(addressOf(runs.pfn[i]!, pageSize), BigInt(runs.count[i]!) * blockBytes(runs.order[i]!, pageSize));

const percent = (part: bigint, whole: bigint): string =>
  `${(whole === 0n ? 0 : (Number(part) * 100) / Number(whole)).toFixed(1).padStart(5)}%`;

/** A bar for 0 to 1, in eighths of a column where the terminal has them; never empty. */
export function barOf(share: number, { bar }: Glyphs): string {
  const steps = Math.max(1, Math.round(share * barWidth * bar.length));
  const full = Math.floor(steps / bar.length);
  const part = steps % bar.length;
  return bar.at(-1)!.repeat(full) + (part === 0 ? "" : bar[part - 1]!);
}

/** Writes `--json`, range by range: a u64 is a string of decimals. */
function writeJson({ out }: Run, { runs, kind, rootPa, mapPages }: PreservedMemory, pageSize: number): void {
  const counts = orderCounts(runs);
  const rest = jsonText({
    pageSize,
    kind,
    rootPa,
    mapPages,
    bytes: preservedBytes(runs, pageSize),
    blocks: counts.reduce((sum, { blocks }) => sum + blocks, 0),
    orders: counts.map(({ order, blocks }) => ({
      order,
      blocks,
      bytes: BigInt(blocks) * blockBytes(order, pageSize),
    })),
    ranges: [],
  });
  const hole = rest.lastIndexOf("[]");
  out.text(rest.slice(0, hole + 1));
  let first = true;
  forAscending(runs, (i) => {
    const range = jsonText({
      pa: addressOf(runs.pfn[i]!, pageSize),
      end: BigInt(endOf(runs, i)) * BigInt(pageSize),
      order: runs.order[i],
      blocks: runs.count[i],
      bytes: BigInt(runs.count[i]!) * blockBytes(runs.order[i]!, pageSize),
    });
    out.text(`${first ? "" : ","}\n    ${range.replaceAll("\n", "\n    ")}`);
    first = false;
  });
  out.line(`${first ? "" : "\n  "}${rest.slice(hole + 1)}`);
}

/** One address: the block it is in, and whether scratch or nothing keeps it. */
function writeLookup(
  { out, style }: Run,
  { scratch, pageSize }: Handover,
  { runs }: PreservedMemory,
  at: bigint,
): void {
  const pfn = pfnOf(physAddr(at), pageSize);
  const found = lookupIn(runs)(pfn);
  const area = scratch.findIndex(({ pa, size }) => at >= pa && at < pa + size);
  if (found.kind === "absent") {
    out.line(`${hex(at)}  ${style.bold("not preserved")}`);
  } else {
    const first = found.kind === "block" ? pfn : found.pfn;
    const range = rangeText(addressOf(first, pageSize), blockBytes(found.order, pageSize));
    const where = found.kind === "block" ? "first page" : `page ${pfn - first}`;
    out.line(
      `${hex(at)}  ${style.bold("preserved")}: ${where} of the block ${range}, order ${found.order}, ${humanBytes(blockBytes(found.order, pageSize))}`,
    );
  }
  if (area >= 0) out.line(`${hex(at)}  in scratch area ${area}, which the next kernel overwrites`);
}
