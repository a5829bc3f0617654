import { khoVmallocChunk, khoVmallocHdr } from "../../formats/kho/layout.js";
import { type Abi, pa, type Struct, sizeOf } from "../layout/index.js";

/** What a row of the table of structures is of. */
export type StructureId =
  | "handoff"
  | "scratch"
  | "root"
  | "map"
  | "metadata"
  | "memblock"
  | "test-tree"
  | "test-list"
  | "test-chunks"
  | "luo-root"
  | "sessions"
  | "files"
  | "flbs"
  | "memfds"
  | "folio-lists"
  | "folio-chunks";

/** Structures of one kind. */
export interface StructureCost {
  readonly id: StructureId;
  /** The layout, by the kernel's name, or what the blob is. */
  readonly name: string;
  /** For people. */
  readonly what: string;
  /** How many of them. */
  readonly count: number;
  /** That mean something: without what is left of pages. */
  readonly bytes: number;
  /** Base pages that they occupy; 0 for what lies in pages of the boot loader. */
  readonly pages: number;
  /** Of the blocks that they are preserved as. */
  readonly order: number | "not-preserved";
}

/** Structures that each have a block of `2 ** order` pages. `bytes` is of all of them. */
export const block = (
  id: StructureId,
  name: string,
  what: string,
  count: number,
  bytes: number,
  order: number,
): StructureCost => ({ id, name, what, count, bytes, pages: count * 2 ** order, order });

/** Records of a layout, in `pages` pages. */
export const records = (
  id: StructureId,
  layout: Struct,
  what: string,
  rest: Omit<StructureCost, "id" | "name" | "what">,
): StructureCost => ({
  id,
  name: layout.name,
  what,
  ...rest,
});

/** The chunks of vmalloc areas that have `pages` pages in all: their addresses, and a link in each chunk. */
export function chunkRow(id: StructureId, chunks: number, pages: number, abi: Abi): StructureCost {
  const bytes = chunks * sizeOf(khoVmallocHdr, abi) + pages * sizeOf(pa, abi);
  return records(id, khoVmallocChunk, "where the lists are", {
    count: chunks,
    bytes,
    pages: chunks,
    order: 0,
  });
}
