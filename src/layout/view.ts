import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { readMember, requireBytes, viewOf } from "./decode.js";
import { resolve } from "./resolve.js";
import type { Struct, ValueOf } from "./types.js";

const at = Symbol("offset");
const over = Symbol("bytes");

interface Row {
  [at]: number;
  [over]: DataView;
}

const prototypes = new WeakMap<Struct, Map<string, object>>();

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
  return rowAt(prototypeOf(layout, abi), viewOf(bytes), offset) as unknown as Readonly<ValueOf<S>>;
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
  const prototype = prototypeOf(layout, abi);
  const data = viewOf(bytes);
  return {
    length: count,
    row: (index) => {
      if (!(index >= 0 && index < count))
        throw new KhoError("usage", `row ${index} of ${count} of struct ${layout.name}`);
      return rowAt(prototype, data, offset + index * size) as unknown as Readonly<ValueOf<S>>;
    },
  };
}

function rowAt(prototype: object, data: DataView, offset: number): Row {
  const row = Object.create(prototype) as Row;
  row[at] = offset;
  row[over] = data;
  return row;
}

function prototypeOf(layout: Struct, abi: Abi): object {
  let byAbi = prototypes.get(layout);
  if (!byAbi) prototypes.set(layout, (byAbi = new Map()));
  const key = `${abi.byteOrder}${abi.pageSize}`;
  let prototype = byAbi.get(key);
  if (!prototype) {
    prototype = {};
    for (const member of resolve(layout, abi).members) {
      if (member.layout.kind === "padding") continue;
      Object.defineProperty(prototype, member.name, {
        enumerable: true,
        get(this: Row) {
          return readMember(member, this[over], this[at], abi);
        },
      });
    }
    byAbi.set(key, prototype);
  }
  return prototype;
}
