import { type Abi, bytesFromText, encode, type Struct, sizeOf, type ValueOf } from "../layout/index.js";
import { KhoError } from "../report/error.js";
import {
  BTF_INT_BOOL,
  BTF_INT_CHAR,
  BTF_INT_SIGNED,
  BTF_MAGIC,
  BTF_MAX_VLEN,
  BTF_VERSION,
  btfArray,
  btfDeclTag,
  btfEnum,
  btfEnum64,
  btfHeader,
  btfInfo,
  btfInt,
  btfMember,
  btfParam,
  btfType,
  btfVar,
  btfVarSecinfo,
  kindNumber,
} from "./layout.js";
import { btfAbi } from "./read.js";
import type { BtfMember, BtfType } from "./types.js";

/**
 * BTF of types whose ids are their places in the list, from 1 on. Strings are written once, in the order in which they are
 * first used: the same types give the same bytes.
 * @throws KhoError `value-range` for what a record cannot hold
 */
export function encodeBtf(types: readonly BtfType[], byteOrder: Abi["byteOrder"]): Uint8Array {
  const abi = btfAbi(byteOrder);
  const strings = stringTable();
  const records = joined(types.flatMap((type) => recordOf(type, abi, strings.offsetOf)));
  const names = strings.bytes();
  const header = encode(
    btfHeader,
    {
      magic: BTF_MAGIC,
      version: BTF_VERSION,
      flags: 0,
      hdr_len: sizeOf(btfHeader, abi),
      type_off: 0,
      type_len: records.length,
      str_off: records.length,
      str_len: names.length,
    },
    abi,
  );
  return joined([header, records, names]);
}

function stringTable(): { offsetOf(text: string): number; bytes(): Uint8Array } {
  const offsets = new Map<string, number>();
  const pieces: Uint8Array[] = [];
  let length = 0;
  const offsetOf = (text: string): number => {
    let offset = offsets.get(text);
    if (offset === undefined) {
      const piece = bytesFromText(`${text}\0`);
      offsets.set(text, (offset = length));
      pieces.push(piece);
      length += piece.length;
    }
    return offset;
  };
  offsetOf("");
  return { offsetOf, bytes: () => joined(pieces) };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** A record and what follows it, in pieces. */
function recordOf(type: BtfType, abi: Abi, stringAt: (text: string) => number): Uint8Array[] {
  const head = (vlen: number, flag: boolean, sizeOrType: number, name = ""): Uint8Array => {
    if (vlen > BTF_MAX_VLEN)
      throw new KhoError("value-range", `a type of BTF cannot have ${vlen} parts`, {
        expected: `at most ${BTF_MAX_VLEN}`,
        actual: String(vlen),
      });
    const info = btfInfo(kindNumber(type.kind), vlen, flag);
    return encode(btfType, { name_off: stringAt(name), info, size_or_type: sizeOrType }, abi);
  };
  const piece = <S extends Struct>(layout: S, value: ValueOf<S>): Uint8Array => encode(layout, value, abi);
  switch (type.kind) {
    case "INT": {
      const { size, signed, char, bool, bits, offset, name } = type;
      const encoding = (signed ? BTF_INT_SIGNED : 0) | (char ? BTF_INT_CHAR : 0) | (bool ? BTF_INT_BOOL : 0);
      return [
        head(0, false, size, name),
        piece(btfInt, { data: encoding * 2 ** 24 + offset * 2 ** 16 + bits }),
      ];
    }
    case "PTR":
      return [head(0, false, type.type)];
    case "TYPEDEF":
    case "VOLATILE":
    case "CONST":
    case "RESTRICT":
    case "TYPE_TAG":
      return [head(0, type.flag, type.type, type.name)];
    case "ARRAY":
      return [
        head(0, false, 0),
        piece(btfArray, { type: type.type, index_type: type.indexType, nelems: type.length }),
      ];
    case "STRUCT":
    case "UNION":
      return [
        head(type.members.length, type.flag, type.size, type.name),
        ...type.members.map((member) =>
          piece(btfMember, {
            name_off: stringAt(member.name),
            type: member.type,
            offset: memberOffset(member, type.flag),
          }),
        ),
      ];
    case "ENUM":
      return [
        head(type.values.length, type.signed, type.size, type.name),
        ...type.values.map(({ name, value }) =>
          piece(btfEnum, { name_off: stringAt(name), val: Number(BigInt.asIntN(32, value)) }),
        ),
      ];
    case "ENUM64":
      return [
        head(type.values.length, type.signed, type.size, type.name),
        ...type.values.map(({ name, value }) =>
          piece(btfEnum64, {
            name_off: stringAt(name),
            val_lo32: Number(BigInt.asUintN(32, value)),
            val_hi32: Number(BigInt.asUintN(32, value >> 32n)),
          }),
        ),
      ];
    case "FWD":
      return [head(0, type.union, 0, type.name)];
    case "FUNC":
      return [head(type.linkage, false, type.type, type.name)];
    case "FUNC_PROTO":
      return [
        head(type.params.length, false, type.type),
        ...type.params.map(({ name, type: of }) => piece(btfParam, { name_off: stringAt(name), type: of })),
      ];
    case "VAR":
      return [head(0, false, type.type, type.name), piece(btfVar, { linkage: type.linkage })];
    case "DATASEC":
      return [
        head(type.variables.length, false, type.size, type.name),
        ...type.variables.map((variable) => piece(btfVarSecinfo, { ...variable })),
      ];
    case "FLOAT":
      return [head(0, false, type.size, type.name)];
    case "DECL_TAG":
      return [head(0, type.flag, type.type, type.name), piece(btfDeclTag, { component_idx: type.component })];
  }
}

/** With the flag the width of a bit field is in the upper 8 bits. */
function memberOffset({ name, bitOffset, bitSize = 0 }: BtfMember, flag: boolean): number {
  if (flag ? bitOffset > 0xffffff || bitSize > 0xff : bitSize > 0)
    throw new KhoError(
      "value-range",
      `member ${name} of a type of BTF is at bit ${bitOffset}, of ${bitSize}`,
      {
        expected: flag ? "at most 0xffffff, of at most 255" : "a type with kind_flag for a bit field",
      },
    );
  return bitSize * 2 ** 24 + bitOffset;
}
