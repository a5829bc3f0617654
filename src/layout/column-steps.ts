import type { Integer } from "./integer.js";
import { hostIsLittle } from "./words.js";

/** Bytes of rows, and rows, that column-kernels.wat has room for. */
export const mostBytes = 2 ** 16;
const mostRows = 2 ** 12;

/** Of fewer rows the copies cost more than the loops save. */
export const leastRows = 64;

/** The kernels by name: `write` ones OR, `put` ones make zeros of what is left of a unit. */
export const readers = ["read8", "read16", "read32", "readDoubles", "readWhole", "readPairs"] as const;
export const writers = ["write8", "write16", "write32", "writeDoubles", "putDoubles", "putPairs"] as const;

/** What one kernel handles: a column, or a double and what shares its unit. */
export interface Step {
  /** Places in the list of columns; -1 if there is no second. */
  readonly column: number;
  readonly mate: number;
  readonly read: (typeof readers)[number];
  readonly write: (typeof writers)[number];
  /** Its unit, from the start of the rows. */
  readonly offset: number;
  /** Of the column, or of the second one, and how many bits the first one has then. */
  readonly shift: number;
  readonly width: number;
  readonly own: number;
}

/** How rows go through the kernels. */
export interface Steps {
  /** Rows that are handled at once, a multiple of four. */
  readonly rows: number;
  readonly steps: readonly Step[];
  /** True if the kernels can write all columns, and if they write all bits of the rows. */
  readonly writes: boolean;
  readonly fillsRows: boolean;
}

/**
 * The steps for integers of rows of `size` bytes. Undefined if the kernels cannot read them, or if so little of a row is
 * read that copying it would not pay.
 */
export function stepsOf(integers: readonly Integer[], size: number): Steps | undefined {
  const pays = size <= 16 * integers.length && size <= mostBytes / leastRows;
  if (!hostIsLittle || !pays || !integers.every(({ little }) => little)) return undefined;
  const mates = integers.map((integer) => integers.findIndex((other) => isPair(integer, other)));
  const doubles = integers.every(({ width }, k) => width > 32 || mates.includes(k));
  const fillsRows = doubles && (integers.length - mates.filter((m) => m >= 0).length) * 8 === size;
  const steps = integers.flatMap((integer, k): Step[] => {
    if (mates.includes(k)) return [];
    const mate = mates[k]!;
    const { offset, width: own } = integer;
    const { shift, width } = integers[mate] ?? integer;
    const below = mate < 0 ? 0 : 8 * (integers[mate]!.offset - offset);
    return [
      { column: k, mate, ...kernelsOf(integer, mate, fillsRows), offset, shift: shift + below, width, own },
    ];
  });
  // 8 bytes are read and written for each number: in shorter rows each would wait for the one before, which it overlaps.
  // Pairs are written as a whole, so all of a row must be.
  const writes =
    size >= 8 && integers.every(({ signed }) => !signed) && (fillsRows || mates.every((m) => m < 0));
  return { rows: Math.min(mostRows, Math.floor(mostBytes / size)) & ~3, steps, writes, fillsRows };
}

const isPair = (double: Integer, mate: Integer): boolean =>
  double.width > 32 &&
  double.shift === 0 &&
  mate.width > 8 &&
  mate.width <= 16 &&
  mate.offset >= double.offset &&
  mate.offset + mate.bytes <= double.offset + 8;

function kernelsOf(
  { width, signed }: Integer,
  mate: number,
  fillsRows: boolean,
): { read: Step["read"]; write: Step["write"] } {
  if (mate >= 0) return { read: "readPairs", write: "putPairs" };
  if (width <= 8) return { read: "read8", write: "write8" };
  if (width <= 16) return { read: "read16", write: "write16" };
  if (width <= 32) return { read: "read32", write: "write32" };
  return {
    read: width < 64 || signed ? "readDoubles" : "readWhole",
    write: fillsRows ? "putDoubles" : "writeDoubles",
  };
}
