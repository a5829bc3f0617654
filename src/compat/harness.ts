/** What a real kernel in an emulator is to be told of a handover, and what of it has to be in memory. */
import { endOf } from "../../formats/kho/runs.js";
import type { Decoded } from "../handover/index.js";
import { structureRanges } from "../handover/pack-ranges.js";
import { endOfRam } from "../machine/firmware.js";
import type { Departure } from "../machine/index.js";
import { addressOf, type MemoryRange } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";

/** The side file that says where the roots are, and how to boot. Numbers are text, `0x` and hexadecimal digits. */
export interface HarnessMeta {
  readonly fdtPhys: string;
  readonly fdtSize: string;
  readonly scratchPhys: string;
  readonly scratchSize: string;
  readonly setupDataPhys: string;
  readonly ramSize: string;
  readonly cmdlineExtra: string;
  readonly requireConsole: readonly string[];
}

export interface BootOptions {
  /** Bytes of the whole machine, firmware's part included. */
  readonly ramSize: number;
  /** More of the receiving kernel's command line. */
  readonly cmdline?: string;
  /** Regular expressions that its log must match. */
  readonly console?: readonly string[];
}

/**
 * What the image of a handover has to hold: preserved pages, the map itself, record and scratch array. Whatever else a
 * receiver looked at would be something else by then.
 */
export function harnessRanges(decoded: Decoded): MemoryRange[] {
  const { pageSize, preserved } = decoded.handover;
  const ranges: MemoryRange[] = structureRanges(decoded);
  const runs = preserved?.runs;
  for (let i = 0; runs && i < runs.length; i++) {
    const pages = endOf(runs, i) - runs.pfn[i]!;
    ranges.push({ pa: addressOf(runs.pfn[i]!, pageSize), size: BigInt(pages) * BigInt(pageSize) });
  }
  return ranges;
}

/** @throws KhoError `usage` if nothing was handed over, or the machine is smaller than that of the handover */
export function harnessMeta({ handoff, bootData, hardware }: Departure, options: BootOptions): HarnessMeta {
  if (!handoff || bootData === undefined) throw new KhoError("usage", "nothing was handed over");
  if (endOfRam(hardware) > options.ramSize)
    throw new KhoError("usage", "the emulated machine has less memory than the one that hands over");
  return {
    fdtPhys: hex(handoff.fdtPa),
    fdtSize: hex(handoff.fdtSize),
    scratchPhys: hex(handoff.scratchPa),
    scratchSize: hex(handoff.scratchSize),
    setupDataPhys: hex(bootData),
    ramSize: hex(options.ramSize),
    cmdlineExtra: options.cmdline ?? "",
    requireConsole: options.console ?? [],
  };
}
