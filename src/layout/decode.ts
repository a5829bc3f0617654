import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { readerOf } from "./readers.js";
import { sizeOf } from "./resolve.js";
import type { Layout, ValueOf } from "./types.js";

/**
 * Reads one value of `layout` from `bytes` at offset `at`; the bytes need no alignment.
 * A {@link Bytes} field is a view of `bytes`, everything else is a copy.
 * @throws KhoError `bytes-short` if the bytes end before the structure
 */
export function decode<L extends Layout>(layout: L, bytes: Uint8Array, at: number, abi: Abi): ValueOf<L> {
  requireBytes(layout, bytes, at, sizeOf(layout, abi));
  return readerOf(layout, abi)(viewOf(bytes), at) as ValueOf<L>;
}

/**
 * Reads `count` values of `layout`, one behind the other from `offset` on, each as {@link decode} gives it.
 * @throws KhoError `bytes-short`
 */
export function decodeMany<L extends Layout>(
  layout: L,
  bytes: Uint8Array,
  offset: number,
  count: number,
  abi: Abi,
): ValueOf<L>[] {
  const size = sizeOf(layout, abi);
  requireBytes(layout, bytes, offset, size * count);
  const read = readerOf(layout, abi) as (view: DataView, at: number) => ValueOf<L>;
  const view = viewOf(bytes);
  const values = new Array<ValueOf<L>>(count);
  for (let i = 0, at = offset; i < count; i++, at += size) values[i] = read(view, at);
  return values;
}

/** Throws `bytes-short` unless `size` bytes follow `at`. */
export function requireBytes(layout: Layout, bytes: Uint8Array, at: number, size: number): void {
  if (at >= 0 && size >= 0 && at + size <= bytes.length) return;
  const name = layout.kind === "struct" ? `struct ${layout.name}` : layout.kind;
  throw new KhoError(
    "bytes-short",
    `${name} needs ${size} bytes at offset ${at}, there are ${bytes.length}`,
    {
      length: size,
      expected: `${at + size} bytes`,
      actual: `${bytes.length} bytes`,
    },
  );
}

/** A DataView of the same bytes. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** True if a fixed-size string has a NUL within its bytes; the kernel's readers rely on it without looking. */
export function isTerminated(bytes: Uint8Array, at: number, length: number): boolean {
  const end = Math.min(at + length, bytes.length);
  for (let i = at; i < end; i++) if (bytes[i] === 0) return true;
  return false;
}
