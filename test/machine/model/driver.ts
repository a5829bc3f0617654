/** A kernel driver that preserves memory without live update: spec/luo-machine, section 7. */
import type { Memory } from "../../../src/memory/index.js";
import { physAddr } from "../../../src/memory/index.js";
import type { Item, Model } from "./state.js";

/** A range as the largest aligned blocks that fit; the machines of this test have one NUMA node. */
export function blocksOf(pfn: number, count: number): { pfn: number; order: number }[] {
  const blocks: { pfn: number; order: number }[] = [];
  for (let at = pfn; at < pfn + count; ) {
    let order = 0;
    while (at % 2 ** (order + 1) === 0 && at + 2 ** (order + 1) <= pfn + count) order++;
    blocks.push({ pfn: at, order });
    at += 2 ** order;
  }
  return blocks;
}

/** Addresses of the chunks of an area, read by hand. */
export function chunksOf(first: bigint, memory: Pick<Memory, "read">): bigint[] {
  const chunks: bigint[] = [];
  for (
    let pa = first;
    pa !== 0n;
    pa = new DataView(memory.read(physAddr(pa), 8).slice().buffer).getBigUint64(0, true)
  )
    chunks.push(pa);
  return chunks;
}

/** Blocks that are preserved for an item. */
export function preservedBlocks(
  item: Item,
  memory: Pick<Memory, "read">,
  pageSize: number,
  { areas }: Pick<Model, "areas">,
): readonly { readonly pfn: number; readonly order: number }[] {
  if (item.kind === "range") return blocksOf(item.range!.pfn, item.range!.count);
  if (item.kind !== "area") return item.blocks;
  const chunks = chunksOf(areas.get(item.id)!, memory);
  return [...item.blocks, ...chunks.map((pa) => ({ pfn: Number(pa) / pageSize, order: 0 }))];
}
