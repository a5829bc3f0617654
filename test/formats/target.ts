/** A target for encoders under test: what they write, as memory, and what they leave, as text. */

import { kernelOf } from "../../formats/kernels.js";
import type { Target } from "../../formats/target.js";
import { type PhysAddr, physAddr, type SparseMemory, sparseMemory } from "../../src/memory/index.js";
import { hex } from "../../src/report/hex.js";

export interface TestTarget extends Target {
  readonly memory: SparseMemory;
  /** `page-tail 0x1020 4064`, in the order left. */
  readonly left: string[];
  /** Bytes from an address given as a number. */
  at(pa: number, length: number): Uint8Array;
}

export function targetOf(release = "7.3", pageSize = 4096): TestTarget {
  const memory = sparseMemory();
  const left: string[] = [];
  return {
    abi: { byteOrder: "little", pageSize },
    kernel: kernelOf(release),
    write: (pa, bytes) => memory.write(pa, bytes),
    leave: (what, pa, length) => void left.push(`${what} ${hex(pa)} ${length}`),
    memory,
    left,
    at: (pa, length) => memory.read(physAddr(pa), length),
  };
}

export const pas = (...list: number[]): PhysAddr[] => list.map((pa) => physAddr(pa));
