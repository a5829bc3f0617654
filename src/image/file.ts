import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { escapeText } from "../layout/index.js";
import type { ByteSource } from "../memory/source.js";
import { KhoError } from "../report/error.js";
import { type WindowOptions, windowedSource } from "./windows.js";

/** A byte source over an open file. */
export interface FileSource extends ByteSource {
  /** Closes the file; may be called again. Reads that need the file throw `io` from then on. */
  close(): void;
}

/** One system call reads at most this much: the kernel and Node both count in 32 bits. */
const maxRead = 1 << 30;
/** Opening a FIFO would wait for a writer without it, should one take the file's place after it was looked at. */
export const openFlags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** The error of a failed system call on `path`, which is shown escaped. */
export const ioError = (what: string, path: string, cause: unknown): KhoError => {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
  const reason = code === undefined ? String(cause) : (reasons[code] ?? code);
  return new KhoError("io", `${what} ${escapeText(path)}: ${reason}`, {
    cause,
    ...(code !== undefined && { actual: code }),
  });
};

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  EACCES: "permission denied",
  EPERM: "not permitted",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is not a folder",
  ELOOP: "too many symbolic links",
  EMFILE: "too many open files",
};

/** Status of what `path` leads to, symbolic links followed. @throws KhoError `io` */
export function statOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (cause) {
    throw ioError("cannot open", path, cause);
  }
}

/**
 * Opens a regular file and reads it through windows, so that its size does not matter; sparse files are fine.
 * @throws KhoError `io`, also from its reads; `usage` for a pipe or device, which cannot be read at any offset
 */
export function fileSource(path: string, options: WindowOptions = {}): FileSource {
  // Looked at before it is opened, because opening a device can do something to it.
  requireRegular(path, statOf(path));
  let fd: number | undefined = attempt("cannot open", path, () => openSync(path, openFlags));
  const close = (): void => {
    if (fd === undefined) return;
    const open = fd;
    fd = undefined;
    attempt("cannot close", path, () => closeSync(open));
  };
  try {
    const stats = attempt("cannot open", path, () => fstatSync(fd!));
    requireRegular(path, stats);
    const source = windowedSource(stats.size, (at, length) => readFully(fd, path, at, length), options);
    return { ...source, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Up to `length` bytes at offset `at` in fresh memory; fewer only where the file ends. */
export function readFully(fd: number | undefined, path: string, at: number, length: number): Uint8Array {
  if (fd === undefined) throw new KhoError("io", `cannot read ${escapeText(path)}: it was closed`);
  return attempt(`cannot read ${length} bytes at offset ${at} of`, path, () => {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = readSync(fd, bytes, done, Math.min(length - done, maxRead), at + done);
      if (count === 0) return bytes.subarray(0, done);
      done += count;
    }
    return bytes;
  });
}

function requireRegular(path: string, stats: Stats): void {
  if (stats.isFile()) return;
  if (stats.isDirectory()) throw new KhoError("io", `cannot read ${escapeText(path)}: it is a folder`);
  throw new KhoError(
    "usage",
    `${escapeText(path)} is a pipe or device, which cannot be read at any offset: give it as standard input, with -`,
    { expected: "a regular file" },
  );
}

/** Runs a system call. @throws KhoError `io` */
export function attempt<T>(what: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw ioError(what, path, cause);
  }
}
