import { hex } from "../../report/hex.js";
import type { PartVerdict } from "../verdict.js";
import { type Arrived, differs, failure, say } from "./arrived.js";

/** Nodes of the root tree, as kernel code asks for them. Of two of one name nobody finds the second. */
export function judgeSubtrees({ truth, machine }: Arrived): PartVerdict[] {
  const seen = new Set<string>();
  return truth.handover.subtrees.map(({ name, pa, size }) => {
    const part = `subtrees[${name}]`;
    if (seen.has(name)) return say(part, "lossy", "there is another of this name in front of it");
    seen.add(name);
    try {
      const found = machine.kho.retrieveSubtree(name);
      if (found.pa !== pa) return say(part, "misread", differs("address", hex(pa), hex(found.pa)));
      // Where the version records no size, the tree's own was taken.
      if (found.size !== undefined && found.size !== size)
        return say(part, "misread", differs("blob-size", hex(size), hex(found.size)));
      return say(part, "works");
    } catch (error) {
      return failure(part, "kho_retrieve_subtree", error);
    }
  });
}
