import type { Departure } from "../machine/index.js";
import { poisonByte } from "../machine/ram.js";
import { type MemoryRange, physAddr } from "../memory/index.js";
import { rangesIn } from "../memory/ranges.js";

/** What memory that nobody wrote may hold, byte for byte: both extremes, and what free memory is poisoned with. */
export const fills: readonly number[] = [0x00, 0xff, poisonByte];

/** Bytes that are filled at most. */
const most = 64n << 20n;

/** Fills ranges as far as they are RAM. */
export function filled({ memory }: Departure, ranges: readonly MemoryRange[], byte: number): void {
  let left = most;
  for (const { pa, size } of rangesIn(ranges, memory.ranges)) {
    const length = size < left ? size : left;
    if (length === 0n) return;
    left -= length;
    memory.write(physAddr(pa), new Uint8Array(Number(length)).fill(byte));
  }
}
