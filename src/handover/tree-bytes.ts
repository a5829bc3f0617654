import { fdtAbi, fdtHeader, hasFdtMagic } from "../../formats/fdt/index.js";
import { decode, sizeOf } from "../layout/index.js";
import type { Memory, PhysAddr } from "../memory/index.js";

/** Largest blob that is read; the largest that kernels write is a page. */
export const maxBlob = 16 << 20;

const headerSize = sizeOf(fdtHeader, fdtAbi);
const page = 4096;

/**
 * The bytes at `pa` that could be a tree: as many as its header says, where these are there, else the rest of a page,
 * else the header alone.
 * @throws KhoError `memory-absent` if not even a header is there
 */
export function treeBytes(memory: Memory, pa: PhysAddr): Uint8Array {
  const head = memory.read(pa, headerSize);
  const wanted = hasFdtMagic(head) ? Math.min(decode(fdtHeader, head, 0, fdtAbi).totalsize, maxBlob) : page;
  const length = [Math.max(wanted, headerSize), page].find((candidate) => memory.has(pa, candidate));
  return length === undefined ? head : memory.read(pa, length);
}
