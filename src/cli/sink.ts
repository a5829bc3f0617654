import { isatty } from "node:tty";
import { type Destination, newFile } from "../image/write.js";
import { KhoError } from "../report/error.js";
import type { Output } from "./output.js";
import type { Run } from "./run.js";

/** Where a verb that writes a file is to write it, as it is parsed. */
export interface OutputOptions {
  readonly output?: string;
  readonly force?: boolean;
}

/** Bytes that a file may have beyond what memory stores: zeros, of which a capture can claim any amount. */
export const zerosRoom = 2 ** 32;

/**
 * The file to write, or `-` for standard output; the name is never made up.
 * @throws KhoError `usage` if there is none, or `what` would go to a terminal
 */
export function outputPath({ output, force }: OutputOptions, what: string): string {
  const usage = (message: string): KhoError => new KhoError("usage", message);
  if (output === undefined) throw usage("name the file to write with -o OUT, or -o - for standard output");
  if (output === "-" && isatty(1) && !force)
    throw usage(`${what} would garble the terminal: redirect it, or insist with --force`);
  return output;
}

/** Begins to write to what {@link outputPath} gave. @throws KhoError as {@link fileSink} */
export const openSink = ({ out }: Run, path: string, { force = false }: OutputOptions): Sink =>
  path === "-" ? outputSink(out) : fileSink(path, force);

/** Where the content of a file goes: pieces in ascending order, then `finish` or `abandon`. */
export interface Sink extends Destination {
  hole(offset: number, length: number): void;
}

const zeros = new Uint8Array(1 << 18);

/** To a pipe, where a hole is zeros. */
const outputSink = (out: Output): Sink => ({
  data: (_, bytes) => out.bytes(bytes),
  hole: (_, length) => {
    for (let rest = length; rest > 0; rest -= zeros.length)
      out.bytes(rest < zeros.length ? zeros.subarray(0, rest) : zeros);
  },
  finish: () => {},
  abandon: () => {},
});

/**
 * To a file, see {@link newFile}, where holes take no room. A signal removes what is there so far.
 * @throws KhoError `usage` if it exists and may not be replaced; `io`
 */
function fileSink(path: string, force: boolean): Sink {
  const target = newFile(path, force);
  const interrupted = (signal: NodeJS.Signals): void => {
    abandon();
    process.kill(process.pid, signal);
  };
  const forget = (): void => {
    for (const signal of signals) process.removeListener(signal, interrupted);
  };
  const abandon = (): void => {
    forget();
    target.abandon();
  };
  for (const signal of signals) process.once(signal, interrupted);
  return {
    data: target.data,
    hole: () => {},
    finish: (size) => {
      target.finish(size);
      forget();
    },
    abandon,
  };
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
