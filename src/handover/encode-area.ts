import type { khoVmalloc } from "../../formats/kho/layout.js";
import { encodeVmalloc, type VmallocBlocks, vmallocChunks } from "../../formats/kho/vmalloc-encode.js";
import { chunkPath } from "../../formats/paths.js";
import type { ValueOf } from "../layout/index.js";
import { type PhysAddr, physAddr } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import type { Writing } from "./writing.js";

/** Writes the list of a vmalloc area that has room for `length` bytes, and has `content` written into its pages. */
export function encodeArea(
  { placement, target }: Writing,
  path: string,
  length: number,
  content: (blocks: VmallocBlocks) => void,
): ValueOf<typeof khoVmalloc> {
  if (length === 0) return { first: physAddr(0), total_pages: 0, flags: 0, order: 0 };
  const blocks = placement.area(path, length, target.abi);
  const count = vmallocChunks(blocks.pfns.length, target.abi);
  const chunks = pagesOf(placement, count, (index) => chunkPath(path, index));
  content(blocks);
  return encodeVmalloc(target, chunks, blocks.pfns, blocks.order);
}

/**
 * Pages of a list, by their paths.
 * @throws KhoError `value-range` if there is one more, which an encoder would not write
 */
export function pagesOf(
  placement: Writing["placement"],
  count: number,
  pathOf: (index: number) => string,
): PhysAddr[] {
  const pages = Array.from({ length: count }, (_, index) => placement.block(pathOf(index), 0));
  const path = pathOf(count);
  if (placement.keeps(path, false))
    throw new KhoError("value-range", `${path} is more than kernels write for what is in the list`, {
      path,
      expected: `${count} pages`,
      actual: "more",
    });
  return pages;
}
