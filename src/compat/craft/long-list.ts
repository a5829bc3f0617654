/** Lists that no kernel writes: as many blocks as are wanted, with one record each. */
import { khoBlockHeaderSer } from "../../../formats/kho/layout.js";
import { encode, type Struct, sizeOf, type ValueOf } from "../../layout/index.js";
import type { Machine } from "../../machine/index.js";
import { type PhysAddr, physAddr } from "../../memory/index.js";

/** Preserves a chain of `length` blocks and returns them; the last one ends it. Nothing leads to the first. */
export function chainOfBlocks<R extends Struct>(
  { kho, memory, hardware: { abi } }: Machine,
  record: R,
  length: number,
  recordOf: (index: number) => ValueOf<R>,
): PhysAddr[] {
  const blocks = Array.from({ length }, () => kho.allocPreserve(abi.pageSize, "chain of blocks"));
  for (const [i, block] of blocks.entries()) {
    const next = blocks[i + 1] ?? physAddr(0);
    memory.write(block, encode(khoBlockHeaderSer, { next, count: 1n }, abi));
    memory.write(physAddr(block + BigInt(sizeOf(khoBlockHeaderSer, abi))), encode(record, recordOf(i), abi));
  }
  return blocks;
}
