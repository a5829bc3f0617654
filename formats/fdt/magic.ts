import { FDT_MAGIC } from "./layout.js";

/** True if the bytes begin like a flattened device tree: d0 0d fe ed. */
export const hasFdtMagic = (bytes: Uint8Array): boolean =>
  bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(0) === FDT_MAGIC;
