import { type MemoryRange, physAddr } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import type { Hardware } from "./firmware.js";
import type { Stretch } from "./kho/blocks.js";

/** `kho_scratch=`: sizes in bytes. */
export interface ScratchSizes {
  /** Below 4 GiB. */
  readonly lowmem: number;
  readonly global: number;
  /** On every node. */
  readonly perNode: number;
}

const MiB = 2 ** 20;
/** Room for kernel, initial RAM disk and early boot of the small kernels that the format was tried with. */
export const defaultScratch: ScratchSizes = { lowmem: 16 * MiB, global: 56 * MiB, perNode: 16 * MiB };

/** Up to here memory counts as low. */
const lowLimit = 2 ** 32;

/**
 * Places the areas of a cold boot from the top of memory down, aligned to the largest block of the page allocator, as
 * kernels demand: low memory, global, then one per node. `blockSize` is that block in bytes, `occupied` is what is taken
 * already, in bytes.
 * @throws KhoError `usage` if there is no room
 */
export function placeScratch(
  hardware: Hardware,
  sizes: ScratchSizes,
  blockSize: number,
  occupied: readonly Stretch[],
): MemoryRange[] {
  const taken: Stretch[] = [...occupied];
  const place = (wanted: number, name: string, node: number | undefined, limit: number): MemoryRange => {
    const size = Math.ceil(wanted / blockSize) * blockSize;
    for (const bank of [...hardware.banks].reverse()) {
      if (node !== undefined && bank.node !== node) continue;
      // Addresses of RAM are below 2^47, so they are exact as numbers.
      const [start, end] = [Number(bank.pa), Number(bank.pa + bank.size)];
      let at = Math.floor((Math.min(end, limit) - size) / blockSize) * blockSize;
      for (;;) {
        const clash = taken.find((other) => other.start < at + size && other.end > at);
        if (at < start || !clash) break;
        at = Math.floor((clash.start - size) / blockSize) * blockSize;
      }
      if (at < start || size === 0) continue;
      taken.push({ start: at, end: at + size });
      return { pa: physAddr(at), size: BigInt(size) };
    }
    if (size === 0) return { pa: physAddr(0), size: 0n };
    throw new KhoError("usage", `there is no room for ${size} bytes of ${name} scratch`, {
      expected: "more memory, or smaller scratch areas",
    });
  };
  const nodes = [...new Set(hardware.banks.map(({ node }) => node))];
  return [
    place(sizes.lowmem, "low", undefined, lowLimit),
    place(sizes.global, "global", undefined, Number.MAX_SAFE_INTEGER),
    ...nodes.map((node) => place(sizes.perNode, `node ${node}'s`, node, Number.MAX_SAFE_INTEGER)),
  ];
}
