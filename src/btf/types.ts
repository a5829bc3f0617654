/** Id of a type: its place among the records, from 1 on. 0 is `void`. */
export type BtfId = number;

interface Named {
  /** Empty for what has none. */
  readonly name: string;
}

/** A member of a struct or union. */
export interface BtfMember extends Named {
  readonly type: BtfId;
  /** Bits from the start of the struct. */
  readonly bitOffset: number;
  /** Width in bits if it is a bit field of a struct with kind_flag; the older form has it in its integer type. */
  readonly bitSize?: number;
}

export interface BtfInt extends Named {
  readonly kind: "INT";
  /** Bytes. */
  readonly size: number;
  readonly signed: boolean;
  readonly char: boolean;
  readonly bool: boolean;
  /** Bits that are used, and the first of them. */
  readonly bits: number;
  readonly offset: number;
}

export interface BtfPointer {
  readonly kind: "PTR";
  readonly type: BtfId;
}

/** What names or qualifies another type, and changes nothing about its bytes. */
export interface BtfReference extends Named {
  readonly kind: "TYPEDEF" | "VOLATILE" | "CONST" | "RESTRICT" | "TYPE_TAG";
  readonly type: BtfId;
  /** Of a type tag: that it stands for an attribute of another name. */
  readonly flag: boolean;
}

export interface BtfArray {
  readonly kind: "ARRAY";
  readonly type: BtfId;
  readonly indexType: BtfId;
  readonly length: number;
}

/** A struct or union with its members. */
export interface BtfRecord extends Named {
  readonly kind: "STRUCT" | "UNION";
  /** Bytes. */
  readonly size: number;
  /** True if members are written with the width of bit fields. */
  readonly flag: boolean;
  readonly members: readonly BtfMember[];
}

export interface BtfEnumeration extends Named {
  readonly kind: "ENUM" | "ENUM64";
  /** Bytes. */
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly { readonly name: string; readonly value: bigint }[];
}

export interface BtfForward extends Named {
  readonly kind: "FWD";
  readonly union: boolean;
}

export interface BtfFunction extends Named {
  readonly kind: "FUNC";
  readonly type: BtfId;
  readonly linkage: number;
}

export interface BtfPrototype {
  readonly kind: "FUNC_PROTO";
  /** Type of the result. */
  readonly type: BtfId;
  /** The last one has no name and type 0 if more may follow. */
  readonly params: readonly { readonly name: string; readonly type: BtfId }[];
}

export interface BtfVariable extends Named {
  readonly kind: "VAR";
  readonly type: BtfId;
  readonly linkage: number;
}

export interface BtfSection extends Named {
  readonly kind: "DATASEC";
  readonly size: number;
  readonly variables: readonly { readonly type: BtfId; readonly offset: number; readonly size: number }[];
}

export interface BtfFloat extends Named {
  readonly kind: "FLOAT";
  readonly size: number;
}

export interface BtfDeclTag extends Named {
  readonly kind: "DECL_TAG";
  readonly type: BtfId;
  /** Which member or parameter it is of; -1 for the type itself. */
  readonly component: number;
  /** That it stands for an attribute of another name. */
  readonly flag: boolean;
}

/** One record, decoded. */
export type BtfType =
  | BtfInt
  | BtfPointer
  | BtfReference
  | BtfArray
  | BtfRecord
  | BtfEnumeration
  | BtfForward
  | BtfFunction
  | BtfPrototype
  | BtfVariable
  | BtfSection
  | BtfFloat
  | BtfDeclTag;

/** The types of one kernel. */
export interface Btf {
  readonly byteOrder: "little" | "big";
  /** How many types there are: ids are 1 to this. */
  readonly count: number;
  /**
   * The type with an id, decoded when it is asked for.
   * @throws KhoError `btf-malformed` for an id that there is not, or a record that refers outside of the strings
   */
  type(id: BtfId): BtfType;
  /** Ids of all structs, or unions, of a name. Two are two different definitions. */
  find(kind: "STRUCT" | "UNION" | "INT" | "ENUM" | "TYPEDEF", name: string): readonly BtfId[];
  /** Names of all structs that have one, sorted. */
  structNames(): readonly string[];
}
