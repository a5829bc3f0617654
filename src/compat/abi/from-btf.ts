import { malformed } from "../../btf/fault.js";
import { isTransparent, pointerSize, sizeOfType } from "../../btf/sizes.js";
import type { Btf, BtfId, BtfRecord } from "../../btf/types.js";
import { type Member, type Structure, type Type, tooLarge } from "./structure.js";

/** Qualifiers and typedefs on each other that are followed: as many as the kernel resolves. */
const maxDepth = 32;

/** Members of one structure. The largest in kernels have some hundreds. */
const maxMembers = 4096;

/** Structures that were made already, so that each is made once however often it is in others. */
const made = new WeakMap<Btf, Map<BtfId, Structure>>();

/**
 * A struct or union of a kernel's own types.
 * @throws KhoError `btf-malformed` for an id that is neither, or members that reach out of it; `limit-exceeded`
 */
export function structureOfBtf(btf: Btf, id: BtfId): Structure {
  let known = made.get(btf);
  if (!known) made.set(btf, (known = new Map()));
  let structure = known.get(id);
  if (!structure) known.set(id, (structure = makeStructure(btf, id)));
  return structure;
}

function makeStructure(btf: Btf, id: BtfId): Structure {
  const record = btf.type(id);
  if (record.kind !== "STRUCT" && record.kind !== "UNION")
    throw malformed(`type ${id} is no structure`, "STRUCT or UNION", record.kind);
  const { name, kind, size, members } = record;
  if (members.length > maxMembers) throw tooLarge(name, maxMembers);
  return {
    name,
    union: kind === "UNION",
    size,
    members: members.map((member) => memberOf(btf, record, member)),
  };
}

function memberOf(btf: Btf, record: BtfRecord, member: BtfRecord["members"][number]): Member {
  const type = typeOf(btf, member.type);
  // Without the flag the width of a bit field is that of its integer type, which then does not fill its bytes.
  const narrow = narrowInt(btf, member.type);
  const bitSize = member.bitSize ?? narrow?.bits;
  const bit = member.bitOffset + (narrow?.offset ?? 0);
  const bits = bitSize ?? type.size * 8;
  if (bit + bits > record.size * 8)
    throw malformed(
      `member ${member.name} of ${record.name} reaches out of it`,
      `at most ${record.size} bytes`,
      `bits ${bit} to ${bit + bits - 1}`,
    );
  return { name: member.name, bit, bits, bitField: bitSize !== undefined, type };
}

function narrowInt(btf: Btf, id: BtfId): { bits: number; offset: number } | undefined {
  const { type } = unwrap(btf, id);
  return type?.kind === "INT" && (type.bits !== type.size * 8 || type.offset !== 0) && !type.bool
    ? type
    : undefined;
}

/** The type behind qualifiers, with the names of typedefs on the way, and its id. */
function unwrap(btf: Btf, id: BtfId) {
  const aliases: string[] = [];
  for (let depth = 0; depth < maxDepth; depth++) {
    if (id === 0) return { id, type: undefined, aliases };
    const type = btf.type(id);
    if (!isTransparent(type)) return { id, type, aliases };
    if (type.kind === "TYPEDEF") aliases.push(type.name);
    ({ type: id } = type);
  }
  throw malformed(`type ${id} is a typedef of a typedef, more than ${maxDepth} deep`);
}

function typeOf(btf: Btf, start: BtfId, depth = 0): Type {
  const { id, type, aliases } = unwrap(btf, start);
  const size = sizeOfType(btf, id);
  switch (type?.kind) {
    case "INT":
      return {
        kind: "integer",
        name: type.name,
        size,
        signed: type.signed,
        char: type.char || type.name === "char",
        aliases,
      };
    case "ENUM":
    case "ENUM64":
      return { kind: "integer", name: `enum ${type.name}`, size, signed: type.signed, char: false, aliases };
    case "PTR":
      return { kind: "pointer", name: pointeeName(btf, type.type), size: pointerSize(btf), aliases };
    case "ARRAY":
      if (depth > maxDepth) throw malformed(`type ${id} is an array of arrays, more than ${maxDepth} deep`);
      return {
        kind: "array",
        element: typeOf(btf, type.type, depth + 1),
        length: type.length,
        size,
        aliases,
      };
    case "STRUCT":
    case "UNION":
      return {
        kind: "structure",
        name: type.name,
        union: type.kind === "UNION",
        size,
        aliases,
        of: () => structureOfBtf(btf, id),
      };
    default:
      return { kind: "other", name: nameOf(btf, id), size, aliases };
  }
}

const prefixes: Readonly<Record<string, string>> = {
  STRUCT: "struct ",
  UNION: "union ",
  ENUM: "enum ",
  ENUM64: "enum ",
};

/** A type as it is written in front of a `*`. Pointers to pointers are named a few deep. */
function pointeeName(btf: Btf, id: BtfId, depth = 0): string {
  if (id === 0) return "void";
  const type = btf.type(id);
  if (type.kind === "PTR") return depth > 4 ? "void *" : `${pointeeName(btf, type.type, depth + 1)} *`;
  if (type.kind === "TYPEDEF") return type.name;
  if (isTransparent(type)) return depth > maxDepth ? "void" : pointeeName(btf, type.type, depth + 1);
  return nameOf(btf, id);
}

function nameOf(btf: Btf, id: BtfId): string {
  if (id === 0) return "void";
  const type = btf.type(id);
  if (type.kind === "FWD") return `${type.union ? "union" : "struct"} ${type.name}`;
  if (type.kind === "FUNC_PROTO") return "function";
  const name = "name" in type ? type.name : "";
  return `${prefixes[type.kind] ?? ""}${name || "<anonymous>"}`;
}
