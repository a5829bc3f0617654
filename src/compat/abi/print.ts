import {
  declaration,
  innermost,
  isPacked,
  type Member,
  maxNesting,
  type Structure,
  tooLarge,
} from "./structure.js";

/** A line, and in a comment behind it where a member is and how long. */
interface Line {
  readonly text: string;
  readonly place?: string;
}

/** Lines of one structure, which may be made of others without end. */
const maxLines = 20_000;
const indent = "        ";

/**
 * A structure as pahole prints it, with those that it is made of: offsets in bytes from its start, sizes in bytes, bit
 * fields as `unit:first bit` and their unit, holes, total size, then `notes`.
 * @throws KhoError `limit-exceeded` for a structure that is made of too many members
 */
export function printStructure(structure: Structure, notes: readonly string[] = []): string {
  const lines: Line[] = [];
  const add = (line: Line): void => {
    lines.push(line);
    if (lines.length > maxLines) throw tooLarge(structure.name, maxLines);
  };
  body(structure, 0, 1, add);
  const width = Math.max(0, ...lines.filter(({ place }) => place).map(({ text }) => text.length));
  const holes = structure.union ? [] : holesOf(structure);
  const facts = [
    `size: ${structure.size}`,
    `members: ${structure.members.length}`,
    ...(isPacked(structure) ? ["packed"] : []),
    ...(holes.length > 0 ? [`holes: ${holes.length}`] : []),
  ];
  return [
    `${structure.union ? "union" : "struct"} ${structure.name} {`,
    ...lines.map(({ text, place }) => (place ? `${text.padEnd(width)}  /* ${place} */` : text)),
    "",
    ...[facts.join(", "), ...notes].map((note) => `${indent}/* ${note} */`),
    "};",
  ].join("\n");
}

function body(structure: Structure, base: number, depth: number, add: (line: Line) => void): void {
  const margin = indent.repeat(depth);
  const holes = structure.union ? [] : holesOf(structure);
  for (const member of structure.members) {
    for (const hole of holes)
      if (hole.before === member) add({ text: `${margin}/* ${bitsText(hole.bits)} hole */` });
    const { front, behind } = declaration(member.type);
    const name = member.name === "" ? "" : ` ${member.name}`;
    const { inner } = innermost(member.type);
    const place = placeText(member, base);
    if (inner.kind === "structure" && depth <= maxNesting) {
      // A typedef of a structure says its name, and its members all the same.
      add({ text: `${margin}${front} {` });
      body(inner.of(), base + member.bit, depth + 1, add);
      add({ text: `${margin}}${name}${behind};`, place });
    } else {
      const width = member.bitField ? `:${member.bits}` : "";
      // A pointer's star stands before the name where there is no room.
      const gap = front.endsWith("*") && front.length >= 24 ? "" : " ";
      add({
        text: `${margin}${front.padEnd(24)}${gap}${name.trimStart()}${behind}${width};`,
        place,
      });
    }
  }
  const tail = holes.find(({ before }) => before === undefined);
  if (tail) add({ text: `${margin}/* ${bitsText(tail.bits)} padding */` });
}

/** Bits that no member has: before a member, or behind the last one. */
interface Hole {
  readonly before?: Member;
  readonly bits: number;
}

/** Holes of a structure, in order. */
export function holesOf({ members, size }: Structure): Hole[] {
  const holes: Hole[] = [];
  let end = 0;
  for (const member of members) {
    if (member.bit > end) holes.push({ before: member, bits: member.bit - end });
    end = Math.max(end, member.bit + member.bits);
  }
  if (size * 8 > end) holes.push({ bits: size * 8 - end });
  return holes;
}

function bitsText(bits: number): string {
  if (bits % 8 !== 0) return `${bits} bit${bits === 1 ? "" : "s"}`;
  return `${bits / 8} byte${bits === 8 ? "" : "s"}`;
}

function placeText({ bit, bits, bitField, type }: Member, base: number): string {
  const at = base + bit;
  if (!bitField) return `${String(at / 8).padStart(6)} ${String(bits / 8).padStart(6)}`;
  const unit = type.size * 8;
  const from = unit === 0 ? at : Math.floor(at / unit) * unit;
  return `${`${from / 8}:${String(at - from).padStart(2)}`.padStart(6)} ${String(type.size).padStart(6)}`;
}
