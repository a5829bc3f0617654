import { type Abi, encode, u32, u64 } from "../../src/layout/index.js";
import { assemble } from "./assemble.js";
import { structureWriter } from "./structure-writer.js";
import { newTails } from "./tails.js";
import { join, terminated } from "./tokens.js";

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
  const strings = growingStrings();
  const structure = structureWriter();
  const write = (node: TreeSource): void => {
    structure.begin(node.name);
    for (const [name, value] of node.properties) structure.property(strings.place(name), value);
    node.children.forEach(write);
    structure.end();
  };
  write(root);
  const names = strings.finish();
  return assemble("sequential", {
    reservations: [],
    structure: structure.finish(names.length),
    strings: names,
  });
}

/** A strings block that grows downwards: until it is finished, a name's place is known from the end only. */
function growingStrings() {
  const tails = newTails();
  const parts: Uint8Array[] = [];
  let size = 0;
  /** What {@link Tails.find} says of names: right until another one is put in front. */
  const known = new Map<string, number>();
  return {
    /** Bytes from the end of the block to the name, which is put in front if it is not there. */
    place(name: string): number {
      const before = known.get(name);
      if (before !== undefined) return before;
      const wanted = terminated(name);
      let fromEnd = tails.find(wanted);
      if (fromEnd === 0) {
        tails.add(wanted, size);
        parts.push(wanted);
        fromEnd = size += wanted.length;
        known.clear();
      }
      known.set(name, fromEnd);
      return fromEnd;
    },
    finish: (): Uint8Array => join(parts.reverse()),
  };
}

/** A value that is text: its bytes and a NUL. */
export const stringProperty = (text: string): Uint8Array => terminated(text);

/** A value that is a u32 in the byte order of the writing CPU, as KHO stores it. */
export const nativeU32Property = (value: number, abi: Abi): Uint8Array => encode(u32, value, abi);

/** A value that is a u64 in the byte order of the writing CPU, as KHO stores it. */
export const nativeU64Property = (value: bigint, abi: Abi): Uint8Array => encode(u64, value, abi);
