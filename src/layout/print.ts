import type { Abi } from "./abi.js";
import { extent, type Member, resolve } from "./resolve.js";
import type { Field, Struct } from "./types.js";

/**
 * A struct as pahole prints it: kernel types and names, offset and size of each member in bytes, bit offsets of
 * bit fields, holes (bytes that no member names), total size, and the header it is from.
 */
export function printLayout(layout: Struct, abi: Abi): string {
  const { members, size } = resolve(layout, abi);
  const lines = members.map((member) => declare(member));
  const named = members.filter((member) => member.layout.kind !== "padding");
  const width = Math.max(0, ...named.map((member) => declare(member).length));
  const rows = members.map((member, i) =>
    member.layout.kind === "padding"
      ? `\n        /* XXX ${member.size} ${member.size === 1 ? "byte hole, it is" : "bytes hole, they are"} written as zeros */\n`
      : `        ${lines[i]!.padEnd(width)}  /* ${place(member)} */`,
  );
  const holes = members.filter((member) => member.layout.kind === "padding");
  const { header, since, until } = layout.source;
  return [
    `struct ${layout.name} {`,
    ...rows,
    "",
    `        /* size: ${size}, members: ${named.length}${holes.length > 0 ? `, holes: ${holes.length}, sum holes: ${holes.reduce((sum, hole) => sum + hole.size, 0)}` : ""} */`,
    `        /* ${header}, ${until ? `${since} to ${until}` : `since ${since}`} */`,
    "};",
  ].join("\n");

  function declare(member: Member): string {
    const { type, suffix } = cType(member.layout, abi);
    return `${type.padEnd(24)} ${member.name}${suffix};`;
  }
}

function place(member: Member): string {
  const where =
    member.layout.kind === "bits"
      ? `${member.offset}:${String(member.shift).padStart(2)}`
      : `${member.offset}`;
  return `${where.padStart(8)} ${String(member.size).padStart(6)}`;
}

function cType(layout: Field, abi: Abi): { type: string; suffix: string } {
  switch (layout.kind) {
    case "scalar":
      return { type: layout.name, suffix: "" };
    case "bits":
      return { type: layout.of.name, suffix: `:${layout.width}` };
    case "chars":
      return { type: "char", suffix: `[${layout.length}]` };
    case "bytes":
      return { type: "u8", suffix: `[${extent(layout.length, abi)}]` };
    case "padding":
      return { type: "u8", suffix: `[${layout.length}]` };
    case "struct":
      return { type: `struct ${layout.name}`, suffix: "" };
    case "array": {
      const element = cType(layout.element, abi);
      return { type: element.type, suffix: `[${extent(layout.length, abi)}]${element.suffix}` };
    }
  }
}
