import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { isatty } from "node:tty";
import { kernelOf } from "../../../formats/kernels.js";
import {
  type KernelImage,
  type KernelImageOptions,
  kernelImageOf,
  readKernelSource,
} from "../../compat/kernel-image.js";
import { chunkCollector } from "../../image/chunks.js";
import { attempt, fileSource, openFlags } from "../../image/file.js";
import { sniff, sniffLength } from "../../image/sniff.js";
import { type ByteSource, fileOffset } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";
import { inputName } from "../input.js";
import type { Run } from "../run.js";

/** A version and nothing else, which is never taken for a file. */
const plainVersion = /^\d+\.\d+(\.\d+)?$/;
/** What is meant to be one if there is no such file. */
const versionLike = /^\d+\.\d+[\w.+-]*$/;

/** Most bytes of a file that is read as a whole: what its name leads to may never end. */
const maxWhole = 512 << 20;

/**
 * A kernel as it is named on the command line: a release such as `7.3` or `6.17.8-300.fc43`, else a file: vmlinux, BTF, a
 * bzImage, each as it is or compressed; `-` is standard input. `./7.3` is a file of that name.
 * @throws KhoError `unknown-release`; `io`; `usage` if standard input is a terminal; those of `readKernelSource`
 */
export function kernelArgument(run: Run, text: string, options: KernelImageOptions = {}): KernelImage {
  if (plainVersion.test(text) || (versionLike.test(text) && !existsSync(text)))
    return kernelImageOf(kernelOf(text), text);
  run.progress.update("reading", 0, 0);
  try {
    return withSource(text, (source) => readKernelSource(source, options));
  } finally {
    run.progress.clear();
  }
}

/** What a kernel is called in output: its release, or its file. */
export const kernelLabel = (text: string): string => inputName(text);

function withSource<T>(path: string, use: (source: ByteSource) => T): T {
  if (path === "-") {
    if (isatty(0))
      throw new KhoError(
        "usage",
        "standard input is a terminal: redirect a kernel image into it, or name a file",
      );
    return use(wholeOf(0, "standard input"));
  }
  const file = fileSource(path);
  try {
    // With debug information vmlinux can be larger than a buffer, and little of it is looked at.
    if (sniff(file.read(fileOffset(0), sniffLength)) === "elf") return use(file);
  } finally {
    file.close();
  }
  const fd = attempt("cannot open", path, () => openSync(path, openFlags));
  try {
    return use(wholeOf(fd, path));
  } finally {
    closeSync(fd);
  }
}

/** Reads to the end whatever the size that the system names: files of sysfs can have any. */
function wholeOf(fd: number, path: string): ByteSource {
  const collector = chunkCollector();
  const piece = new Uint8Array(1 << 20);
  for (;;) {
    const count = attempt("cannot read", path, () => readSync(fd, piece, 0, piece.length, null));
    if (count === 0) return collector.source();
    if (collector.length + count > maxWhole)
      throw new KhoError("limit-exceeded", `${inputName(path)} has more than ${maxWhole} bytes`, {
        expected: `at most ${maxWhole} bytes`,
      });
    collector.add(piece.subarray(0, count));
  }
}
