import { type Abi, encodeInto, type Struct, sizeOf, type ValueOf } from "../src/layout/index.js";
import { type PhysAddr, physAddr } from "../src/memory/index.js";
import { isKhoError, KhoError } from "../src/report/error.js";
import type { Target } from "./target.js";
import type { Undefined } from "./undefined.js";

/**
 * Writes `bytes` at the start of a structure's `pages` pages and leaves the rest of them, by name.
 * @throws KhoError `value-range` if they do not fit
 */
export function fillPages(
  target: Target,
  pa: PhysAddr,
  pages: number,
  bytes: Uint8Array,
  rest: Undefined,
): void {
  const room = pages * target.abi.pageSize;
  if (bytes.length > room)
    throw new KhoError("value-range", `${bytes.length} bytes do not fit into ${room}`, {
      pa,
      length: bytes.length,
      expected: `at most ${room} bytes`,
      actual: `${bytes.length} bytes`,
    });
  target.write(pa, bytes);
  if (bytes.length < room) target.leave(rest, physAddr(pa + BigInt(bytes.length)), room - bytes.length);
}

/**
 * A structure and the records behind it, as the bytes of one area.
 * @throws KhoError `value-range`, with the path of the member: `luo_file_ser[3].token`
 */
export function withRecords<H extends Struct, R extends Struct>(
  head: { readonly layout: H; readonly value: ValueOf<H> } | undefined,
  layout: R,
  records: readonly ValueOf<R>[],
  abi: Abi,
): Uint8Array {
  const at = head ? sizeOf(head.layout, abi) : 0;
  const size = sizeOf(layout, abi);
  const bytes = new Uint8Array(at + records.length * size);
  if (head) encodeInto(head.layout, head.value, bytes, 0, abi);
  for (let i = 0; i < records.length; i++)
    try {
      encodeInto(layout, records[i]!, bytes, at + i * size, abi);
    } catch (error) {
      throw placedAt(`${layout.name}[${i}]`, error);
    }
  return bytes;
}

/**
 * Runs the encoder of the structure `path`, which knows its members but not where it is: in an error's path that takes
 * the place of the structure's own name.
 */
export function encodedAt<T>(path: string, encode: () => T): T {
  try {
    return encode();
  } catch (error) {
    throw placedAt(path, error);
  }
}

function placedAt(path: string, error: unknown): unknown {
  if (!isKhoError(error, "value-range") || error.path?.startsWith(path)) return error;
  const { code, message, name: _, ...detail } = error;
  const member = error.path?.replace(/^\w+/, "") ?? "";
  return new KhoError(code, `${path}: ${message}`, { ...detail, path: `${path}${member}` });
}
