import { type Abi, decode, memberOf, sizeOf, textFromBytes } from "../layout/index.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import { decodeRecord } from "./decode.js";
import { malformed } from "./fault.js";
import {
  BTF_INFO_KIND,
  BTF_INFO_VLEN,
  BTF_MAGIC,
  BTF_VERSION,
  type BtfKind,
  type BtfKindForm,
  btfHeader,
  btfKinds,
  btfType,
  kindNumber,
} from "./layout.js";
import type { Btf, BtfId, BtfType } from "./types.js";

/** No structure of BTF depends on the page size, but an ABI always names one. */
export const btfAbi = (byteOrder: Abi["byteOrder"]): Abi => ({ byteOrder, pageSize: 4096 });

/** The kernel's own bounds: types, and bytes of a name. */
const maxTypes = 0xfffff;
const maxName = 512;

/** True if bytes begin as BTF does, in either byte order. */
export const looksLikeBtf = (first: Uint8Array): boolean => orderOf(first) !== undefined;

function orderOf(first: Uint8Array): Abi["byteOrder"] | undefined {
  if (first.length < 2) return undefined;
  const magic = first[0]! | (first[1]! << 8);
  if (magic === BTF_MAGIC) return "little";
  return ((magic & 0xff) << 8) + (magic >> 8) === BTF_MAGIC ? "big" : undefined;
}

/**
 * Opens BTF. Only where each record begins is found here, in one pass; types are decoded when they are asked for, and
 * names are compared when one is looked up.
 * @throws KhoError `btf-malformed`; `btf-split` for the types of a module, which are numbered after those of its kernel
 */
export function readBtf(bytes: Uint8Array): Btf {
  const byteOrder = orderOf(bytes);
  if (!byteOrder) throw malformed("the bytes do not begin as BTF does", hex(BTF_MAGIC));
  const abi = btfAbi(byteOrder);
  const { types, strings } = sectionsOf(bytes, abi);
  if (strings[0] !== 0)
    throw new KhoError(
      "btf-split",
      "the BTF is that of a module: its types go on where those of the kernel end, which are needed first",
      { expected: "BTF whose first string is empty, as that of vmlinux" },
    );
  const offsets = offsetsOf(types, abi);
  const count = offsets.length - 1;

  const nameAt = (offset: number): string => {
    if (offset >= strings.length)
      throw malformed(
        `a name is at offset ${offset} of the strings, of which there are ${strings.length} bytes`,
        "BTF that needs no other, unlike that of a module",
      );
    const name = strings.subarray(offset, offset + maxName + 1);
    const length = name.indexOf(0);
    if (length < 0) throw malformed(`a name has more than ${maxName} bytes`);
    return textFromBytes(name.subarray(0, length));
  };
  const type = (id: BtfId): BtfType => {
    if (!Number.isInteger(id) || id < 1 || id > count)
      throw malformed(`there is no type ${id}`, `1 to ${count}`, String(id));
    return decodeRecord(types, offsets[id]!, abi, nameAt);
  };
  const byName = new Map<BtfKind, ReadonlyMap<string, readonly BtfId[]>>();
  const indexOf = (kind: BtfKind): ReadonlyMap<string, readonly BtfId[]> => {
    let index = byName.get(kind);
    if (!index) byName.set(kind, (index = indexNames(types, offsets, kind, abi, nameAt)));
    return index;
  };
  return {
    byteOrder,
    count,
    type,
    find: (kind, name) => indexOf(kind).get(name) ?? [],
    structNames: () => [...indexOf("STRUCT").keys()].filter((name) => name !== "").sort(),
  };
}

function sectionsOf(bytes: Uint8Array, abi: Abi): { types: Uint8Array; strings: Uint8Array } {
  if (bytes.length < sizeOf(btfHeader, abi))
    throw malformed(`the BTF ends in its header, after ${bytes.length} bytes`);
  const { version, hdr_len, type_off, type_len, str_off, str_len } = decode(btfHeader, bytes, 0, abi);
  if (version !== BTF_VERSION) throw malformed("the BTF is of another version", "1", String(version));
  if (hdr_len < sizeOf(btfHeader, abi) || hdr_len > bytes.length)
    throw malformed("the BTF header has an impossible length", undefined, String(hdr_len));
  const section = (what: string, offset: number, length: number): Uint8Array => {
    const start = hdr_len + offset;
    if (start + length > bytes.length)
      throw malformed(
        `the ${what} of the BTF end at byte ${start + length}, behind the end of the data`,
        `at most ${bytes.length} bytes`,
      );
    return bytes.subarray(start, start + length);
  };
  const strings = section("strings", str_off, str_len);
  if (strings.length === 0 || strings.at(-1) !== 0)
    throw malformed("the strings of the BTF do not end in a NUL");
  return { types: section("types", type_off, type_len), strings };
}

/** Where each record begins, by id. Entry 0 is not used. */
function offsetsOf(types: Uint8Array, abi: Abi): Uint32Array {
  const infoAt = headReader(types, "info", abi);
  const head = sizeOf(btfType, abi);
  const sizes = btfKinds.map(({ one, each }: BtfKindForm) => ({
    one: one ? sizeOf(one, abi) : 0,
    each: each ? sizeOf(each, abi) : 0,
  }));
  const offsets = new Uint32Array(Math.min(Math.floor(types.length / head), maxTypes) + 1);
  let id = 1;
  for (let at = 0; at < types.length; id++) {
    if (id > maxTypes) throw malformed(`the BTF has more than ${maxTypes} types`);
    if (at + head > types.length) throw malformed(`type ${id} of the BTF goes beyond the types`);
    offsets[id] = at;
    const info = infoAt(at);
    const form = sizes[BTF_INFO_KIND(info) - 1];
    if (!form)
      throw malformed(
        `type ${id} of the BTF is of kind ${BTF_INFO_KIND(info)}, whose length is not known`,
        `1 to ${btfKinds.length}`,
      );
    at += head + form.one + form.each * BTF_INFO_VLEN(info);
    if (at > types.length) throw malformed(`type ${id} of the BTF goes beyond the types`);
  }
  return offsets.slice(0, id);
}

/** Reads one member of the record at an offset, without an object for each. */
function headReader(types: Uint8Array, member: "info" | "name_off", abi: Abi): (at: number) => number {
  const view = new DataView(types.buffer, types.byteOffset, types.length);
  const { offset } = memberOf(btfType, member, abi);
  const little = abi.byteOrder === "little";
  return (at) => view.getUint32(at + offset, little);
}

function indexNames(
  types: Uint8Array,
  offsets: Uint32Array,
  kind: BtfKind,
  abi: Abi,
  nameAt: (offset: number) => string,
): ReadonlyMap<string, readonly BtfId[]> {
  const infoAt = headReader(types, "info", abi);
  const nameOffsetAt = headReader(types, "name_off", abi);
  const wanted = kindNumber(kind);
  const index = new Map<string, BtfId[]>();
  for (let id = 1; id < offsets.length; id++) {
    const at = offsets[id]!;
    if (BTF_INFO_KIND(infoAt(at)) !== wanted) continue;
    const name = nameAt(nameOffsetAt(at));
    const ids = index.get(name);
    if (ids) ids.push(id);
    else index.set(name, [id]);
  }
  return index;
}
