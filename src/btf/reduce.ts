import { encodeBtf } from "./encode.js";
import { malformed } from "./fault.js";
import { isTransparent, maxDepth } from "./sizes.js";
import type { Btf, BtfForward, BtfId, BtfType } from "./types.js";

/**
 * BTF of the named structures and what they are made of, and nothing else. A pointer to a structure that is not among them
 * keeps its name alone. Types are numbered as they are reached, so that the result depends on the types only.
 * @throws KhoError `btf-malformed`
 */
export function reduceBtf(btf: Btf, names: readonly string[]): Uint8Array {
  const roots = [...new Set(names)]
    .sort()
    .flatMap((name) => [...btf.find("STRUCT", name), ...btf.find("UNION", name)]);
  // Nothing else says how long pointers are.
  const sizes = ["long unsigned int", "unsigned long"].flatMap((name) => btf.find("INT", name));
  const kept = new Set(roots);
  const numbers = new Map<BtfId, BtfId>();
  const forwards = new Map<string, BtfId>();
  const types: (BtfId | BtfForward)[] = [];
  const queue: BtfId[] = [];

  const number = (id: BtfId): BtfId => {
    if (id === 0) return 0;
    let known = numbers.get(id);
    if (known === undefined) {
      types.push(id);
      numbers.set(id, (known = types.length));
      queue.push(id);
    }
    return known;
  };
  const forward = (name: string, union: boolean): BtfId => {
    const key = `${union} ${name}`;
    let known = forwards.get(key);
    if (known === undefined) {
      types.push({ kind: "FWD", name, union });
      forwards.set(key, (known = types.length));
    }
    return known;
  };
  /** What a pointer leads to, without what that is made of. What has no name becomes void, a function any function. */
  const pointee = (id: BtfId, depth = 0): BtfId => {
    if (depth > maxDepth)
      throw malformed(`type ${id} is behind more than ${maxDepth} pointers, arrays and names`);
    if (id === 0 || kept.has(id)) return number(id);
    const type = btf.type(id);
    switch (type.kind) {
      case "STRUCT":
      case "UNION":
        return type.name === "" ? 0 : forward(type.name, type.kind === "UNION");
      case "FWD":
        return forward(type.name, type.union);
      case "INT":
      case "FLOAT":
      case "ENUM":
      case "ENUM64":
      case "FUNC_PROTO":
        return number(id);
      default:
        return isTransparent(type) || type.kind === "ARRAY" || type.kind === "PTR"
          ? pointee(type.type, depth + 1)
          : 0;
    }
  };
  const renumbered = (type: BtfType): BtfType => {
    switch (type.kind) {
      case "PTR":
        return { ...type, type: pointee(type.type) };
      case "ARRAY":
        return { ...type, type: number(type.type), indexType: number(type.indexType) };
      case "STRUCT":
      case "UNION":
        return {
          ...type,
          members: type.members.map((member) => ({ ...member, type: number(member.type) })),
        };
      case "FUNC_PROTO":
        return { ...type, type: 0, params: [] };
      default:
        return isTransparent(type) ? { ...type, type: number(type.type) } : type;
    }
  };

  for (const id of [...sizes.slice(0, 1), ...roots]) number(id);
  const written = new Map<BtfId, BtfType>();
  // Each type is taken once, so this ends after as many as there are.
  for (let i = 0; i < queue.length; i++) written.set(queue[i]!, renumbered(btf.type(queue[i]!)));
  return encodeBtf(
    types.map((entry) => (typeof entry === "number" ? written.get(entry)! : entry)),
    btf.byteOrder,
  );
}
