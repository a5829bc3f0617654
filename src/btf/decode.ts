import { type Abi, decode, rows, type Struct, sizeOf, type ValueOf } from "../layout/index.js";
import {
  BTF_INFO_KFLAG,
  BTF_INFO_KIND,
  BTF_INFO_VLEN,
  BTF_INT_BITS,
  BTF_INT_BOOL,
  BTF_INT_CHAR,
  BTF_INT_ENCODING,
  BTF_INT_OFFSET,
  BTF_INT_SIGNED,
  BTF_MEMBER_BIT_OFFSET,
  BTF_MEMBER_BITFIELD_SIZE,
  btfArray,
  btfDeclTag,
  btfEnum,
  btfEnum64,
  btfInt,
  btfKinds,
  btfMember,
  btfParam,
  btfType,
  btfVar,
  btfVarSecinfo,
} from "./layout.js";
import type { BtfMember, BtfType } from "./types.js";

/**
 * Decodes the record at `at`. That it lies within `types` and is of a known kind was found out before.
 * @throws KhoError `btf-malformed` from `nameAt`
 */
export function decodeRecord(
  types: Uint8Array,
  at: number,
  abi: Abi,
  nameAt: (offset: number) => string,
): BtfType {
  const { name_off, info, size_or_type } = decode(btfType, types, at, abi);
  const { name: kind } = btfKinds[BTF_INFO_KIND(info) - 1]!;
  const flag = BTF_INFO_KFLAG(info);
  const name = nameAt(name_off);
  const behind = at + sizeOf(btfType, abi);
  const one = <S extends Struct>(layout: S): Readonly<ValueOf<S>> => decode(layout, types, behind, abi);
  const each = <S extends Struct, V>(layout: S, map: (row: Readonly<ValueOf<S>>) => V): V[] => {
    const { length, row } = rows(layout, types, behind, BTF_INFO_VLEN(info), abi);
    return Array.from({ length }, (_, i) => map(row(i)));
  };
  switch (kind) {
    case "INT": {
      const { data } = one(btfInt);
      const encoding = BTF_INT_ENCODING(data);
      return {
        kind,
        name,
        size: size_or_type,
        signed: (encoding & BTF_INT_SIGNED) !== 0,
        char: (encoding & BTF_INT_CHAR) !== 0,
        bool: (encoding & BTF_INT_BOOL) !== 0,
        bits: BTF_INT_BITS(data),
        offset: BTF_INT_OFFSET(data),
      };
    }
    case "PTR":
      return { kind, type: size_or_type };
    case "TYPEDEF":
    case "VOLATILE":
    case "CONST":
    case "RESTRICT":
    case "TYPE_TAG":
      return { kind, name, type: size_or_type, flag };
    case "ARRAY": {
      const { type, index_type, nelems } = one(btfArray);
      return { kind, type, indexType: index_type, length: nelems };
    }
    case "STRUCT":
    case "UNION":
      return {
        kind,
        name,
        size: size_or_type,
        flag,
        members: each(btfMember, (member) => memberOf(member, flag, nameAt)),
      };
    case "ENUM":
      return {
        kind,
        name,
        size: size_or_type,
        signed: flag,
        values: each(btfEnum, ({ name_off: at, val }) => ({
          name: nameAt(at),
          value: flag ? BigInt(val) : BigInt.asUintN(32, BigInt(val)),
        })),
      };
    case "ENUM64":
      return {
        kind,
        name,
        size: size_or_type,
        signed: flag,
        values: each(btfEnum64, ({ name_off: at, val_lo32, val_hi32 }) => {
          const value = (BigInt(val_hi32) << 32n) | BigInt(val_lo32);
          return { name: nameAt(at), value: flag ? BigInt.asIntN(64, value) : value };
        }),
      };
    case "FWD":
      return { kind, name, union: flag };
    case "FUNC":
      return { kind, name, type: size_or_type, linkage: BTF_INFO_VLEN(info) };
    case "FUNC_PROTO":
      return {
        kind,
        type: size_or_type,
        params: each(btfParam, ({ name_off: at, type }) => ({ name: nameAt(at), type })),
      };
    case "VAR":
      return { kind, name, type: size_or_type, linkage: one(btfVar).linkage };
    case "DATASEC":
      return {
        kind,
        name,
        size: size_or_type,
        variables: each(btfVarSecinfo, ({ type, offset, size }) => ({ type, offset, size })),
      };
    case "FLOAT":
      return { kind, name, size: size_or_type };
    case "DECL_TAG":
      return { kind, name, type: size_or_type, component: one(btfDeclTag).component_idx, flag };
  }
}

/** With the record's flag the offset has the width too, and a width of 0 means that it is no bit field. */
function memberOf(
  { name_off, type, offset }: Readonly<ValueOf<typeof btfMember>>,
  flag: boolean,
  nameAt: (offset: number) => string,
): BtfMember {
  const name = nameAt(name_off);
  if (!flag) return { name, type, bitOffset: offset };
  const bitSize = BTF_MEMBER_BITFIELD_SIZE(offset);
  return { name, type, bitOffset: BTF_MEMBER_BIT_OFFSET(offset), ...(bitSize > 0 && { bitSize }) };
}
