import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { endOf } from "../../formats/kho/runs.js";
import { structureRanges } from "../../src/handover/pack-ranges.js";
import { elfCore } from "../../src/image/elf-write.js";
import { endOfRam } from "../../src/machine/firmware.js";
import type { Departure } from "../../src/machine/kexec.js";
import { addressOf, type MemoryRange } from "../../src/memory/index.js";
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
export interface ImageOptions {
  readonly expected: object;
  /** Bytes of the whole machine, firmware's part included. */
  readonly ramSize: number;
  /** More of the receiving kernel's command line. */
  readonly cmdline?: string;
  /** Regular expressions that its log must match. */
  readonly console: readonly string[];
}

/**
 * Writes what a kernel left into a folder; returns what the decoder finds wrong with it. Nothing but preserved pages, the
 * map itself, record and scratch array are in the image: whatever else a receiver looked at would be something else.
 */
export function writeImage(folder: string, departure: Departure, options: ImageOptions) {
  const { memory, handoff, bootData, hardware } = departure;
  if (!handoff || bootData === undefined) throw new Error("nothing was handed over");
  const { pageSize } = hardware.abi;
  const decoded = decodeDeparture(departure);
  const ranges: MemoryRange[] = structureRanges(decoded);
  const { runs } = decoded.handover.preserved!;
  for (let i = 0; i < runs.length; i++) {
    const pages = endOf(runs, i) - runs.pfn[i]!;
    ranges.push({ pa: addressOf(runs.pfn[i]!, pageSize), size: BigInt(pages) * BigInt(pageSize) });
  }
  const files: ImageFiles = {
    image: `${folder}/image.elf`,
    meta: `${folder}/meta.json`,
    expected: `${folder}/expected.json`,
  };
  const core = openSync(files.image, "w");
  for (const piece of elfCore(memory, { ranges, arch: hardware.arch, zeros: "store" }))
    writeSync(core, piece);
  closeSync(core);
  if (endOfRam(hardware) > options.ramSize) throw new Error("the emulated machine has less memory");
  const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
  const meta = {
    fdtPhys: hex(handoff.fdtPa),
    fdtSize: hex(handoff.fdtSize),
    scratchPhys: hex(handoff.scratchPa),
    scratchSize: hex(handoff.scratchSize),
    setupDataPhys: hex(bootData),
    ramSize: hex(options.ramSize),
    cmdlineExtra: options.cmdline ?? "",
    requireConsole: options.console,
  };
  writeFileSync(files.meta, JSON.stringify(meta));
  writeFileSync(files.expected, JSON.stringify(options.expected));
  const findings: readonly Finding[] = decoded.findings;
  return { files, findings };
}
