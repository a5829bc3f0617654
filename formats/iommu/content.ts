import type { PhysAddr } from "../../src/memory/index.js";
import { addressOfFrame } from "./entry.js";
import { entriesOf, framesOf, itemFrames, type PageTable, rootEntries } from "./format.js";
import { type IommuContext, type LeafSink, walkTable } from "./walk.js";

/** Tables in the order of a walk, as columns. */
export interface TableColumns {
  readonly length: number;
  readonly frame: Float64Array;
  readonly level: Uint8Array;
  /** The table that leads to it, as a place in these columns, and the index and word of the entry that does. */
  readonly parent: Int32Array;
  readonly index: Int32Array;
  readonly lo: Int32Array;
  readonly hi: Int32Array;
}

/** Leaves in the order of a walk, as columns. A row is `count` leaves whose words follow from the first one's. */
export interface LeafColumns {
  readonly length: number;
  /** The table that they are in, as a place in {@link TableColumns}, and the index of the first. */
  readonly table: Int32Array;
  readonly index: Int32Array;
  /** Base-2 logarithm of the bytes of one. */
  readonly lg2: Uint8Array;
  readonly count: Int32Array;
  readonly lo: Int32Array;
  readonly hi: Int32Array;
}

/** All that a page table holds, bit for bit: tables at their addresses, empty ones too, and every leaf. */
export interface TableContent {
  readonly table: PageTable;
  readonly tables: TableColumns;
  readonly leaves: LeafColumns;
}

/** Reads everything. Entries that lead nowhere are not kept: hardware does not look at them, and kernels leave them zero. */
export function decodeTable(ctx: IommuContext, table: PageTable, path: string): TableContent {
  const tables = columns("frame", "level", "parent", "index", "lo", "hi");
  const leaves = columns("table", "index", "lg2", "count", "lo", "hi");
  /** Latest table of each level. */
  const latest: number[] = [];
  const sink: LeafSink = {
    exact: true,
    table(frame, level, above, index, lo, hi) {
      const parent = level === table.levels - 1 ? -1 : latest[above]!;
      latest[level] = tables.rows;
      tables.push(frame, level, parent, index, lo, hi);
    },
    leaves(batch) {
      const { level } = batch;
      const at = latest[level]!;
      const entries = level === table.levels - 1 ? rootEntries(table) : entriesOf(table.format);
      for (let row = 0; row < batch.length; row++) {
        const index = Math.floor(batch.iova[row]! / itemFrames(table.format, level)) % entries;
        leaves.push(at, index, batch.lg2[row]!, batch.count[row]!, batch.lo[row]!, batch.hi[row]!);
      }
    },
    get full() {
      return leaves.rows > ctx.limits.maxRuns;
    },
  };
  walkTable(ctx, table, sink, path);
  return {
    table,
    tables: {
      length: tables.rows,
      frame: Float64Array.from(tables.of("frame")),
      level: Uint8Array.from(tables.of("level")),
      parent: Int32Array.from(tables.of("parent")),
      index: Int32Array.from(tables.of("index")),
      lo: Int32Array.from(tables.of("lo")),
      hi: Int32Array.from(tables.of("hi")),
    },
    leaves: {
      length: leaves.rows,
      table: Int32Array.from(leaves.of("table")),
      index: Int32Array.from(leaves.of("index")),
      lg2: Uint8Array.from(leaves.of("lg2")),
      count: Int32Array.from(leaves.of("count")),
      lo: Int32Array.from(leaves.of("lo")),
      hi: Int32Array.from(leaves.of("hi")),
    },
  };
}

/** Columns that grow. */
function columns<N extends string>(...names: readonly N[]) {
  const all = names.map((): number[] => []);
  return {
    get rows() {
      return all[0]!.length;
    },
    push(...values: number[]) {
      for (const [i, value] of values.entries()) all[i]!.push(value);
    },
    of: (name: N): readonly number[] => all[names.indexOf(name)]!,
  };
}

/** Writes everything where it was: each table once, as a whole. */
export function encodeTable(
  { table, tables, leaves }: TableContent,
  write: (pa: PhysAddr, bytes: Uint8Array) => void,
): void {
  const { format } = table;
  const words = Array.from({ length: tables.length }, (_, i) => {
    const top = tables.level[i] === table.levels - 1;
    return new DataView(new ArrayBuffer(8 * (top ? rootEntries(table) : entriesOf(format))));
  });
  const put = (at: number, index: number, lo: number, hi: number): void => {
    words[at]!.setInt32(8 * index, lo, true);
    words[at]!.setInt32(8 * index + 4, hi, true);
  };
  for (let i = 0; i < tables.length; i++)
    if (tables.parent[i]! >= 0) put(tables.parent[i]!, tables.index[i]!, tables.lo[i]!, tables.hi[i]!);
  for (let i = 0; i < leaves.length; i++) {
    const at = leaves.table[i]!;
    const items = itemFrames(format, tables.level[at]!);
    const slots = framesOf(leaves.lg2[i]!) / items;
    const step = format.frameStep * framesOf(leaves.lg2[i]!);
    let lo = leaves.lo[i]!;
    let hi = leaves.hi[i]!;
    for (let leaf = 0, index = leaves.index[i]!; leaf < leaves.count[i]!; leaf++) {
      for (let slot = 0; slot < slots; slot++) put(at, index++, lo, hi);
      const sum = (lo >>> 0) + step;
      hi = (hi + Math.floor(sum / 2 ** 32)) | 0;
      lo = sum | 0;
    }
  }
  for (let i = 0; i < tables.length; i++)
    write(addressOfFrame(tables.frame[i]!), new Uint8Array(words[i]!.buffer));
}
