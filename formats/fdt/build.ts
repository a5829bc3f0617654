import { type Abi, encode, u32, u64 } from "../../src/layout/index.js";
import { assemble } from "./assemble.js";
import { findString } from "./strings.js";
import { join, nodeBegin, nodeEnd, propertyToken, structureEnd, terminated } from "./tokens.js";

/** A node to write, with all that is below it. The root's name is empty. */
export interface TreeSource {
  readonly name: string;
  readonly properties: readonly (readonly [name: string, value: Uint8Array])[];
  readonly children: readonly TreeSource[];
}

/**
 * The blob of a tree, byte for byte as libfdt's sequential writing makes it: version 17, no reservations, properties and
 * nodes in the order given. Names are taken as they are, also the same one twice.
 *
 * The strings block grows downwards: a name that is not in it yet, be it as the tail of another one, is put in front.
 *
 * @throws KhoError `value-range` if a name has a NUL, or a lone surrogate that stands for no byte
 */
export function buildSequential(root: TreeSource): Uint8Array {
  let strings: Uint8Array = new Uint8Array(0);
  /** Tokens, given the size of the whole strings block: until it is known, a name's place is known from the end only. */
  const tokens: ((stringsSize: number) => Uint8Array)[] = [];

  const write = (node: TreeSource): void => {
    const begin = nodeBegin(node.name);
    tokens.push(() => begin);
    for (const [name, value] of node.properties) {
      const wanted = terminated(name);
      let at = findString(strings, wanted);
      if (at < 0) {
        strings = join([wanted, strings]);
        at = 0;
      }
      const fromEnd = strings.length - at;
      tokens.push((stringsSize) => propertyToken(stringsSize - fromEnd, value));
    }
    node.children.forEach(write);
    tokens.push(nodeEnd);
  };
  write(root);
  tokens.push(structureEnd);
  const structure = join(tokens.map((token) => token(strings.length)));
  return assemble("sequential", { reservations: [], structure, strings });
}

/** A value that is text: its bytes and a NUL. */
export const stringProperty = (text: string): Uint8Array => terminated(text);

/** A value that is a u32 in the byte order of the writing CPU, as KHO stores it. */
export const nativeU32Property = (value: number, abi: Abi): Uint8Array => encode(u32, value, abi);

/** A value that is a u64 in the byte order of the writing CPU, as KHO stores it. */
export const nativeU64Property = (value: bigint, abi: Abi): Uint8Array => encode(u64, value, abi);
