import { holesOf } from "../../compat/abi/print.js";
import {
  innermost,
  khoserPtr,
  type Member,
  maxNesting,
  type Structure,
  tooLarge,
  typeName,
} from "../../compat/abi/structure.js";

/** Members in the JSON of one structure, with those of what it is made of. */
const maxMembers = 20_000;

/**
 * A structure for a script: bytes, and bits where there are bit fields; what it is made of inside of it.
 * @throws KhoError `limit-exceeded` for a structure that is made of too many members
 */
export function structureJson(whole: Structure): Record<string, unknown> {
  let left = maxMembers;
  const structure = (one: Structure, depth: number): Record<string, unknown> => ({
    name: one.name,
    kind: one.union ? "union" : "struct",
    size: one.size,
    holes: one.union
      ? []
      : holesOf(one).map(({ before, bits }) => ({ ...(before && { before: before.name }), bits })),
    members: one.members.map((inner) => member(inner, depth)),
  });
  const member = ({ name, bit, bits, bitField, type }: Member, depth: number): Record<string, unknown> => {
    if (left-- === 0 || depth > maxNesting) throw tooLarge(whole.name, maxMembers);
    const { inner } = innermost(type);
    return {
      name,
      type: typeName(type),
      offset: Math.floor(bit / 8),
      size: bitField ? type.size : bits / 8,
      ...(bitField && { bitOffset: bit, bitSize: bits }),
      ...(khoserPtr(type) && { address: true }),
      ...(inner.kind === "structure" && { struct: structure(inner.of(), depth + 1) }),
    };
  };
  return structure(whole, 0);
}
