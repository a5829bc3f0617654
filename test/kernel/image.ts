import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { type BootOptions, type HarnessMeta, harnessMeta, harnessRanges } from "../../src/compat/harness.js";
import { elfCore } from "../../src/image/elf-write.js";
import type { Departure } from "../../src/machine/kexec.js";
import type { MemoryRange } from "../../src/memory/index.js";
import type { Finding } from "../../src/report/finding.js";
import { decodeDeparture } from "../machine/arrival.js";

/** Files that tell a real kernel of a handover. */
export interface ImageFiles {
  /** An ELF core: preserved pages, the memory map, and what the boot protocol brings. */
  readonly image: string;
  readonly meta: string;
  readonly expected: string;
}

/** What is not in the memory. */
export interface ImageOptions extends BootOptions {
  readonly expected: object;
}

/** The same, made already. */
export interface SideFiles {
  readonly meta: HarnessMeta;
  readonly expected: object;
}

/** Writes what a kernel left into a folder; returns what the decoder finds wrong with it. */
export function writeImage(folder: string, departure: Departure, options: ImageOptions) {
  const decoded = decodeDeparture(departure);
  const { expected } = options;
  const side = { meta: harnessMeta(departure, options), expected };
  const files = writeFiles(folder, departure, harnessRanges(decoded), side);
  const findings: readonly Finding[] = decoded.findings;
  return { files, findings };
}

/** Writes these ranges of memory, and what else there is to know of a departure, into a folder. */
export function writeFiles(
  folder: string,
  departure: Departure,
  ranges: readonly MemoryRange[],
  side: SideFiles,
): ImageFiles {
  const files: ImageFiles = {
    image: `${folder}/image.elf`,
    meta: `${folder}/meta.json`,
    expected: `${folder}/expected.json`,
  };
  const { memory, hardware } = departure;
  const core = openSync(files.image, "w");
  for (const piece of elfCore(memory, { ranges, arch: hardware.arch, zeros: "store" }))
    writeSync(core, piece);
  closeSync(core);
  writeFileSync(files.meta, JSON.stringify(side.meta));
  writeFileSync(files.expected, JSON.stringify(side.expected));
  return files;
}
