import { KhoError } from "../../report/error.js";

/**
 * What a structure is to its readers, whoever describes it: our layouts or a kernel's own types. Places are in bits from
 * the start of the structure that holds the member.
 */
export interface Structure {
  /** The kernel's name without `struct`; empty for one that has none. */
  readonly name: string;
  readonly union: boolean;
  /** Bytes. */
  readonly size: number;
  readonly members: readonly Member[];
}

export interface Member {
  /** Empty for an anonymous struct or union, whose members count as those of the structure that holds it. */
  readonly name: string;
  readonly bit: number;
  readonly bits: number;
  readonly bitField: boolean;
  readonly type: Type;
}

interface TypeBase {
  /** Bytes. */
  readonly size: number;
  /** Names by which the type is known, outermost first: typedefs. */
  readonly aliases: readonly string[];
}

export interface IntegerType extends TypeBase {
  readonly kind: "integer";
  readonly name: string;
  readonly signed: boolean;
  /** `char` is neither signed nor unsigned here: it holds text, and architectures differ. */
  readonly char: boolean;
}

export interface PointerType extends TypeBase {
  readonly kind: "pointer";
  /** What it points to, as C has it: `struct page`, `void`. */
  readonly name: string;
}

export interface ArrayType extends TypeBase {
  readonly kind: "array";
  readonly element: Type;
  readonly length: number;
}

export interface StructureType extends TypeBase {
  readonly kind: "structure";
  readonly name: string;
  readonly union: boolean;
  /** Its members, found when asked for: types refer to each other without end. @throws KhoError `btf-malformed` */
  readonly of: () => Structure;
}

/** What no handed-over structure has: functions, incomplete types, floating point. */
export interface OtherType extends TypeBase {
  readonly kind: "other";
  readonly name: string;
}

export type Type = IntegerType | PointerType | ArrayType | StructureType | OtherType;

/** Structures in each other that are followed. A kernel nests some ten deep. */
export const maxNesting = 32;
/** Members that are looked at for one structure, with those of what it is made of. */
const maxMembers = 20_000;
/** Members of structs and unions without a name in a word for their bytes. */
const maxShape = 256;

/** The error for a structure that is made of more than anybody would look at, as one that holds itself is. */
export const tooLarge = (name: string, most: number): KhoError =>
  new KhoError("limit-exceeded", `structure ${name} is made of too many members`, {
    expected: `at most ${most}, ${maxNesting} deep`,
  });

/** Alignment by structure; 1 while it is being worked out, so that one that holds itself ends. */
const aligns = new WeakMap<Structure, number>();

/** Bytes at whose multiples the compiler puts a type unless it is told to pack. */
export function alignOf(type: Type, depth = 0): number {
  const { inner } = innermost(type);
  if (inner.kind !== "structure") return Math.max(1, inner.size);
  if (depth > maxNesting) return 1;
  const whole = inner.of();
  let align = aligns.get(whole);
  if (align === undefined) {
    aligns.set(whole, 1);
    align = isPacked(whole, depth + 1) ? 1 : naturalAlign(whole, depth + 1);
    aligns.set(whole, align);
  }
  return align;
}

const naturalAlign = ({ members }: Structure, depth: number): number =>
  members.reduce((most, { type }) => Math.max(most, alignOf(type, depth)), 1);

/**
 * True if the places betray that the compiler was told to pack: types do not say so. A packed structure whose members
 * lie where they would anyway is not told from one that is not.
 */
export function isPacked(structure: Structure, depth = 0): boolean {
  const { size, members } = structure;
  return (
    size % naturalAlign(structure, depth) !== 0 ||
    members.some(({ bit, bitField, type }) => !bitField && bit % (8 * alignOf(type, depth)) !== 0) ||
    members.some(({ bit, bits, bitField, type }) => bitField && straddles(bit, bits, type.size * 8))
  );
}

/** True for a bit field that does not lie within one unit of its type. */
export const straddles = (bit: number, bits: number, unit: number): boolean =>
  unit > 0 && Math.floor(bit / unit) !== Math.floor((bit + bits - 1) / unit);

/** What an array is of, and how its first element is called. */
export function innermost(type: Type): { inner: Type; index: string } {
  let inner = type;
  let index = "";
  while (inner.kind === "array") {
    inner = inner.element;
    index += "[0]";
  }
  return { inner, index };
}

