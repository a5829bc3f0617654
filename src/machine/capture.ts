import type { Image } from "../image/image.js";
import { addressOf, type Memory, type MemoryRange, pfnOf } from "../memory/index.js";
import type { Departure } from "./kexec.js";

/**
 * A departure as a capture of it would be opened: what is zero and not stored is known to be, so that terabytes of empty
 * memory cost nothing to whoever looks. Decode it with `handoff: departure.bootData`.
 */
export function captureOf({ memory, hardware }: Departure): Image {
  const { pageSize } = hardware.abi;
  const ranges = memory.ranges.flatMap(({ pa, size }): MemoryRange[] => {
    const pages = Number(size / BigInt(pageSize));
    return memory.contents(pfnOf(pa, pageSize), pages).map((piece) => ({
      pa: addressOf(piece.pfn, pageSize),
      size: BigInt(piece.pages) * BigInt(pageSize),
      ...(piece.kind === "zeros" && { zeros: true }),
    }));
  });
  const view: Memory = { read: memory.read, has: memory.has, ranges };
  return { kind: "raw", memory: view, arch: hardware.arch, pageSize, findings: [] };
}
