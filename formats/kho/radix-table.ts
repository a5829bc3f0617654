import { type Abi, decode, littleWords, offsetOf, pa, sizeOf } from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import { khoRadixNode } from "./layout.js";

/** An entry of a table that leads to a node. */
export interface TableEntry {
  readonly index: number;
  /** Bytes from the start of the table's node to the entry. */
  readonly at: number;
  readonly child: PhysAddr;
}

/** Bytes of an entry. */
export const entrySize = (abi: Abi): number => sizeOf(pa, abi);

/** The entries of a node that are not 0, ascending. Most are 0, in any byte order, and cost no bigint. */
export function entriesOf(node: Uint8Array, abi: Abi): TableEntry[] {
  const first = offsetOf(khoRadixNode, "table", abi);
  const size = entrySize(abi);
  const words = littleWords(node);
  const entries: TableEntry[] = [];
  for (let at = first, index = 0; at < node.length; at += size, index++)
    if ((words[at >>> 2]! | words[(at >>> 2) + 1]!) !== 0)
      entries.push({ index, at, child: decode(pa, node, at, abi) });
  return entries;
}
