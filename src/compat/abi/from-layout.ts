import {
  type Abi,
  extent,
  type Field,
  type Resolved,
  resolve,
  type Struct,
  sizeOf,
} from "../../layout/index.js";
import type { IntegerType, Member, Structure, Type } from "./structure.js";

/** A layout is resolved once for each page size and byte order, so that this is once for each too. */
const made = new WeakMap<Resolved, Structure>();

/** One of our layouts as what its readers see, for pages of one size. Padding is a hole. */
export function structureOfLayout(layout: Struct, abi: Abi): Structure {
  const resolved = resolve(layout, abi);
  let structure = made.get(resolved);
  if (!structure) made.set(resolved, (structure = makeStructure(layout, resolved, abi)));
  return structure;
}

function makeStructure(layout: Struct, { members, size }: Resolved, abi: Abi): Structure {
  return {
    name: layout.name,
    union: false,
    size,
    members: members
      .filter((member) => member.layout.kind !== "padding")
      .map((member): Member => {
        const { layout: field } = member;
        const bitField = field.kind === "bits";
        return {
          name: member.name,
          bit: member.offset * 8 + (member.shift ?? 0),
          bits: bitField ? field.width : member.size * 8,
          bitField,
          type: typeOf(field, abi),
        };
      }),
  };
}

const integer = (name: string, size: number, signed = false): IntegerType => ({
  kind: "integer",
  name,
  size,
  signed,
  char: name === "char",
  aliases: [],
});

function typeOf(field: Field, abi: Abi): Type {
  const size = sizeOf(field, abi);
  const arrayOf = (element: Type, length: number): Type => ({
    kind: "array",
    element,
    length,
    size,
    aliases: [],
  });
  switch (field.kind) {
    case "scalar":
      return integer(field.name, field.bytes, field.signed);
    case "bits":
      return typeOf(field.of, abi);
    case "chars":
      return arrayOf(integer("char", 1), field.length);
    case "bytes":
    case "padding":
      return arrayOf(integer("u8", 1), size);
    case "array":
      return arrayOf(typeOf(field.element, abi), extent(field.length, abi));
    case "struct":
      return {
        kind: "structure",
        name: field.name,
        union: false,
        size,
        aliases: [],
        of: () => structureOfLayout(field, abi),
      };
  }
}
