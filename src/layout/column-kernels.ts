import { columnKernelsWasm } from "./column-kernels-wasm.js";
import type { Column, ColumnArray, Plan } from "./column-plan.js";
import { leastRows, mostBytes, readers, type Step, writers } from "./column-steps.js";

/** Where column-kernels.wat has its rows and its columns. */
const rowsAt = 0x400;
const columnAt = 0x10c00;
const matesAt = 0x19400;

/** A loop over so many rows, rounded up to a multiple of four; what it gives is not 0 if it wrote what does not fit. */
type Kernel = (
  count: number,
  at: number,
  stride: number,
  shift: number,
  width: number,
  own: number,
) => number;

/** WebAssembly's memory, and what works on it. What is there is of use to one call alone. */
export interface ColumnKernels {
  readonly rows: Uint8Array;
  /** The bytes of the first rows. Views are kept, of each kind one. */
  firstRows(length: number): Uint8Array;
  /** The first numbers of the column, and of the second one. */
  column(array: ColumnArray, length: number): Column;
  mates(length: number): Uint16Array;
  readonly kernels: Readonly<Record<Step["read"] | Step["write"], Kernel>>;
  readonly rowsAt: number;
}

function newKernels(): ColumnKernels | undefined {
  if (typeof WebAssembly === "undefined") return undefined;
  let exports: WebAssembly.Exports;
  try {
    const code = Uint8Array.from(atob(columnKernelsWasm), (character) => character.charCodeAt(0));
    exports = new WebAssembly.Instance(new WebAssembly.Module(code)).exports;
  } catch {
    // Vectors are missing, or a page's policy forbids it.
    return undefined;
  }
  const { buffer } = exports.memory as WebAssembly.Memory;
  const columns = new Map<ColumnArray, Column>();
  let first = new Uint8Array(buffer, rowsAt, 0);
  let second = new Uint16Array(buffer, matesAt, 0);
  return {
    rows: new Uint8Array(buffer, rowsAt, mostBytes),
    rowsAt,
    kernels: Object.fromEntries(
      [...readers, ...writers].map((name) => [name, exports[name] as Kernel]),
    ) as ColumnKernels["kernels"],
    firstRows(length) {
      if (first.length !== length) first = new Uint8Array(buffer, rowsAt, length);
      return first;
    },
    column(array, length) {
      let column = columns.get(array);
      if (column?.length !== length) {
        column = new (array as Float64ArrayConstructor)(buffer, columnAt, length) as Column;
        columns.set(array, column);
      }
      return column;
    },
    mates(length) {
      if (second.length !== length) second = new Uint16Array(buffer, matesAt, length);
      return second;
    },
  };
}

let made: { readonly kernels: ColumnKernels | undefined } | undefined;

/** The kernels for so many rows, or undefined where there are none or they would not pay. They are made once. */
export function kernelsFor(rows: number): ColumnKernels | undefined {
  if (rows < leastRows) return undefined;
  made ??= { kernels: newKernels() };
  return made.kernels;
}

/** Fills columns by the kernels. False if there are none for them, and then nothing is filled. */
export function fillInWindows(
  { size, columns, inKernels }: Plan,
  { buffer, byteOffset }: Uint8Array,
  offset: number,
  count: number,
  outs: readonly Column[],
): boolean {
  const by = inKernels && kernelsFor(count);
  if (!by) return false;
  const start = byteOffset + offset;
  const { rows: most, steps } = inKernels;
  for (let from = 0; from < count; from += most) {
    const rows = Math.min(most, count - from);
    by.rows.set(new Uint8Array(buffer, start + from * size, rows * size));
    for (let k = 0; k < steps.length; k++) {
      const { column, mate, read, offset: unit, shift, width, own } = steps[k]!;
      by.kernels[read]((rows + 3) & ~3, by.rowsAt + unit, size, shift, width, own);
      outs[column]!.set(by.column(columns[column]!.array, rows), from);
      if (mate >= 0) outs[mate]!.set(by.mates(rows), from);
    }
  }
  return true;
}
