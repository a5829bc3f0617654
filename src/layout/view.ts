import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { requireBytes, viewOf } from "./decode.js";
import { memberReaders } from "./readers.js";
import { resolve } from "./resolve.js";
import type { Struct, ValueOf } from "./types.js";

const at = Symbol("offset");
const over = Symbol("bytes");

interface Row {
  [at]: number;
  [over]: DataView;
}
/** Makes a row; each struct has one of its own, which makes reading a member as fast as a call. */
type RowAt = new (data: DataView, offset: number) => Row;

/** By page size, of which that of a big-endian ABI is negative here. */
const cache = new WeakMap<Struct, Map<number, RowAt>>();

/**
 * A row that decodes nothing until a member is read, and then that member only, every time anew.
 * The members are accessors on the prototype; the row itself is an offset. So `{ ...row }` and `JSON.stringify(row)`
 * find no members: use `decode` for a value that is to be kept or written.
 * @throws KhoError `bytes-short`
 */
export function view<S extends Struct>(
  layout: S,
  bytes: Uint8Array,
  offset: number,
  abi: Abi,
): Readonly<ValueOf<S>> {
  requireBytes(layout, bytes, offset, resolve(layout, abi).size);
  return new (rowOf(layout, abi))(viewOf(bytes), offset) as unknown as Readonly<ValueOf<S>>;
}

/** A run of equal structs as lazy rows: nothing is decoded or allocated before `row(i)`. */
export interface Rows<S extends Struct> {
  readonly length: number;
  /**
   * The row `index`, 0 to length - 1.
   * @throws KhoError `usage` for any other
   */
  row(index: number): Readonly<ValueOf<S>>;
}

/**
 * `count` structs one behind the other from `offset` on.
 * @throws KhoError `bytes-short`
 */
export function rows<S extends Struct>(
  layout: S,
  bytes: Uint8Array,
  offset: number,
  count: number,
  abi: Abi,
): Rows<S> {
  const { size } = resolve(layout, abi);
  requireBytes(layout, bytes, offset, size * count);
  const RowHere = rowOf(layout, abi);
  const data = viewOf(bytes);
  return {
    length: count,
    row: (index) => {
      if (!(index >= 0 && index < count))
        throw new KhoError("usage", `row ${index} of ${count} of struct ${layout.name}`);
      return new RowHere(data, offset + index * size) as unknown as Readonly<ValueOf<S>>;
    },
  };
}

function rowOf(layout: Struct, abi: Abi): RowAt {
  let byAbi = cache.get(layout);
  if (!byAbi) cache.set(layout, (byAbi = new Map()));
  const key = abi.byteOrder === "little" ? abi.pageSize : -abi.pageSize;
  let row = byAbi.get(key);
  if (!row) byAbi.set(key, (row = newRow(layout, abi)));
  return row;
}

function newRow(layout: Struct, abi: Abi): RowAt {
  function RowHere(this: Row, data: DataView, offset: number): void {
    this[at] = offset;
    this[over] = data;
  }
  const prototype = {};
  for (const { name, read } of memberReaders(layout, abi))
    Object.defineProperty(prototype, name, {
      enumerable: true,
      get(this: Row) {
        return read(this[over], this[at]);
      },
    });
  RowHere.prototype = prototype;
  return RowHere as unknown as RowAt;
}
