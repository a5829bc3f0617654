import type { PhysAddr } from "./address.js";

/** A piece of physical memory that a capture holds. */
export interface MemoryRange {
  /** Physical address of the first byte. */
  readonly pa: PhysAddr;
  /** Length in bytes; below 2^64. */
  readonly size: bigint;
}

/**
 * Physical memory as an address space of bytes: the one contract between files that hold memory and
 * everything that reads structures out of it.
 */
export interface Memory {
  /**
   * The bytes `[pa, pa + length)`: a view where one piece holds them all, else a copy. Do not write to it.
   * @throws KhoError `memory-absent`, with the first address that is missing (that of the read, if all is there up to
   * 2^64 and the read goes on). Never zeros for absent memory.
   */
  read(pa: PhysAddr, length: number): Uint8Array;
  /** True if every byte of `[pa, pa + length)` is there. */
  has(pa: PhysAddr, length: number): boolean;
  /** What is there: ascending, disjoint, adjacent pieces merged or not. */
  readonly ranges: readonly MemoryRange[];
}
