import type { AbiDifference, MemberDifference, MemberPlace } from "../../compat/abi/compare.js";
import type { Style } from "../terminal.js";
import { plural, safeName } from "../text.js";

/** `16`, or `8:52` for a bit field: byte and bit. */
export const offsetText = ({ bit, bitField }: MemberPlace): string =>
  bitField ? `${Math.floor(bit / 8)}:${bit % 8}` : String(bit / 8);

/** `8 bytes`, or `52 bits` of a bit field. */
export const sizeText = ({ bits, bitField }: MemberPlace): string =>
  bitField ? plural(bits, "bit") : plural(bits / 8, "byte");

const signs = { added: "+", removed: "-", moved: "~", retyped: "~", renamed: "=" } as const;

/** Both sides of a value, or the one that there is. */
const both = (from: string | undefined, to: string | undefined): string =>
  from === undefined || to === undefined || from === to ? (to ?? from ?? "") : `${from} -> ${to}`;

/** Cells of one member that differs: sign, name, offset, length, type. */
export function memberCells({ kind, name, was, from, to }: MemberDifference, style: Style): string[] {
  const sign = signs[kind];
  const paint = sign === "+" ? style.good : sign === "-" ? style.bad : style.warn;
  const called = was === undefined ? safeName(name) : `${safeName(was)} -> ${safeName(name)}`;
  return [
    paint(sign),
    called === "" ? "(anonymous)" : called,
    `offset ${both(from && offsetText(from), to && offsetText(to))}`,
    both(from && sizeText(from), to && sizeText(to)),
    safeName(both(from?.type, to?.type)),
  ];
}

/** `512 -> 4096 bytes`. */
export const structSize = ({ from, to }: Pick<AbiDifference, "from" | "to">): string =>
  from !== undefined && to !== undefined && from !== to
    ? `${from} -> ${to} bytes`
    : plural(to ?? from ?? 0, "byte");
