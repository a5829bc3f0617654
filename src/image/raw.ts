import { endOfMemory, physAddr } from "../memory/address.js";
import { segmentedMemory } from "../memory/segments.js";
import type { ByteSource } from "../memory/source.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import type { Image } from "./image.js";

/**
 * Physical memory as it is, without a header: the byte at offset 0 was at the physical address `base`.
 * Holes of a sparse file read as zeros, because the file does not say that they were never written.
 * @param base physical address in bytes, any alignment
 * @throws KhoError `usage` if the address is not a u64 or the file would go beyond 2^64
 */
export function rawImage(source: ByteSource, base = 0n): Image {
  if (base < 0n || base + BigInt(source.size) > endOfMemory)
    throw new KhoError("usage", `${source.size} bytes do not fit into physical memory at ${hex(base)}`, {
      expected: "a base address of at least 0, and the last byte below 2^64",
      actual: hex(base),
    });
  const segment = { pa: physAddr(base), size: BigInt(source.size), source, at: 0 };
  return { kind: "raw", memory: segmentedMemory([segment]).memory, findings: [] };
}
