import { type Memory, physAddr } from "../memory/index.js";
import { isKhoError } from "../report/error.js";

/** A stretch of the last read that was not there: offset in what was read, and length, in bytes. */
export interface Lost {
  readonly at: number;
  readonly length: number;
}

/** A memory, and what of its last read was made up of zeros. */
export interface Forgiving {
  readonly memory: Memory;
  readonly lost: () => readonly Lost[];
}

/** A memory whose reads never fail. */
export function forgivingMemory(memory: Memory, pageSize: number): Forgiving {
  let lost: Lost[] = [];
  return {
    lost: () => lost,
    memory: {
      ranges: memory.ranges,
      has: (pa, length) => memory.has(pa, length),
      read(pa, length) {
        lost = [];
        try {
          return memory.read(pa, length);
        } catch (error) {
          if (!isKhoError(error, "memory-absent")) throw error;
        }
        const bytes = new Uint8Array(length);
        for (let at = 0; at < length; at += pageSize) {
          const count = Math.min(pageSize, length - at);
          const page = physAddr(pa + BigInt(at));
          if (memory.has(page, count)) bytes.set(memory.read(page, count), at);
          else lost.push({ at, length: count });
        }
        return bytes;
      },
    },
  };
}
