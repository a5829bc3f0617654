import { writeSync } from "node:fs";
import { ioError } from "../image/file.js";
import { isKhoError } from "../report/error.js";

/** Where text and bytes go. Everything is written before `flush` returns, so that the process may end then. */
export interface Output {
  line(text?: string): void;
  text(text: string): void;
  bytes(bytes: Uint8Array): void;
  flush(): void;
}

/** Characters that are gathered before they are written. */
const chunk = 1 << 16;

/**
 * Writes to a file descriptor, synchronously: a pipe that is full makes it wait, so nothing is held in memory and
 * nothing is lost at exit.
 * @throws KhoError `io`; {@link isClosedPipe} tells a reader that went away
 */
export function newOutput(fd: number, name: string): Output {
  let pending: string[] = [];
  let length = 0;
  const flush = (): void => {
    if (length === 0) return;
    const text = pending.join("");
    pending = [];
    length = 0;
    writeAll(fd, name, Buffer.from(text));
  };
  const text = (piece: string): void => {
    pending.push(piece);
    length += piece.length;
    if (length >= chunk) flush();
  };
  return {
    text,
    line: (piece = "") => text(`${piece}\n`),
    bytes: (bytes) => {
      flush();
      writeAll(fd, name, bytes);
    },
    flush,
  };
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

function writeAll(fd: number, name: string, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; )
    try {
      done += writeSync(fd, bytes, done, Math.min(bytes.length - done, 1 << 20));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EAGAIN") throw ioError("cannot write to", name, cause);
      // Another process made the pipe non-blocking, and it is full: wait until its reader has caught up.
      Atomics.wait(sleeper, 0, 0, 5);
    }
}

/** True for the error of writing to a pipe whose reader is gone: the reader has seen enough, and nothing is wrong. */
export const isClosedPipe = (error: unknown): boolean => isKhoError(error, "io") && error.actual === "EPIPE";
