import { createReadStream, readFileSync } from "node:fs";
import { isatty } from "node:tty";
import type { Decoded, DecodeOptions } from "../handover/index.js";
import { decodeHandover, type Meta, parseMeta } from "../handover/index.js";
import { decompressStream } from "../image/decompress.js";
import { fileSource, ioError, statOf } from "../image/file.js";
import type { Image } from "../image/image.js";
import { type OpenOptions, openImage } from "../image/node.js";
import { sniff, sniffLength } from "../image/sniff.js";
import { type ByteSource, fileOffset } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import type { Progress } from "./progress.js";
import type { Run } from "./run.js";
import type { ColorChoice } from "./terminal.js";
import { humanBytes, plural, safeName } from "./text.js";

/** The options that every verb with a FILE has, as they are parsed. */
export interface InputOptions {
  readonly fdt?: bigint;
  readonly handoff?: bigint;
  readonly meta?: string;
  readonly release?: string;
  readonly pageSize?: number;
  readonly lenient?: boolean;
  readonly base?: bigint;
  readonly side?: "in" | "out";
  readonly maxDecompressed?: number;
  readonly color: ColorChoice;
}

/**
 * Opens FILE: a capture, a copied folder, or `-` for standard input. Compressed input is unpacked as a stream, so that
 * it can be larger than one buffer and shows how far it is.
 * @throws KhoError as `openImage` does; `usage` if standard input is a terminal
 */
export async function openInput(file: string, options: InputOptions, progress: Progress): Promise<Image> {
  const opening: OpenOptions = {
    ...(options.base !== undefined && { base: options.base }),
    ...(options.side && { side: options.side }),
    ...(options.maxDecompressed !== undefined && { maxDecompressed: options.maxDecompressed }),
  };
  const source = file === "-" ? await fromStdin(opening, progress) : await unpacked(file, opening, progress);
  progress.clear();
  return openImage(source ?? file, opening);
}

async function fromStdin(options: OpenOptions, progress: Progress): Promise<ByteSource> {
  if (isatty(0))
    throw new KhoError("usage", "standard input is a terminal: redirect a capture into it, or name a file");
  return decompressStream(process.stdin, "auto", {
    ...options,
    onProgress: (_, written) => progress.update("reading", written, 0),
  });
}

/** The content of a compressed file; nothing for everything else, which is read where it is. */
async function unpacked(
  file: string,
  options: OpenOptions,
  progress: Progress,
): Promise<ByteSource | undefined> {
  const stats = statOf(file);
  if (!stats.isFile()) return undefined;
  const source = fileSource(file);
  const kind = sniff(source.read(fileOffset(0), sniffLength));
  source.close();
  if (kind !== "gzip" && kind !== "zstd") return undefined;
  return decompressStream(createReadStream(file, { highWaterMark: 1 << 20 }), kind, {
    ...options,
    onProgress: (read) => progress.update("unpacking", read, stats.size),
  });
}

/** Reads the side file that `--meta` names. @throws KhoError `io`, `meta-malformed` */
export function readMeta(path: string): Meta {
  let text: string;
  try {
    text = readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (cause) {
    throw ioError("cannot read", path, cause);
  }
  return parseMeta(text);
}

/** Options of the library for those of the command line. `mode` overrides `--lenient`. */
export function decodeOptions(
  options: InputOptions,
  progress: Progress,
  mode?: DecodeOptions["mode"],
): DecodeOptions {
  return {
    mode: mode ?? (options.lenient ? "forensic" : "strict"),
    ...(options.release !== undefined && { release: options.release }),
    ...(options.pageSize !== undefined && { pageSize: options.pageSize }),
    ...(options.fdt !== undefined && { fdt: options.fdt }),
    ...(options.handoff !== undefined && { handoff: options.handoff }),
    ...(options.meta !== undefined && { meta: readMeta(options.meta) }),
    onProgress: progress.update,
  };
}

/** A decoded handover with the image that it is from. */
export interface Opened extends Decoded {
  readonly image: Image;
}

/** What a verb wants to do with an input. */
export interface Reading {
  readonly mode?: DecodeOptions["mode"];
  /** Told about the image before it is decoded, so that there is something to see at once. */
  readonly onOpen?: (image: Image) => void;
}

/** Opens FILE, decodes it and hands both to `use`; the file is closed whatever happens. */
export async function withHandover<T>(
  run: Run,
  file: string,
  options: InputOptions,
  use: (opened: Opened) => T | Promise<T>,
  { mode, onOpen }: Reading = {},
): Promise<T> {
  const decoding = decodeOptions(options, run.progress, mode);
  return withImage(run, file, options, async (image) => {
    onOpen?.(image);
    const decoded = decodeHandover(image, decoding);
    run.progress.clear();
    return use({ ...decoded, image });
  });
}

/** Opens FILE and hands it to `use`; it is closed whatever happens. */
export async function withImage<T>(
  run: Run,
  file: string,
  options: InputOptions,
  use: (image: Image) => T | Promise<T>,
): Promise<T> {
  const image = await openInput(file, options, run.progress);
  try {
    return await use(image);
  } finally {
    run.progress.clear();
    image.close?.();
  }
}

/** `ELF core of x86_64, 22.1 MiB of memory in 49 ranges`. */
export function describeImage(image: Image): string {
  if (image.kind === "fdt") return `a single tree of ${plural(image.blob?.length ?? 0, "byte")}`;
  if (image.kind === "debugfs")
    return `a copied kho folder, side ${image.debugfs?.side}, ${plural(image.debugfs?.blobs.size ?? 0, "subtree")}`;
  const { ranges } = image.memory;
  const bytes = ranges.reduce((sum, { size }) => sum + size, 0n);
  const from =
    image.kind === "raw" ? ` from ${hex(ranges[0]?.pa ?? 0n)} on` : ` in ${plural(ranges.length, "range")}`;
  const what = image.kind === "elf" ? `ELF core${image.arch ? ` of ${image.arch}` : ""}` : "raw memory";
  const ran = image.release === undefined ? "" : `, taken while Linux ${safeName(image.release)} ran`;
  return `${what}, ${humanBytes(bytes)}${image.kind === "elf" ? " of memory" : ""}${from}${ran}`;
}

/** The file's name as it is shown. */
export const inputName = (file: string): string => (file === "-" ? "standard input" : safeName(file));
