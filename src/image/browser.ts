import { type ByteSource, bytesSource } from "../memory/source.js";
import { KhoError } from "../report/error.js";
import type { Image } from "./image.js";
import { openSource, type SourceOptions } from "./open.js";
import { windowedSource } from "./windows.js";

/**
 * Opens a capture that is at hand as bytes or as a byte source, {@link blobSource} among them.
 * @throws KhoError `unsupported-container` with advice, also for compressed input: a page decompresses it with
 * DecompressionStream first; those of {@link openSource}
 */
export function openImage(input: Uint8Array | ArrayBuffer | ByteSource, options: SourceOptions = {}): Image {
  const bytes = input instanceof Uint8Array || input instanceof ArrayBuffer;
  return openSource(bytes ? bytesSource(input) : input, options);
}

/** The part of FileReaderSync that is used; only the types for workers have the class. */
type BlobReader = new () => { readAsArrayBuffer(blob: Blob): ArrayBuffer };

/**
 * A byte source over a Blob or File, read through windows and never as a whole. Only workers can read synchronously.
 * @throws KhoError `usage` outside of a worker; its reads throw `io`
 */
export function blobSource(blob: Blob): ByteSource {
  const Reader = (globalThis as { FileReaderSync?: BlobReader }).FileReaderSync;
  if (!Reader)
    throw new KhoError("usage", "a Blob can be read synchronously in a worker only: open it there", {
      expected: "FileReaderSync",
    });
  const reader = new Reader();
  return windowedSource(blob.size, (at, length) => {
    try {
      return new Uint8Array(reader.readAsArrayBuffer(blob.slice(at, at + length)));
    } catch (cause) {
      throw new KhoError("io", `reading ${length} bytes at offset ${at} of the file failed`, { cause });
    }
  });
}
