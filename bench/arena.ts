import { newClaims } from "../formats/claims.js";
import { type Context, defaultLimits } from "../formats/context.js";
import { kernelOf } from "../formats/kernels.js";
import type { Target } from "../formats/target.js";
import type { Abi } from "../src/layout/index.js";
import { bytesSource, type PhysAddr, physAddr, segmentedMemory } from "../src/memory/index.js";
import { KhoError } from "../src/report/error.js";

export const abi: Abi = { byteOrder: "little", pageSize: 4096 };

/** Physical memory in one piece: encoders write into it, decoders read it, and a C program gets it as a file. */
export interface Arena {
  /** Physical address of the first byte. */
  readonly base: PhysAddr;
  readonly bytes: Uint8Array;
  readonly target: Target;
  /** Room for `pages` pages that nobody has yet. */
  place(pages?: number): PhysAddr;
  /** Forgets who has what; the bytes stay. */
  reset(): void;
  /** What was placed since. */
  used(): Uint8Array;
  /** A context for one run of a decoder: it remembers which pages were claimed. A finding is an error. */
  newContext(): Context;
}

export function newArena(pages: number, release: string): Arena {
  const base = physAddr(0x1_0000_0000);
  const start = Number(base);
  const bytes = new Uint8Array(pages * abi.pageSize);
  const kernel = kernelOf(release);
  const whole = { pa: base, size: BigInt(bytes.length), source: bytesSource(bytes), at: 0 };
  const { memory } = segmentedMemory([whole]);
  let used = 0;
  return {
    base,
    bytes,
    target: {
      abi,
      kernel,
      write: (pa, written) => bytes.set(written, Number(pa) - start),
      leave: () => {},
    },
    place(count = 1) {
      const pa = physAddr(base + BigInt(used));
      used += count * abi.pageSize;
      if (used > bytes.length) throw new Error("the arena is too small");
      return pa;
    },
    reset: () => {
      used = 0;
    },
    used: () => bytes.subarray(0, used),
    newContext: () => ({
      memory,
      abi,
      kernel,
      limits: defaultLimits,
      claims: newClaims(abi.pageSize),
      report: (_severity, code, message) => {
        throw new KhoError(code, message);
      },
    }),
  };
}

/** A sum of one 32-bit word of 16 of some memory: what the C programs call a checksum of pages. */
export function sampleOf(bytes: Uint8Array): number {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  let sum = 0;
  for (let at = 0; at < words.length; at += 16) sum += words[at]!;
  return sum % 2 ** 32;
}
