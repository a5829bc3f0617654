import type { Abi } from "../src/layout/index.js";
import type { PhysAddr } from "../src/memory/index.js";
import type { Kernel } from "./kernels.js";
import type { Undefined } from "./undefined.js";

/**
 * Where encoders write, and for whom. An encoder accounts for every byte of the pages that it fills: what the kernel
 * defines is written, what it leaves as it was is left, by name.
 */
export interface Target {
  readonly abi: Abi;
  /** The release whose formats are written. */
  readonly kernel: Kernel;
  /** Writes defined bytes at a physical address. */
  write(pa: PhysAddr, bytes: Uint8Array): void;
  /** Says that `length` bytes at `pa` belong to the structure, but mean nothing to anybody. */
  leave(what: Undefined, pa: PhysAddr, length: number): void;
}
