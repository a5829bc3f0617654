import { kernelsFor } from "./column-kernels.js";
import type { Column, Plan } from "./column-plan.js";

/**
 * Writes rows by the kernels, and gives how many: those of whole windows up to the first with a number that the kernels
 * do not take, be it that it does not fit or that it is 2^52 or more. 0 if there are no kernels for these columns.
 */
export function writeInWindows(
  { size, columns, inKernels }: Plan,
  { buffer, byteOffset }: Uint8Array,
  offset: number,
  count: number,
  ins: readonly ArrayLike<number>[],
): number {
  const by = inKernels?.writes && kernelsFor(count);
  if (!by) return 0;
  for (let c = 0; c < columns.length; c++)
    if (ins[c]!.constructor !== columns[c]!.array || ins[c]!.length < count) return 0;
  const out = new Uint8Array(buffer, byteOffset + offset, count * size);
  const { rows: most, steps, fillsRows } = inKernels;
  for (let from = 0; from < count; from += most) {
    const rows = Math.min(most, count - from);
    if (!fillsRows) by.rows.fill(0, 0, rows * size);
    // The kernels take four at a time.
    const taken = (rows + 3) & ~3;
    for (let k = 0; k < steps.length; k++) {
      const { column, mate, write, offset: unit, shift, width, own } = steps[k]!;
      load(by.column(columns[column]!.array, taken), ins[column] as Column, from, rows);
      if (mate >= 0) load(by.mates(taken), ins[mate] as Column, from, rows);
      if (by.kernels[write](taken, by.rowsAt + unit, size, shift, width, own) !== 0) return from;
    }
    out.set(by.firstRows(rows * size), from * size);
  }
  return count;
}

/** Copies numbers to a column, and zeros behind them. */
function load(column: Column, values: Column, from: number, count: number): void {
  column.set(values.length === count ? values : values.subarray(from, from + count));
  if (column.length > count) column.fill(0, count);
}
