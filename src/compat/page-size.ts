import type { Departure, Ram } from "../machine/index.js";
import { newRam } from "../machine/ram.js";
import { addressOf, pfnOf, physAddr } from "../memory/index.js";

/** The same machine and the same bytes, for a kernel with pages of `pageSize` bytes. */
export function withPages(departure: Departure, pageSize: number): Departure {
  const { hardware, memory } = departure;
  if (hardware.abi.pageSize === pageSize) return departure;
  return {
    ...departure,
    hardware: { ...hardware, abi: { ...hardware.abi, pageSize } },
    memory: copied(memory, hardware.abi.pageSize, pageSize),
  };
}

function copied(memory: Ram, from: number, to: number): Ram {
  const copy = newRam({ ranges: memory.ranges, pageSize: to });
  const copyBytes = (start: bigint, end: bigint): void => {
    for (let at = start; at < end; at += BigInt(from)) {
      const pa = physAddr(at);
      copy.write(pa, memory.read(pa, Math.min(from, Number(end - at))));
    }
  };
  for (const { pa, size } of memory.ranges)
    for (const { pfn, pages, kind } of memory.contents(pfnOf(pa, from), Math.floor(Number(size) / from))) {
      // RAM reads as zeros, and whole pages of rubbish need no bytes either.
      if (kind === "zeros") continue;
      const [start, end] = [addressOf(pfn, from), addressOf(pfn + pages, from)];
      const [first, last] = [Math.ceil(Number(start) / to), Math.floor(Number(end) / to)];
      if (kind === "stored" || first >= last) {
        copyBytes(start, end);
        continue;
      }
      copyBytes(start, addressOf(first, to));
      copy.poison(first, last - first);
      copyBytes(addressOf(last, to), end);
    }
  return copy;
}
