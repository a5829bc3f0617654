/** How the kernel's debugfs walks and prints a page table, first stage or second. */
import { littleWords } from "../../../src/layout/index.js";
import { readMemory } from "../../context.js";
import { addressOfFrame, frameReader, maskOf, or, wordOf } from "../entry.js";
import { entriesOf } from "../format.js";
import { newFrameSet } from "../frames.js";
import type { IommuContext } from "../walk.js";
import { tableBytes } from "./layout.js";
import { vtdss, vtdssLarge, vtdssPage } from "./second-stage.js";

/** Names of levels, from the fifth down to the first. */
const columns = ["PML5E", "PML4E", "PDPE", "PDE", "PTE"];
/** Columns that every line has. */
const least = 3;

const header = ["IOVA_PFN".padEnd(17), ...columns.map((name) => (name === "PTE" ? name : name.padEnd(18)))];
const zero = `0x${"".padEnd(16, "0")}`;

const present = or(maskOf(vtdssPage, "R", "W")).lo;
const large = or(maskOf(vtdssLarge, "PS")).lo;
/** All bits above the page offset, also those that no address has. */
const nextTable = frameReader(2n ** 64n - 2n ** 12n, 12);
const items = entriesOf(vtdss());

/**
 * The header, and a line for each leaf: an entry with PS at whatever level, or one of the lowest. No leaves at all for more
 * levels than there are columns, which is nothing that the kernel expects.
 * @param frame of the top table
 */
export function* leafLines(
  ctx: IommuContext,
  frame: number,
  levels: number,
  path: string,
): Generator<string> {
  const { limits, report } = ctx;
  const seen = newFrameSet();
  let visits = 0;
  let repeats = 0;
  const mayRead = (table: number): boolean => {
    if (!seen.add(table)) repeats++;
    if (++visits <= limits.maxTables && repeats <= limits.maxSharedTables) return true;
    const what = visits > limits.maxTables ? "has too many tables" : "leads to the same tables too often";
    report("error", "limit-exceeded", `the page table ${what}`, {
      path,
      pa: addressOfFrame(table),
      length: tableBytes,
    });
    return false;
  };

  /** Levels count from 1; `iova` is in frames; `above` are the columns left of the table's. False once a limit is reached. */
  function* walk(table: number, level: number, iova: number, above: string): Generator<string, boolean> {
    if (!mayRead(table)) return false;
    const bytes = readMemory(ctx, addressOfFrame(table), tableBytes, path);
    if (!bytes) return true;
    const words = littleWords(bytes);
    for (let i = 0; i < items; i++) {
      const lo = words[2 * i]!;
      if ((lo & present) === 0) continue;
      const hi = words[2 * i + 1]!;
      const at = iova + i * items ** (level - 1);
      const text = `${above}\t0x${wordOf(lo, hi).toString(16).padStart(16, "0")}`;
      if (level > 1 && (lo & large) === 0) {
        if (!(yield* walk(nextTable(lo, hi), level - 1, at, text))) return false;
        continue;
      }
      const missing = Math.max(0, least - (columns.length - level + 1));
      yield `0x${at.toString(16).padStart(13, "0")} |${text}${`\t${zero}`.repeat(missing)}`;
    }
    return true;
  }

  yield header.join("\t");
  if (levels <= columns.length) yield* walk(frame, levels, 0, `\t${zero}`.repeat(columns.length - levels));
}
