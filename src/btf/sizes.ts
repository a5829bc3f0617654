import { malformed } from "./fault.js";
import type { Btf, BtfId, BtfReference, BtfType } from "./types.js";

/** Types that one may be made of, one in the other: the kernel resolves 32 deep. */
export const maxDepth = 32;
/** Sizes are u32 in BTF; what has more bytes is no type. */
const maxSize = 0xffffffff;

const transparent = new Set<BtfType["kind"]>(["TYPEDEF", "VOLATILE", "CONST", "RESTRICT", "TYPE_TAG"]);

/** True for what only names or qualifies another type. */
export const isTransparent = (type: BtfType): type is BtfReference => transparent.has(type.kind);

/**
 * The type behind typedefs, qualifiers and tags; undefined for `void`.
 * @throws KhoError `btf-malformed` if they run in a circle
 */
export function behind(btf: Btf, id: BtfId): BtfType | undefined {
  for (let depth = 0; depth < maxDepth; depth++) {
    if (id === 0) return undefined;
    const type = btf.type(id);
    if (!isTransparent(type)) return type;
    ({ type: id } = type);
  }
  throw malformed(`type ${id} is a typedef of a typedef, more than ${maxDepth} deep`);
}

/** Bytes of a pointer, which BTF does not record: those of `unsigned long`, else 8, as in every kernel with KHO. */
export function pointerSize(btf: Btf): number {
  for (const name of ["long unsigned int", "unsigned long"])
    for (const id of btf.find("INT", name)) {
      const type = btf.type(id);
      if (type.kind === "INT" && (type.size === 4 || type.size === 8)) return type.size;
    }
  return 8;
}

/**
 * Bytes of a type; 0 for what has none, such as `void` or a function.
 * @throws KhoError `btf-malformed` for arrays of arrays without end, or of more bytes than BTF can express
 */
export function sizeOfType(btf: Btf, id: BtfId): number {
  let elements = 1;
  for (let depth = 0; depth < maxDepth; depth++) {
    const type = behind(btf, id);
    if (type?.kind !== "ARRAY") {
      const size = elements * ownSize(btf, type);
      if (size > maxSize) throw malformed(`type ${id} makes an array of ${size} bytes`, `at most ${maxSize}`);
      return size;
    }
    // At most 2^32 each, and checked each time, so the product is exact until it is refused.
    elements *= type.length;
    if (elements > maxSize) throw malformed(`type ${id} makes an array of ${elements} elements`);
    ({ type: id } = type);
  }
  throw malformed(`type ${id} is an array of arrays, more than ${maxDepth} deep`);
}

function ownSize(btf: Btf, type: BtfType | undefined): number {
  switch (type?.kind) {
    case "INT":
    case "FLOAT":
    case "STRUCT":
    case "UNION":
    case "ENUM":
    case "ENUM64":
      return type.size;
    case "PTR":
      return pointerSize(btf);
    default:
      return 0;
  }
}
