import fc from "fast-check";
import type { Tree } from "./write.js";

/** Names short and alike, so that many are the tail of another one, and many are the same. */
export const alikeNames = fc.string({ unit: fc.constantFrom(..."aab,"), minLength: 1, maxLength: 5 });

export const values = fc.uint8Array({ maxLength: 13 }) as fc.Arbitrary<Uint8Array>;

const nodes = (name: fc.Arbitrary<string>, levels: number): fc.Arbitrary<Tree> =>
  fc.record({
    name,
    properties: fc.uniqueArray(fc.tuple(alikeNames, values), { maxLength: 4, selector: ([text]) => text }),
    children:
      levels === 0
        ? // Each its own list: tests change copies of these trees.
          fc.constant(0).map((): Tree[] => [])
        : fc.uniqueArray(nodes(alikeNames, levels - 1), { maxLength: 3, selector: (inner) => inner.name }),
  });

/** Trees of up to four levels without siblings of one name. */
export const alikeTrees = nodes(fc.constant(""), 3);
