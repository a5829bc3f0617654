import type { PhysAddr } from "./address.js";

/** A piece of physical memory that a capture holds. */
export interface MemoryRange {
  /** Physical address of the first byte. */
  readonly pa: PhysAddr;
  /** Length in bytes; below 2^64. */
  readonly size: bigint;
  /**
   * True for memory that the capture does not store because it is all zeros. It costs nothing to claim exabytes of it,
   * so that nothing may look at such a range byte by byte.
   */
  readonly zeros?: boolean;
}

/** Most bytes that one read may ask for: 1 GiB. Who needs more reads in pieces. */
export const maxRead = 2 ** 30;

/**
 * Physical memory as an address space of bytes: the one contract between files that hold memory and
 * everything that reads structures out of it.
 */
export interface Memory {
  /**
   * The bytes `[pa, pa + length)`: a view where one piece holds them all, else a copy. Do not write to it.
   * @throws KhoError `memory-absent`, with the first address that is missing (that of the read, if all is there up to
   * 2^64 and the read goes on). Never zeros for absent memory. `limit-exceeded` for more bytes at once than
   * {@link maxRead} where all of them are there.
   */
  read(pa: PhysAddr, length: number): Uint8Array;
  /** True if every byte of `[pa, pa + length)` is there. */
  has(pa: PhysAddr, length: number): boolean;
  /** What is there: ascending, disjoint, adjacent pieces merged or not. */
  readonly ranges: readonly MemoryRange[];
}

/** Bytes that a memory stores: without zeros that are only known to be there. Below 2^53, as files are. */
export const storedBytes = ({ ranges }: Pick<Memory, "ranges">): number =>
  ranges.reduce((sum, { size, zeros }) => sum + (zeros ? 0 : Number(size)), 0);
