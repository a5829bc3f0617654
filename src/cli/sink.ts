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
import { attempt } from "../image/file.js";
import { KhoError } from "../report/error.js";
import type { Output } from "./output.js";
import { safeName } from "./text.js";

/** Where the content of a file goes: pieces in ascending order, then `finish` or `abandon`. */
export interface Sink {
  data(offset: number, bytes: Uint8Array): void;
  hole(offset: number, length: number): void;
  /** Everything was written; `size` is the length of the file in bytes. */
  finish(size: number): void;
  /** Leaves nothing behind, as far as that can be. */
  abandon(): void;
}

const zeros = new Uint8Array(1 << 18);

/** To a pipe, where a hole is zeros. */
export const outputSink = (out: Output): Sink => ({
  data: (_, bytes) => out.bytes(bytes),
  hole: (_, length) => {
    for (let rest = length; rest > 0; rest -= zeros.length)
      out.bytes(rest < zeros.length ? zeros.subarray(0, rest) : zeros);
  },
  finish: () => {},
  abandon: () => {},
});

/**
 * To `path`, by way of `path`.partial, so that a file of that name is complete. Holes take no room. Only the owner may
 * read it: it is another machine's memory. A signal removes what is there so far.
 * @throws KhoError `usage` if it exists and may not be replaced; `io`
 */
export function fileSink(path: string, force: boolean): Sink {
  const partial = `${path}.partial`;
  requireFree(path, force);
  requireFree(partial, force);
  if (force && exists(partial)) attempt("cannot remove", partial, () => unlinkSync(partial));
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  let fd: number | undefined = attempt("cannot create", partial, () => openSync(partial, flags, 0o600));
  const close = (): void => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  const abandon = (): void => {
    forget();
    try {
      close();
    } finally {
      if (exists(partial)) unlinkSync(partial);
    }
  };
  const interrupted = (signal: NodeJS.Signals): void => {
    abandon();
    process.kill(process.pid, signal);
  };
  const forget = (): void => {
    for (const signal of signals) process.removeListener(signal, interrupted);
  };
  for (const signal of signals) process.once(signal, interrupted);
  return {
    data: (offset, bytes) =>
      attempt("cannot write to", partial, () => {
        for (let done = 0; done < bytes.length; )
          done += writeSync(fd!, bytes, done, bytes.length - done, offset + done);
      }),
    hole: () => {},
    finish: (size) => {
      attempt("cannot write to", partial, () => {
        ftruncateSync(fd!, size);
        close();
      });
      // Somebody else may have created it in the meantime.
      requireFree(path, force);
      attempt("cannot create", path, () => renameSync(partial, path));
      forget();
    },
    abandon,
  };
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

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
  if (!force) throw new KhoError("usage", `${safeName(path)} exists: --force replaces it`);
  if (!lstatSync(path).isFile())
    throw new KhoError(
      "usage",
      `${safeName(path)} is not a regular file and is not replaced: -o - writes to a pipe`,
    );
}
