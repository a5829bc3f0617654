import {
  closeSync,
  constants,
  ftruncateSync,
  lstatSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { escapeText } from "../layout/index.js";
import { KhoError } from "../report/error.js";
import { attempt } from "./file.js";

/** A file that is being made: bytes at ascending offsets, then `finish` or `abandon`. */
export interface Destination {
  /** @throws KhoError `io` */
  data(offset: number, bytes: Uint8Array): void;
  /** Everything was written; `size` is the length of the file in bytes. @throws KhoError `io` */
  finish(size: number): void;
  /** Leaves nothing behind, as far as that can be. May be called again, and after `finish` does nothing. */
  abandon(): void;
}

/**
 * Makes `path` by way of `path`.partial, so that a file of that name is complete. What is never written takes no room
 * and reads as zeros. Only the owner may read it: it is another machine's memory.
 * @throws KhoError `usage` if it exists and may not be replaced, which only regular files may; `io`
 */
export function newFile(path: string, force = false): Destination {
  const partial = `${path}.partial`;
  requireFree(path, force);
  requireFree(partial, force);
  if (force && exists(partial)) attempt("cannot remove", partial, () => unlinkSync(partial));
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  let fd: number | undefined = attempt("cannot create", partial, () => openSync(partial, flags, 0o600));
  let done = false;
  const close = (): void => {
    const open = fd;
    fd = undefined;
    if (open !== undefined) closeSync(open);
  };
  return {
    data: (offset, bytes) =>
      attempt("cannot write to", partial, () => {
        for (let written = 0; written < bytes.length; )
          written += writeSync(fd!, bytes, written, bytes.length - written, offset + written);
      }),
    finish: (size) => {
      attempt("cannot write to", partial, () => {
        ftruncateSync(fd!, size);
        close();
      });
      // Somebody else may have created it in the meantime.
      requireFree(path, force);
      attempt("cannot create", path, () => renameSync(partial, path));
      done = true;
    },
    abandon: () => {
      if (done) return;
      done = true;
      try {
        close();
      } finally {
        if (exists(partial)) unlinkSync(partial);
      }
    },
  };
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Nothing, or with `force` a regular file: a device or folder is never replaced. */
function requireFree(path: string, force: boolean): void {
  if (!exists(path)) return;
  if (!force) throw new KhoError("usage", `${escapeText(path)} exists: --force replaces it`);
  if (!lstatSync(path).isFile())
    throw new KhoError(
      "usage",
      `${escapeText(path)} is not a regular file and is not replaced: -o - writes to a pipe`,
    );
}

/** How pieces become a file. */
export interface WriteOptions {
  /** True to compress with gzip: the best level, no name, no time, so that the same pieces give the same bytes. */
  readonly gzip?: boolean;
  /** Told now and then how many bytes of the pieces are done. */
  readonly onProgress?: (done: number) => void;
}

/** Pieces between two looks at what else there is to do, such as a signal. */
const piecesPerTurn = 16;

/**
 * Writes pieces one behind the other and finishes the target, or abandons it where anything fails. Gives the length of
 * the file in bytes, which with gzip is not that of the pieces.
 * @throws KhoError those of the target and of the pieces
 */
export async function writePieces(
  target: Destination,
  pieces: Iterable<Uint8Array>,
  { gzip = false, onProgress }: WriteOptions = {},
): Promise<number> {
  let size = 0;
  const put = (bytes: Uint8Array): void => {
    target.data(size, bytes);
    size += bytes.length;
  };
  const counted = countedPieces(pieces, onProgress);
  try {
    if (gzip)
      await pipeline(
        Readable.from(counted, { objectMode: true }),
        createGzip({ level: 9 }),
        async (packed) => {
          for await (const bytes of packed) put(bytes);
        },
      );
    else {
      let count = 0;
      for (const piece of counted) {
        put(piece);
        if (++count % piecesPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }
    target.finish(size);
  } catch (error) {
    target.abandon();
    throw error;
  }
  return size;
}

function* countedPieces(
  pieces: Iterable<Uint8Array>,
  onProgress: WriteOptions["onProgress"],
): Generator<Uint8Array> {
  let done = 0;
  for (const piece of pieces) {
    if (piece.length > 0) yield piece;
    done += piece.length;
    onProgress?.(done);
  }
}

/** True for names of files that are to be compressed. */
export const isGzipName = (path: string): boolean => path.endsWith(".gz");

/**
 * Writes pieces, as of `elfCore`, to a file, compressed if its name ends in `.gz`. Gives its length in bytes.
 * @param force true to replace a regular file of that name
 * @throws KhoError `usage` if the file exists and may not be replaced; `io`; those of the pieces
 */
export const writeImage = (
  path: string,
  pieces: Iterable<Uint8Array>,
  { force = false, onProgress }: { readonly force?: boolean } & Pick<WriteOptions, "onProgress"> = {},
): Promise<number> =>
  writePieces(newFile(path, force), pieces, {
    gzip: isGzipName(path),
    ...(onProgress && { onProgress }),
  });
