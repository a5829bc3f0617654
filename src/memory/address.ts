/**
 * Typed addresses. A physical address is any u64, so it is a `bigint`; a page frame number has at most 52 bits
 * and an offset in a file at most 53, so these are numbers and exact. The brands exist at compile time only.
 */
declare const brand: unique symbol;

/** Physical address in bytes, 0 to 2^64 - 1. */
export type PhysAddr = bigint & { readonly [brand]: "PhysAddr" };
/** Page frame number: physical address divided by the page size, 0 to 2^52 - 1. */
export type Pfn = number & { readonly [brand]: "Pfn" };
/** Offset in a file or other byte source, in bytes, 0 to 2^53 - 1. */
export type FileOffset = number & { readonly [brand]: "FileOffset" };

/** One beyond the highest physical address. */
export const endOfMemory = 1n << 64n;

/** Marks a u64 as a physical address; wraps at 2^64 like the hardware's registers do. */
export const physAddr = (value: bigint | number): PhysAddr => BigInt.asUintN(64, BigInt(value)) as PhysAddr;
/** Marks a number as a page frame number. Exact below 2^53. */
export const pfn = (value: number): Pfn => value as Pfn;
/** Marks a number as an offset in a file. Exact below 2^53. */
export const fileOffset = (value: number): FileOffset => value as FileOffset;

/** The frame that holds `pa`. `pageSize` is a power of two of at least 4096, so the result has at most 52 bits. */
export const pfnOf = (pa: PhysAddr, pageSize: number): Pfn => Number(pa / BigInt(pageSize)) as Pfn;
/** The first byte of a frame. Wraps at 2^64 as the kernel's shift does: a damaged PFN has bits that no address has. */
export const addressOf = (frame: number, pageSize: number): PhysAddr =>
  physAddr(BigInt(frame) * BigInt(pageSize));
