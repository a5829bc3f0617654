import { fdtAbi, fdtHeader, hasFdtMagic } from "../../formats/fdt/index.js";
import { decode, sizeOf } from "../layout/index.js";
import type { Memory, PhysAddr } from "../memory/index.js";

/** Largest blob that is read; the largest that kernels write is a page. */
export const maxBlob = 16 << 20;

/** Largest that all blobs of one handover may be together. */
export const maxBlobs = 64 << 20;

/** The header alone: with less than that nothing is a tree. */
export const headerSize = sizeOf(fdtHeader, fdtAbi);
const page = 4096;

/**
 * The bytes at `pa` that could be a tree: as many as its header says, where these are there and no more than
 * `most`, else the rest of a page, else the header alone.
 * @throws KhoError `memory-absent` if not even a header is there
 */
export function treeBytes(memory: Memory, pa: PhysAddr, most = maxBlob): Uint8Array {
  const head = memory.read(pa, headerSize);
  const wanted = hasFdtMagic(head) ? Math.min(decode(fdtHeader, head, 0, fdtAbi).totalsize, most) : page;
  const length = [Math.max(wanted, headerSize), page].find((candidate) => memory.has(pa, candidate));
  return length === undefined ? head : memory.read(pa, length);
}