/** A member at any depth: its path, and its place from the start of the outermost structure. */
export interface NestedMember {
  readonly path: string;
  readonly member: Member;
}

/**
 * Every member with those of embedded structures behind it, in order. `enter` says which are gone into; an array is gone
 * into once. Addresses declared with DECLARE_KHOSER_PTR are numbers, not unions.
 * @throws KhoError `limit-exceeded` for a structure of too many members, as one that holds itself has
 */
export function* nestedMembers(
  structure: Structure,
  enter: (type: StructureType, member: Member) => boolean,
): Generator<NestedMember> {
  let left = maxMembers;
  function* visit(of: Structure, path: string, base: number, depth: number): Generator<NestedMember> {
    if (depth > maxNesting) throw tooLarge(structure.name, maxMembers);
    for (const member of of.members) {
      if (left-- === 0) throw tooLarge(structure.name, maxMembers);
      const placed = { ...member, bit: base + member.bit };
      const own = member.name === "" ? path : path === "" ? member.name : `${path}.${member.name}`;
      yield { path: own, member: placed };
      const { inner, index } = innermost(member.type);
      if (inner.kind === "structure" && !khoserPtr(inner) && enter(inner, member))
        yield* visit(inner.of(), own + index, placed.bit, depth + 1);
    }
  }
  yield* visit(structure, "", 0, 0);
}

/** Members with those of anonymous structs and unions in their place, as C lets programs name them. */
export function* flatMembers(structure: Structure): Generator<Member> {
  const anonymous = ({ name, type }: Member): boolean => name === "" && type.kind === "structure";
  for (const { member } of nestedMembers(structure, (_, one) => anonymous(one)))
    if (!anonymous(member) || khoserPtr(member.type)) yield member;
}

/**
 * An address that is declared with DECLARE_KHOSER_PTR: a union of a number, which is handed over, and a pointer of the
 * kernel's own that only says what is there. Returns the number.
 */
export function khoserPtr(type: Type): IntegerType | undefined {
  if (type.kind !== "structure" || !type.union || type.name !== "") return undefined;
  const { members, size } = type.of();
  const [number, pointer] = members;
  if (members.length !== 2 || number?.name !== "phys" || pointer?.name !== "ptr") return undefined;
  const whole = number.type.kind === "integer" && number.type.size === size;
  return whole && pointer.type.kind === "pointer" ? (number.type as IntegerType) : undefined;
}

/**
 * What a type's bytes are, in a word, the same for every way to say it: `u64` is also `unsigned long` and a pointer that
 * is handed over as a number; structures with a name go by it.
 * @throws KhoError `limit-exceeded` for structs without a name in each other without end
 */
export function shapeOf(type: Type): string {
  let left = maxShape;
  const visit = (one: Type, depth: number): string => {
    switch (one.kind) {
      case "integer":
        return one.char ? "char" : `${one.signed ? "s" : "u"}${one.size * 8}`;
      case "pointer":
        return `${one.name} *`;
      case "array":
        return `${visit(one.element, depth)}[${one.length}]`;
      case "structure": {
        const kind = one.union ? "union" : "struct";
        const address = khoserPtr(one);
        if (address) return visit(address, depth);
        if (one.name !== "") return `${kind} ${one.name}`;
        const members = one.of().members.map((member) => {
          if (left-- === 0 || depth > maxNesting) throw tooLarge("without a name", maxShape);
          return `${member.name}@${member.bit}:${visit(member.type, depth + 1)}`;
        });
        return `${kind} { ${members.join("; ")} }`;
      }
      case "other":
        return one.name;
    }
  };
  return visit(type, 0);
}

/** How C declares a member of the type: `char name[48]` is `char` in front and `[48]` behind. */
export function declaration(type: Type): { readonly front: string; readonly behind: string } {
  const [alias] = type.aliases;
  if (alias !== undefined) return { front: alias, behind: "" };
  switch (type.kind) {
    case "array": {
      const { front, behind } = declaration(type.element);
      return { front, behind: `[${type.length}]${behind}` };
    }
    case "pointer":
      return { front: `${type.name} *`, behind: "" };
    case "structure":
      return { front: `${type.union ? "union" : "struct"}${type.name && ` ${type.name}`}`, behind: "" };
    default:
      return { front: type.name, behind: "" };
  }
}

/** The type as one word: `char[48]`. */
export function typeName(type: Type): string {
  const { front, behind } = declaration(type);
  return front + behind;
}
