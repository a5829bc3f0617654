import { fileOffset } from "../memory/address.js";
import { type ByteSource, bytesSource } from "../memory/source.js";
import { debugfsImage } from "./debugfs.js";
import { type DecompressOptions, decompress } from "./decompress.js";
import { fileSource, statOf } from "./file.js";
import type { DebugfsFiles, Image } from "./image.js";
import { openSource, type SourceOptions } from "./open.js";
import { sniff, sniffLength } from "./sniff.js";

/** How to open a capture. */
export interface OpenOptions extends SourceOptions, DecompressOptions {
  /** Which half of a debugfs folder to read; `in` if it has a tree, else `out`, unless given. */
  readonly side?: DebugfsFiles["side"];
}

/**
 * Opens a capture: the path of a file or of a copied debugfs folder, or bytes. gzip and zstd are undone, within
 * `maxDecompressed` bytes and also where `raw` is asked for; everything else is read through windows when it is needed.
 * An image of a file keeps the file open until its `close`. Of a file that is not compressed 32 windows of 256 KiB are kept, 8
 * MiB, beside those that are garbage until the engine collects them; a compressed one is unpacked into memory as a whole.
 * @throws KhoError `io`, `usage`, `unsupported-container`, `not-a-handover` for a folder that is none, and those of
 * the decompression and of the ELF header
 */
export function openImage(
  input: string | Uint8Array | ArrayBuffer | ByteSource,
  options: OpenOptions = {},
): Image {
  if (typeof input !== "string") {
    const source = sourceOf(input);
    return openSource(unwrapped(source, options), options);
  }
  if (statOf(input).isDirectory()) return debugfsImage(input, options);
  const file = fileSource(input);
  try {
    const content = unwrapped(file, options);
    const image = openSource(content, options);
    // What was decompressed or read as a whole needs the file no more.
    if (content === file && image.kind !== "fdt") return { ...image, close: file.close };
    file.close();
    return image;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Over the bytes of a Buffer a plain Uint8Array is laid: the `slice` of a Buffer does not copy. */
const sourceOf = (input: Uint8Array | ArrayBuffer | ByteSource): ByteSource => {
  if (input instanceof Uint8Array)
    return bytesSource(new Uint8Array(input.buffer, input.byteOffset, input.length));
  return input instanceof ArrayBuffer ? bytesSource(input) : input;
};

/** The content of a compressed source, else the source itself. */
function unwrapped(source: ByteSource, options: DecompressOptions): ByteSource {
  const kind = sniff(source.read(fileOffset(0), sniffLength));
  return kind === "gzip" || kind === "zstd" ? decompress(source, kind, options) : source;
}
