/**
 * What a layout's bytes depend on besides the layout itself. Neither is recorded in a handover, so both are
 * always given; nothing here has a default.
 */
export interface Abi {
  /** Byte order of the CPU that wrote the bytes, for every field without an order of its own. */
  readonly byteOrder: "little" | "big";
  /** Size of a base page in bytes: 4096, 16384 or 65536. */
  readonly pageSize: number;
}

/** The page sizes of the architectures that have KHO: x86-64 has the first, arm64 is built with one of the three. */
export const pageSizes = [4096, 16384, 65536] as const;

/** Base-2 logarithm of the page size: 12, 14 or 16. */
export const pageShift = (abi: Abi): number => 31 - Math.clz32(abi.pageSize);
