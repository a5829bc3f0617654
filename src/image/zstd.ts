import { Decompress } from "fzstd";
import { KhoError } from "../report/error.js";
import { type Xxhash64, xxhash64 } from "./xxhash64.js";
import { type SequenceChecker, sequenceChecker } from "./zstd-sequences.js";

/**
 * Frames of zstd data, RFC 8878. Blocks are decompressed by fzstd, whose stream class keeps a window and gives out a
 * block at a time. What it leaves to its caller is done here: it allocates whatever window a header names, reads
 * content sizes of 2^31 and more wrongly, follows lengths beyond the block, and compares neither content size nor checksum. So frames and blocks are
 * found here, and it is given one frame at a time with a header of our own that names a window that was checked.
 */
export interface ZstdDecoder {
  /** Takes compressed bytes, in pieces of any length. @throws KhoError `decompression-failed`, `decompression-limit` */
  push(bytes: Uint8Array): void;
  /** Says that nothing follows. @throws KhoError `decompression-failed` if a frame is incomplete */
  end(): void;
}

/** The largest window that is allocated: what the `zstd` program takes without being told to. */
export const maxZstdWindow = 128 * 1024 * 1024;
/** The format's bound on what one block expands to, in bytes. */
const maxBlock = 128 * 1024;
const minWindow = 1024;
const frameMagic = 0xfd2fb528;
/** Frames without content have magic numbers 0x184d2a50 to 0x184d2a5f. */
const isSkippable = (magic: number): boolean => magic >>> 4 === 0x184d2a5;
const frameHeaderMax = 18;

/** A frame that is being read. */
interface Frame {
  readonly stream: Decompress;
  readonly sequences: SequenceChecker;
  readonly window: number;
  readonly blockMax: number;
  readonly contentSize: number | undefined;
  readonly checksum: Xxhash64 | undefined;
  size: number;
}

const failed = (reason: string, cause?: unknown): KhoError =>
  new KhoError("decompression-failed", `the zstd data is damaged: ${reason}`, { cause });

/**
 * A decoder that calls `sink` with each block's bytes, which must be copied or kept but not written.
 * @param maxSize how many bytes it may give out; it throws what `overLimit` returns before it would give out more
 */
