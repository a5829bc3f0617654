/**
 * BTF, the kernel's own description of its types: include/uapi/linux/btf.h, Documentation/bpf/btf.rst. A header, a section
 * of type records one behind the other, and a section of NUL-terminated strings. Numbers have the byte order of the
 * machine, which the magic tells.
 */
import { type Source, type Struct, s32, struct, u8, u16, u32 } from "../layout/index.js";

const header = "include/uapi/linux/btf.h";
const source: Source = { header, since: "4.18" };

/** Head of BTF. Offsets count from the end of the header, whose length is `hdr_len`. */
export const btfHeader = struct(
  "btf_header",
  {
    magic: u16,
    version: u8,
    flags: u8,
    hdr_len: u32,
    type_off: u32,
    type_len: u32,
    str_off: u32,
    str_len: u32,
  },
  source,
);
export const BTF_MAGIC = 0xeb9f;
export const BTF_VERSION = 1;

/** What every record begins with. `size_or_type` is a union in the kernel: a size in bytes, or the id of a type. */
export const btfType = struct("btf_type", { name_off: u32, info: u32, size_or_type: u32 }, source);

/** Parts of `info` of {@link btfType}. */
export const BTF_INFO_VLEN = (info: number): number => info & 0xffff;
export const BTF_INFO_KIND = (info: number): number => (info >>> 24) & 0x1f;
export const BTF_INFO_KFLAG = (info: number): boolean => info >>> 31 === 1;
/** The inverse of the three. */
export const btfInfo = (kind: number, vlen: number, kflag: boolean): number =>
  ((kflag ? 2 ** 31 : 0) + kind * 2 ** 24 + vlen) >>> 0;
/** Members, values or parameters that one record can have. */
export const BTF_MAX_VLEN = 0xffff;

/** Follows a record of kind INT: encoding, offset and width of the integer in bits. */
export const btfInt = struct("btf_int", { data: u32 }, source);
export const BTF_INT_ENCODING = (data: number): number => (data >>> 24) & 0xf;
export const BTF_INT_OFFSET = (data: number): number => (data >>> 16) & 0xff;
export const BTF_INT_BITS = (data: number): number => data & 0xff;
/** Flags of the encoding. */
export const BTF_INT_SIGNED = 1;
export const BTF_INT_CHAR = 2;
export const BTF_INT_BOOL = 4;

export const btfArray = struct("btf_array", { type: u32, index_type: u32, nelems: u32 }, source);
/** A member of a struct or union. With the record's kind_flag, `offset` also has the width of a bit field. */
export const btfMember = struct("btf_member", { name_off: u32, type: u32, offset: u32 }, source);
export const BTF_MEMBER_BITFIELD_SIZE = (offset: number): number => offset >>> 24;
export const BTF_MEMBER_BIT_OFFSET = (offset: number): number => offset & 0xffffff;

export const btfEnum = struct("btf_enum", { name_off: u32, val: s32 }, source);
export const btfEnum64 = struct(
  "btf_enum64",
  { name_off: u32, val_lo32: u32, val_hi32: u32 },
  { header, since: "6.0" },
);
export const btfParam = struct("btf_param", { name_off: u32, type: u32 }, source);
export const btfVar = struct("btf_var", { linkage: u32 }, { header, since: "5.1" });
export const btfVarSecinfo = struct(
  "btf_var_secinfo",
  { type: u32, offset: u32, size: u32 },
  { header, since: "5.1" },
);
export const btfDeclTag = struct("btf_decl_tag", { component_idx: s32 }, { header, since: "5.16" });

/** What follows a record: one structure, or one per unit of `vlen`. */
export interface BtfKindForm {
  readonly name: string;
  readonly one?: Struct;
  readonly each?: Struct;
}

/** Every kind by its number, from 1 on. */
export const btfKinds = [
  { name: "INT", one: btfInt },
  { name: "PTR" },
  { name: "ARRAY", one: btfArray },
  { name: "STRUCT", each: btfMember },
  { name: "UNION", each: btfMember },
  { name: "ENUM", each: btfEnum },
  { name: "FWD" },
  { name: "TYPEDEF" },
  { name: "VOLATILE" },
  { name: "CONST" },
  { name: "RESTRICT" },
  { name: "FUNC" },
  { name: "FUNC_PROTO", each: btfParam },
  { name: "VAR", one: btfVar },
  { name: "DATASEC", each: btfVarSecinfo },
  { name: "FLOAT" },
  { name: "DECL_TAG", one: btfDeclTag },
  { name: "TYPE_TAG" },
  { name: "ENUM64", each: btfEnum64 },
] as const satisfies readonly BtfKindForm[];

/** Name of a kind: `STRUCT`. */
export type BtfKind = (typeof btfKinds)[number]["name"];

/** Number of a kind in `info`. */
export const kindNumber = (kind: BtfKind): number => btfKinds.findIndex(({ name }) => name === kind) + 1;
