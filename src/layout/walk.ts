import type { Abi } from "./abi.js";
import { requireBytes, viewOf } from "./decode.js";
import { memberReader, readerOf } from "./readers.js";
import { extent, resolve, sizeOf } from "./resolve.js";
import type { Field, Layout } from "./types.js";

/** One innermost field with its place and value: what annotation prints and a fuzzer mutates. */
export interface Leaf {
  /** `file_set_ser.count`, `bitmaps[3].phys_start`; padding is called `(padding)`. */
  readonly path: string;
  /** Bytes from the start of the bytes that were given, and their number. */
  readonly offset: number;
  readonly size: number;
  /** Of a bit field: its lowest bit in the unit read as one integer, and its width. */
  readonly bit?: { readonly shift: number; readonly width: number };
  readonly layout: Field;
  /** Undefined for padding. */
  readonly value: unknown;
}

/**
 * Every innermost field of one value of `layout` at offset `at`, in order of address, lazily.
 * Leaves tile the structure: together they cover every byte once, bit fields of one unit together.
 * @throws KhoError `bytes-short`, at the first step
 */
export function* walk(layout: Layout, bytes: Uint8Array, at: number, abi: Abi): Generator<Leaf> {
  requireBytes(layout, bytes, at, sizeOf(layout, abi));
  yield* leaves(layout, viewOf(bytes), at, abi, "");
}

function* leaves(layout: Layout, view: DataView, at: number, abi: Abi, path: string): Generator<Leaf> {
  if (layout.kind === "array") {
    const stride = sizeOf(layout.element, abi);
    const count = extent(layout.length, abi);
    for (let i = 0; i < count; i++)
      yield* leaves(layout.element, view, at + i * stride, abi, `${path}[${i}]`);
    return;
  }
  if (layout.kind !== "struct") {
    yield { path, offset: at, size: sizeOf(layout, abi), layout, value: readerOf(layout, abi)(view, at) };
    return;
  }
  for (const member of resolve(layout, abi).members) {
    const memberPath = path ? `${path}.${member.name}` : member.name;
    const place = { offset: at + member.offset, size: member.size, layout: member.layout };
    if (member.layout.kind === "padding") yield { path: "(padding)", ...place, value: undefined };
    else if (member.layout.kind === "bits")
      yield {
        path: memberPath,
        ...place,
        bit: { shift: member.shift!, width: member.layout.width },
        value: memberReader(member, abi)(view, at),
      };
    else yield* leaves(member.layout, view, at + member.offset, abi, memberPath);
  }
}
