import { flatMembers, type Member, type Structure, shapeOf, typeName } from "./structure.js";

/** Where a member is, and what it is. */
export interface MemberPlace {
  /** Bits from the start of the structure, and how many. */
  readonly bit: number;
  readonly bits: number;
  readonly bitField: boolean;
  /** As C has it: `char[48]`. */
  readonly type: string;
  /** What its bytes are, the same for every name of one type. */
  readonly shape: string;
}

/** A member that is not the same on both sides. */
export interface MemberDifference {
  readonly kind: "added" | "removed" | "moved" | "retyped" | "renamed";
  readonly name: string;
  /** The other side's name of a renamed one. */
  readonly was?: string;
  readonly from?: MemberPlace;
  readonly to?: MemberPlace;
}

/** A structure that is not the same on both sides. */
export interface AbiDifference {
  readonly struct: string;
  readonly kind: "added" | "removed" | "changed";
  /** Bytes on the sides that have it. */
  readonly from?: number;
  readonly to?: number;
  readonly members: readonly MemberDifference[];
}

export function placeOf({ bit, bits, bitField, type }: Member): MemberPlace {
  return { bit, bits, bitField, type: typeName(type), shape: shapeOf(type) };
}

/** What differs between two structures of one name; undefined if both have the same members in the same places. */
export function compareStructures(
  from: Structure | undefined,
  to: Structure | undefined,
): AbiDifference | undefined {
  const some = from ?? to;
  if (!some) return undefined;
  const members = memberDifferences(from, to);
  const kind = !from ? "added" : !to ? "removed" : "changed";
  if (kind === "changed" && members.length === 0 && from!.size === to!.size) return undefined;
  return {
    struct: some.name,
    kind,
    ...(from && { from: from.size }),
    ...(to && { to: to.size }),
    members,
  };
}

function memberDifferences(from: Structure | undefined, to: Structure | undefined): MemberDifference[] {
  const before = placesOf(from);
  const after = placesOf(to);
  const same = ({ bit, bits, shape }: MemberPlace, other: MemberPlace): boolean =>
    bit === other.bit && bits === other.bits && shape === other.shape;
  const differences: MemberDifference[] = [];
  /** By what it is and where: a member that is gone can be there under another name. */
  const gone = new Map<string, [name: string, place: MemberPlace]>();
  for (const [name, place] of before) if (!after.has(name)) gone.set(keyOf(place), [name, place]);
  for (const [name, place] of after) {
    const old = before.get(name);
    if (old && same(old, place)) continue;
    if (old) {
      const kind = old.bits === place.bits && old.shape === place.shape ? "moved" : "retyped";
      differences.push({ kind, name, from: old, to: place });
      continue;
    }
    const renamed = gone.get(keyOf(place));
    if (renamed) {
      gone.delete(keyOf(place));
      differences.push({ kind: "renamed", name, was: renamed[0], from: renamed[1], to: place });
    } else differences.push({ kind: "added", name, to: place });
  }
  for (const [name, place] of gone.values()) differences.push({ kind: "removed", name, from: place });
  const bitOf = ({ from: one, to: other }: MemberDifference): number => (other ?? one)!.bit;
  return differences.sort((a, b) => bitOf(a) - bitOf(b));
}

const keyOf = ({ bit, bits, shape }: MemberPlace): string => `${bit} ${bits} ${shape}`;

/** Places of each structure's members, by name: the same few structures are compared with those of every release. */
const places = new WeakMap<Structure, ReadonlyMap<string, MemberPlace>>();

/** Members that share a name, as no compiler makes, are told apart by their number. */
function placesOf(structure: Structure | undefined): ReadonlyMap<string, MemberPlace> {
  if (!structure) return new Map();
  const known = places.get(structure);
  if (known) return known;
  const made = new Map<string, MemberPlace>();
  for (const member of flatMembers(structure)) {
    const taken = made.has(member.name) || member.name === "";
    made.set(taken ? `${member.name}#${made.size}` : member.name, placeOf(member));
  }
  places.set(structure, made);
  return made;
}
