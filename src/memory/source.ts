import type { FileOffset } from "./address.js";

/**
 * Bytes by offset: an ArrayBuffer, a file read through windows, a browser Blob in a worker. Synchronous, so that
 * one code path serves the command, the library and the page.
 */
export interface ByteSource {
  /** Length in bytes, below 2^53. */
  readonly size: number;
  /**
   * The bytes `[at, at + length)`; shorter only where the source ends. The result may be a view that later
   * reads do not change. Do not write to it.
   * @throws KhoError `io`
   */
  read(at: FileOffset, length: number): Uint8Array;
}

/** A byte source over bytes that are already in memory; reads are views, nothing is copied. */
export function bytesSource(bytes: Uint8Array | ArrayBuffer): ByteSource {
  const all = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  return {
    size: all.length,
    read: (at, length) => all.subarray(at, Math.min(at + length, all.length)),
  };
}
