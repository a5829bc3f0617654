import { readFileSync } from "node:fs";
import { encodeBtf } from "../../src/btf/encode.js";
import { readBtf } from "../../src/btf/read.js";
import type { Btf, BtfType } from "../../src/btf/types.js";

/** Types that a compiler made of nasty.c, whose head says how. */
export const nastyBytes = (): Uint8Array => readFileSync(new URL("nasty.btf", import.meta.url));

/** BTF of types that are numbered as they are listed, from 1 on. */
export const btfOf = (...types: BtfType[]): Btf => readBtf(encodeBtf(types, "little"));

export const int = (name: string, size: number, more: Partial<Extract<BtfType, { kind: "INT" }>> = {}) =>
  ({
    kind: "INT",
    name,
    size,
    signed: false,
    char: false,
    bool: false,
    bits: size * 8,
    offset: 0,
    ...more,
  }) as const;

export const structOf = (
  name: string,
  size: number,
  ...members: (readonly [name: string, type: number, bitOffset: number])[]
) =>
  ({
    kind: "STRUCT",
    name,
    size,
    flag: false,
    members: members.map(([member, type, bitOffset]) => ({ name: member, type, bitOffset })),
  }) as const;

export const reference = (
  kind: "TYPEDEF" | "VOLATILE" | "CONST" | "RESTRICT" | "TYPE_TAG",
  type: number,
  name = "",
) => ({ kind, name, type, flag: false }) as const;

export const arrayOf = (type: number, length: number) =>
  ({ kind: "ARRAY", type, indexType: 0, length }) as const;