export function zstdDecoder(
  maxSize: number,
  sink: (bytes: Uint8Array) => void,
  overLimit: (reason?: string) => KhoError,
): ZstdDecoder {
  let frame: Frame | undefined;
  /** What arrived and is not yet read: `pending` from `at` on. */
  let pending = new Uint8Array(0);
  let at = 0;
  let skip = 0;
  let given = 0;
  let moved = 0;
  /**
   * fzstd moves its whole window for every block, however small: a frame of empty blocks would keep it busy forever.
   * Full blocks in windows of up to 16 MiB, more than `zstd -19` uses, always stay below this.
   */
  const maxMoved = 128 * Math.max(maxSize, 64 * 1024 * 1024);

  const available = (): number => pending.length - at;
  const u32 = (offset: number): number =>
    (pending[offset]! |
      (pending[offset + 1]! << 8) |
      (pending[offset + 2]! << 16) |
      (pending[offset + 3]! << 24)) >>>
    0;

  /** Reads what comes between frames. False if more bytes are needed. */
  const start = (final: boolean): boolean => {
    if (available() < 8 && !(final && available() >= 4)) return false;
    const magic = u32(at);
    if (isSkippable(magic)) {
      if (available() < 8) return false;
      skip = u32(at + 4);
      at += 8;
      return true;
    }
    if (magic !== frameMagic) throw failed("bytes that are no frame follow one");
    const header = frameHeader(pending.subarray(at, at + frameHeaderMax));
    if (!header) return false;
    at += header.length;
    if (header.dictionary) throw failed("it was compressed with a dictionary, which is not at hand");
    if (header.contentSize !== undefined && header.contentSize > maxSize - given) throw overLimit();
    const { window } = header;
    if (window > maxZstdWindow)
      throw overLimit(`needs a window of ${window} bytes, and at most ${maxZstdWindow} are used`);
    const descriptor = windowDescriptor(window);
    const stream = new Decompress((block) => emit(block));
    stream.push(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, descriptor.byte));
    frame = {
      stream,
      sequences: sequenceChecker(),
      window: descriptor.size,
      blockMax: Math.min(Math.max(window, minWindow), maxBlock),
      contentSize: header.contentSize,
      checksum: header.checksum ? xxhash64() : undefined,
      size: 0,
    };
    return true;
  };

  const emit = (block: Uint8Array): void => {
    const { contentSize, checksum } = frame!;
    frame!.size += block.length;
    if (contentSize !== undefined && frame!.size > contentSize)
      throw failed("a frame is longer than it says");
    if (block.length > maxSize - given) throw overLimit();
    given += block.length;
    checksum?.update(block);
    sink(block);
  };

  /** Reads one block, and behind the last one the checksum. False if more bytes are needed. */
  const block = ({ stream, sequences, checksum, window, blockMax, contentSize }: Frame): boolean => {
    if (available() < 3) return false;
    const header = u32(at) & 0xffffff;
    const last = (header & 1) === 1;
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === 3) throw failed("a block has a reserved type");
    if (size > blockMax) throw failed("a block is too large");
    const length = 3 + (type === 1 ? 1 : size);
    const trailer = last && checksum ? 4 : 0;
    if (available() < length + trailer) return false;
    moved += window;
    if (moved > maxMoved)
      throw overLimit("is of many small blocks or needs a large window, which takes too long");
    const bytes = pending.subarray(at, at + length);
    const wrong = type === 2 ? sequences.check(bytes.subarray(3), blockMax) : undefined;
    if (wrong !== undefined) throw failed(`a block cannot be right: ${wrong}`);
    at += length;
    try {
      stream.push(bytes, last);
    } catch (cause) {
      throw cause instanceof KhoError ? cause : failed("a block cannot be decompressed", cause);
    }
    if (!last) return true;
    if (checksum && checksum.low32() !== u32(at)) throw failed("the checksum is wrong");
    at += trailer;
    if (contentSize !== undefined && frame!.size !== contentSize)
      throw failed("a frame is shorter than it says");
    frame = undefined;
    return true;
  };

  const run = (final: boolean): void => {
    for (;;) {
      const skipped = Math.min(skip, available());
      skip -= skipped;
      at += skipped;
      if (available() === 0 || !(frame ? block(frame) : start(final))) return;
    }
  };

  return {
    push: (bytes) => {
      if (available() === 0) pending = new Uint8Array(bytes);
      else {
        const joined = new Uint8Array(available() + bytes.length);
        joined.set(pending.subarray(at));
        joined.set(bytes, available());
        pending = joined;
      }
      at = 0;
      run(false);
    },
    end: () => {
      run(true);
      if (frame || skip > 0 || available() > 0) throw failed("it ends in the middle");
    },
  };
}

/** A frame header, or nothing if `bytes` end within it. */
function frameHeader(bytes: Uint8Array):
  | {
      length: number;
      window: number;
      contentSize: number | undefined;
      checksum: boolean;
      dictionary: boolean;
    }
  | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 4;
  if (bytes.length <= at) return undefined;
  const descriptor = bytes[at++]!;
  if (descriptor & 8) throw failed("a frame header has a reserved bit set");
  const single = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const length = at + (single ? 0 : 1) + dictionaryBytes + sizeBytes;
  if (bytes.length < length) return undefined;
  let window = 0;
  if (!single) {
    const byte = bytes[at++]!;
    window = 2 ** (10 + (byte >> 3)) * (1 + (byte & 7) / 8);
  }
  const dictionary = bytes.subarray(at, at + dictionaryBytes).some((byte) => byte !== 0);
  at += dictionaryBytes;
  let contentSize: number | undefined;
  if (sizeBytes === 1) contentSize = bytes[at]!;
  else if (sizeBytes === 2) contentSize = view.getUint16(at, true) + 256;
  else if (sizeBytes === 4) contentSize = view.getUint32(at, true);
  else if (sizeBytes === 8) contentSize = Number(view.getBigUint64(at, true));
  // Nothing refers back beyond the frame's start, so a window larger than the content is never filled.
  if (single || (contentSize !== undefined && contentSize < window)) window = contentSize!;
  return { length, window, contentSize, checksum: (descriptor & 4) !== 0, dictionary };
}

/** The smallest window that the format can name and that has at least `size` bytes. */
function windowDescriptor(size: number): { byte: number; size: number } {
  for (let byte = 0; ; byte++) {
    const named = 2 ** (10 + (byte >> 3)) * (1 + (byte & 7) / 8);
    if (named >= size) return { byte, size: named };
  }
}
