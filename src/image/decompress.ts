import { constants } from "node:buffer";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, gunzipSync } from "node:zlib";
import { fileOffset } from "../memory/address.js";
import { type ByteSource, bytesSource } from "../memory/source.js";
import { isKhoError, KhoError } from "../report/error.js";
import { chunkCollector } from "./chunks.js";
import { type Compression, refusal, sniff, sniffLength } from "./sniff.js";
import { zstdDecoder } from "./zstd.js";

/** Limits of decompression. */
export interface DecompressOptions {
  /** Bytes that the content may have; {@link defaultMaxDecompressed} unless given. */
  readonly maxDecompressed?: number;
}

/** Default of {@link DecompressOptions.maxDecompressed}: 512 MiB. */
export const defaultMaxDecompressed = 512 * 1024 * 1024;

/** Options of {@link decompressStream}. */
export interface DecompressStreamOptions extends DecompressOptions {
  /** Called now and then with the number of bytes read and of bytes that came out of them. */
  readonly onProgress?: (read: number, written: number) => void;
}

/** How much compressed data is handed on at once. */
const feedBytes = 1 << 20;

/**
 * Decompresses a whole source: gzip with all its members, whose checksums are compared, or zstd with all its frames,
 * whose sizes and checksums are compared where they have them. Zeros behind the last gzip member are padding.
 * @throws KhoError `decompression-limit` if the content is larger than `maxDecompressed`; `decompression-failed` if
 * the data is damaged, ends early or is followed by something else; `unsupported-container` if the content is
 * compressed once more; those of the source
 */
export function decompress(
  source: ByteSource,
  kind: Compression,
  options: DecompressOptions = {},
): ByteSource {
  const limit = options.maxDecompressed ?? defaultMaxDecompressed;
  const content = kind === "gzip" ? gunzip(source, limit) : unzstd(source, limit);
  return requireSingle(content);
}

/**
 * Decompresses a stream such as standard input, with the same limit and errors as {@link decompress}. The content stays
 * in pieces, so it may be larger than one buffer.
 * @param kind the compression; `auto` recognises it by the first bytes, and takes bytes that are not compressed as
 * they are, within the same limit
 * @throws KhoError as {@link decompress}; `io` if the stream fails; `unsupported-container` for xz
 */
export async function decompressStream(
  readable: AsyncIterable<Uint8Array>,
  kind: Compression | "auto",
  options: DecompressStreamOptions = {},
): Promise<ByteSource> {
  const limit = options.maxDecompressed ?? defaultMaxDecompressed;
  const collector = chunkCollector();
  let taken = 0;
  const counted = (async function* (): AsyncGenerator<Uint8Array> {
    for await (const bytes of guarded(readable)) {
      taken += bytes.length;
      yield bytes;
    }
  })();
  const add = (bytes: Uint8Array): void => {
    if (bytes.length > limit - collector.length) throw overLimit(limit);
    collector.add(bytes);
    options.onProgress?.(taken, collector.length);
  };
  const { first, rest } = await peek(counted, kind === "auto" ? sniffLength : 0);
  const found = kind === "auto" ? sniff(first) : kind;
  if (found === "xz") {
    await counted.return(undefined);
    throw refusal("xz");
  }
  if (found === "gzip") await gunzipStream(rest, add);
  else if (found === "zstd") {
    const decoder = zstdDecoder(limit, add, (reason) => overLimit(limit, reason));
    for await (const bytes of rest) decoder.push(bytes);
    decoder.end();
  } else {
    for await (const bytes of rest) add(bytes);
    return collector.source();
  }
  return requireSingle(collector.source());
}

function gunzip(source: ByteSource, limit: number): ByteSource {
  // Data that cannot be compressed grows by 5 bytes in 16 KiB, so a file longer than this holds more than the limit.
  const longest = limit + Math.ceil(limit / 1024) + 64 * 1024;
  if (source.size > Math.min(longest, constants.MAX_LENGTH)) throw overLimit(limit);
  const compressed = source.read(fileOffset(0), source.size);
  // One buffer holds the content, so what a buffer can hold is a limit too.
  const maxOutputLength = Math.max(1, Math.min(limit, constants.MAX_LENGTH));
  try {
    const { buffer, byteOffset, length } = gunzipSync(compressed, { maxOutputLength, chunkSize: 256 * 1024 });
    return bytesSource(new Uint8Array(buffer, byteOffset, length));
  } catch (cause) {
    if ((cause as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE") throw overLimit(maxOutputLength);
    throw gzipFailure(cause);
  }
}

async function gunzipStream(
  readable: AsyncIterable<Uint8Array>,
  add: (bytes: Uint8Array) => void,
): Promise<void> {
  // A pipeline that is torn down can end with an error of its own; the reason is what was thrown first.
  let reason: unknown;
  const content = createGunzip({ chunkSize: 256 * 1024 });
  try {
    await pipeline(Readable.from(readable), content, async (stream) => {
      for await (const bytes of stream)
        try {
          add(bytes as Uint8Array);
        } catch (error) {
          throw (reason = error);
        }
    });
  } catch (cause) {
    const error = reason ?? cause;
    throw isKhoError(error) ? error : gzipFailure(error);
  }
}

function unzstd(source: ByteSource, limit: number): ByteSource {
  const collector = chunkCollector();
  const decoder = zstdDecoder(limit, collector.add, (reason) => overLimit(limit, reason));
  for (let at = 0; at < source.size; ) {
    const bytes = source.read(fileOffset(at), feedBytes);
    if (bytes.length === 0) break;
    decoder.push(bytes);
    at += bytes.length;
  }
  decoder.end();
  return collector.source();
}

const gzipFailure = (cause: unknown): KhoError =>
  new KhoError(
    "decompression-failed",
    `the gzip data is damaged: ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  );

const overLimit = (limit: number, reason?: string): KhoError =>
  new KhoError(
    "decompression-limit",
    reason === undefined
      ? `the content is larger than the limit of ${limit} bytes: decompress the file first, or raise maxDecompressed`
      : `the compressed data ${reason}: decompress the file first`,
    { expected: `at most ${limit} bytes` },
  );

/** Refuses what is compressed twice: a file that unpacks forever is made of layers. */
function requireSingle(content: ByteSource): ByteSource {
  const kind = sniff(content.read(fileOffset(0), sniffLength));
  if (kind !== "gzip" && kind !== "zstd" && kind !== "xz") return content;
  throw new KhoError(
    "unsupported-container",
    `the file is compressed twice: undo one of the two, ${kind} is inside`,
    {
      actual: kind,
    },
  );
}

/** The stream with its own failures as errors of kind `io`, which tells them from those of the data. */
async function* guarded(readable: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* readable;
  } catch (cause) {
    throw isKhoError(cause) ? cause : new KhoError("io", "reading the stream failed", { cause });
  }
}

/** At least `count` bytes from the start, or all there are, and the whole stream, these bytes included. */
async function peek(
  readable: AsyncGenerator<Uint8Array>,
  count: number,
): Promise<{ first: Uint8Array; rest: AsyncIterable<Uint8Array> }> {
  const start: Uint8Array[] = [];
  const first: number[] = [];
  while (first.length < count) {
    const next = await readable.next();
    if (next.done) break;
    start.push(next.value);
    first.push(...next.value.subarray(0, count - first.length));
  }
  const rest = (async function* (): AsyncGenerator<Uint8Array> {
    yield* start;
    yield* readable;
  })();
  return { first: Uint8Array.from(first), rest };
}
