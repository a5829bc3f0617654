import { isAtLeast } from "../../../formats/kernels.js";
import { endOf, lookupIn, newRuns, type Runs } from "../../../formats/kho/runs.js";
import { khoTestFoliosPath } from "../../../formats/paths.js";
import { banksOf } from "../../machine/firmware.js";
import { common, merged, without } from "../../machine/kho/blocks.js";
import { addressOf, pfnOf } from "../../memory/index.js";
import { hex } from "../../report/hex.js";
import { comparePages } from "../same-memory.js";
import type { Truth } from "../truth.js";
import type { PartVerdict } from "../verdict.js";
import { type Arrived, differs, say } from "./arrived.js";

const part = "preserved";

/** Blocks that were received against those that were preserved, and what is in them. */
export function judgePreserved({ truth, machine }: Arrived): PartVerdict[] {
  const { handover, structures, departure, captured } = truth;
  const { pageSize } = handover;
  const other = differentBlock(truth, machine.kho.receivedRuns, machine.core.abi.pageSize);
  if (other) return [other];
  const parts: PartVerdict[] = [];
  // Structures are the readers' own business, and some are freed before anybody else runs.
  const own = structures
    .filter(({ path }) => path !== khoTestFoliosPath)
    .map(({ pa, pages }) => ({ start: pfnOf(pa, pageSize) as number, end: pfnOf(pa, pageSize) + pages }));
  const contents = common(without(truth.preserved, merged(own)), banksOf(departure.hardware));
  let absent = 0;
  for (const { start, end } of contents) {
    const found = comparePages(departure.memory, machine.memory, start, end - start, pageSize, captured);
    absent += found.absent;
    if (found.different === undefined) continue;
    const at = hex(addressOf(found.different, pageSize));
    parts.push(say(part, "misread", `the content of the preserved page at ${at} has been overwritten`));
    break;
  }
  const large = tooLarge({ truth, machine });
  if (large) parts.push(large);
  const note = absent === 0 ? "" : `${absent} preserved pages are not in the capture and were not compared`;
  return parts.length > 0 ? parts : [say(part, "works", note)];
}

/**
 * The first block that is read otherwise than its writer meant it; undefined if there is none. `pageSize` is that of the
 * reader, in bytes.
 */
export function differentBlock(
  { handover }: Truth,
  read: Runs | undefined,
  pageSize: number,
): PartVerdict | undefined {
  const unit = Math.min(pageSize, handover.pageSize);
  const before = inUnits(handover.preserved?.runs, handover.pageSize / unit);
  const after = inUnits(read, pageSize / unit);
  const pfn = firstDifference(before, after);
  if (pfn === undefined) return undefined;
  // Orders say the same to both only if their pages do.
  const block = (runs: Runs): string => {
    const found = lookupIn(runs)(pfn);
    if (found.kind !== "block") return "nothing preserved";
    return handover.pageSize === pageSize ? `order ${found.order}` : `${2 ** found.order * unit} bytes`;
  };
  const at = hex(addressOf(pfn, unit));
  return say(part, "misread", differs(`the block at ${at}`, block(before), block(after)));
}

/** The same blocks, counted in smaller pages; `times` is a power of two. */
function inUnits(runs: Runs | undefined, times: number): Runs {
  if (!runs) return newRuns().finish();
  if (times === 1) return runs;
  return {
    length: runs.length,
    order: runs.order.map((order) => order + Math.log2(times)),
    pfn: runs.pfn.map((pfn) => pfn * times),
    count: runs.count,
  };
}

/** Blocks of an order that is received and cannot be taken over. */
function tooLarge({ truth, machine }: Arrived): PartVerdict | undefined {
  const { preserved, pageSize } = truth.handover;
  if (!preserved || isAtLeast(machine.kernel, "7.1")) return undefined;
  const { runs } = preserved;
  const most = machine.core.pages.largestOrder;
  for (let i = 0; i < runs.length; i++)
    if (runs.order[i]! > most)
      return say(
        part,
        "lossy",
        `the block at ${hex(addressOf(runs.pfn[i]!, pageSize))} has order ${runs.order[i]}, and Linux ${machine.release} restores at most order ${most}`,
      );
  return undefined;
}

/** The lowest PFN at which a block begins in one of the two and not, or with another order, in the other. */
function firstDifference(some: Runs, others: Runs): number | undefined {
  let least: number | undefined;
  const note = (pfn: number): void => {
    if (least === undefined || pfn < least) least = pfn;
  };
  // Both are ascending by order and PFN, and merged.
  for (let i = 0, k = 0; i < some.length || k < others.length; ) {
    const a = i < some.length ? some.order[i]! : Number.POSITIVE_INFINITY;
    const b = k < others.length ? others.order[k]! : Number.POSITIVE_INFINITY;
    const order = Math.min(a, b);
    const rows = (runs: Runs, from: number): number => {
      let end = from;
      while (end < runs.length && runs.order[end] === order) end++;
      return end;
    };
    const [iEnd, kEnd] = [rows(some, i), rows(others, k)];
    // Runs of one order are disjoint, but blocks of different alignment may interleave: those compare as runs do.
    while (i < iEnd && k < kEnd) {
      if (some.pfn[i] !== others.pfn[k]) note(Math.min(some.pfn[i]!, others.pfn[k]!));
      else if (some.count[i] !== others.count[k]) note(Math.min(endOf(some, i), endOf(others, k)));
      if (some.pfn[i] !== others.pfn[k] || some.count[i] !== others.count[k]) {
        i = iEnd;
        k = kEnd;
        break;
      }
      i++;
      k++;
    }
    if (i < iEnd) note(some.pfn[i]!);
    if (k < kEnd) note(others.pfn[k]!);
    i = iEnd;
    k = kEnd;
  }
  return least;
}
