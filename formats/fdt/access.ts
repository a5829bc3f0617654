import { type Abi, decode, sizeOf, textFromBytes, u32, u64 } from "../../src/layout/index.js";
import type { Fdt, FdtNode, FdtProperty } from "./tree.js";

/**
 * The first child that the kernel finds under `name`: of that name, or, if `name` has no unit address, of that name
 * with any unit address. `child(root, "memory")` finds `memory@0`.
 */
export function child(node: FdtNode, name: string): FdtNode | undefined {
  const anyUnit = name.includes("@") ? undefined : `${name}@`;
  return node.children.find(
    (candidate) => candidate.name === name || (anyUnit !== undefined && candidate.name.startsWith(anyUnit)),
  );
}

/**
 * The node at an absolute path, `/` or `/chosen/name`, each step found as by {@link child}. Aliases are not followed:
 * a path that does not begin with `/` finds nothing. Repeated and trailing slashes count as one.
 */
export function findNode(fdt: Fdt, path: string): FdtNode | undefined {
  if (!path.startsWith("/")) return undefined;
  let node: FdtNode | undefined = fdt.root;
  for (const name of path.split("/")) if (name !== "" && node) node = child(node, name);
  return node;
}

/** The first property of that name. */
export function property(node: FdtNode, name: string): FdtProperty | undefined {
  return node.properties.find((candidate) => candidate.name === name);
}

/** The text up to the first NUL; `undefined` if there is none, since the kernel would read on behind the value. */
export function stringValue(value: Uint8Array): string | undefined {
  const end = value.indexOf(0);
  return end < 0 ? undefined : textFromBytes(value.subarray(0, end));
}

/** All NUL-terminated strings of a value; none for an empty value, `undefined` if the last one is not terminated. */
export function stringList(value: Uint8Array): string[] | undefined {
  if (value.length > 0 && value.at(-1) !== 0) return undefined;
  const strings: string[] = [];
  for (let start = 0; start < value.length; ) {
    const end = value.indexOf(0, start);
    strings.push(textFromBytes(value.subarray(start, end)));
    start = end + 1;
  }
  return strings;
}

/** A value of exactly 4 bytes as a u32 in the byte order of the writing CPU, as KHO stores it; else `undefined`. */
export function nativeU32(value: Uint8Array, abi: Abi): number | undefined {
  return value.length === sizeOf(u32, abi) ? decode(u32, value, 0, abi) : undefined;
}

/** A value of exactly 8 bytes as a u64 in the byte order of the writing CPU, as KHO stores it; else `undefined`. */
export function nativeU64(value: Uint8Array, abi: Abi): bigint | undefined {
  return value.length === sizeOf(u64, abi) ? decode(u64, value, 0, abi) : undefined;
}

/**
 * A value as numbers of `count` cells each, a cell being a big-endian u32 and the first the most significant:
 * `cells(reg, 2)` of 16 bytes are an address and a size. `undefined` if the length does not divide evenly or
 * `count` is not a positive integer.
 */
export function cells(value: Uint8Array, count: number): bigint[] | undefined {
  if (!Number.isSafeInteger(count) || count < 1 || value.length % (4 * count) !== 0) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const numbers: bigint[] = [];
  for (let at = 0; at < value.length; at += 4 * count) {
    let number = 0n;
    for (let i = 0; i < count; i++) number = (number << 32n) | BigInt(view.getUint32(at + 4 * i));
    numbers.push(number);
  }
  return numbers;
}
