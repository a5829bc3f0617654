import type { PhysAddr } from "./address.js";
import type { Memory } from "./memory.js";
import { firstNot } from "./search.js";

/** Memory from an address on: zeros that are not stored, or what is up to the next of these. */
export interface ZeroStretch {
  readonly zeros: boolean;
  /** First address behind it, up to 2^64; absent where no such zeros follow any more. */
  readonly until?: bigint;
}

/** Tells what follows an address: of memory that a capture claims without storing it there can be any amount. */
export function zeroStretches({ ranges }: Pick<Memory, "ranges">): (pa: bigint) => ZeroStretch {
  const zeros: { start: PhysAddr; end: bigint }[] = [];
  for (const { pa, size, zeros: unstored } of ranges) {
    const last = zeros.at(-1);
    if (!unstored) continue;
    if (last?.end === pa) last.end += size;
    else zeros.push({ start: pa, end: pa + size });
  }
  return (pa) => {
    const found = zeros[firstNot(0, zeros.length, (i) => zeros[i]!.end <= pa)];
    if (!found) return { zeros: false };
    const inside = found.start <= pa;
    return { zeros: inside, until: inside ? found.end : found.start };
  };
}
