import { grown } from "../grown.js";

/**
 * All texts that a strings block has with their NUL, also as tails of longer ones, and where each was put last. Finding and
 * adding take time for the name's own bytes, however many names there are.
 */
export interface Tails {
  /** Bytes from the end of the block to the newest place of `name`, which ends with its NUL; 0 if it has none. */
  find(name: Uint8Array): number;
  /** Notes that `name` was put in front of a block of `size` bytes. */
  add(name: Uint8Array, size: number): void;
}

/**
 * A tree of bytes, read from the last one before the NUL to the first: every node is a tail. Nodes are columns; 0 is the
 * empty tail and, as a link, none.
 */
export function newTails(): Tails {
  let count = 1;
  let byte = new Uint8Array(256);
  let child = new Uint32Array(256);
  let sibling = new Uint32Array(256);
  let place = new Uint32Array(256);

  const longer = (tail: number, wanted: number): number => {
    let next = child[tail]!;
    while (next !== 0 && byte[next] !== wanted) next = sibling[next]!;
    return next;
  };
  const added = (tail: number, wanted: number): number => {
    if (count === byte.length) {
      byte = grown(byte);
      child = grown(child);
      sibling = grown(sibling);
      place = grown(place);
    }
    byte[count] = wanted;
    sibling[count] = child[tail]!;
    child[tail] = count;
    return count++;
  };
  return {
    find(name) {
      let tail = 0;
      for (let i = name.length - 2; i >= 0; i--) {
        tail = longer(tail, name[i]!);
        if (tail === 0) return 0;
      }
      return place[tail]!;
    },
    add(name, size) {
      let tail = 0;
      place[tail] = size + 1;
      for (let i = name.length - 2; i >= 0; i--) {
        tail = longer(tail, name[i]!) || added(tail, name[i]!);
        place[tail] = size + name.length - i;
      }
    },
  };
}
