/** A capture becomes a machine again. */

import { kernelOf } from "../../../formats/kernels.js";
import type { HandoffRecord } from "../../../formats/kho/handoff.js";
import {
  encodeChosen,
  encodeHandoff,
  encodeScratch,
  scratchSize,
} from "../../../formats/kho/handoff-encode.js";
import { largestBuddyOrder } from "../../../formats/memfd/folio-checks.js";
import type { Decoded, Handover } from "../../handover/index.js";
import type { Image } from "../../image/image.js";
import type { Abi } from "../../layout/index.js";
import { type Hardware, stretchOf } from "../../machine/firmware.js";
import type { Departure } from "../../machine/index.js";
import { merged, type Stretch, stretchesOf, without } from "../../machine/kho/blocks.js";
import { defaultScratch, placeScratch } from "../../machine/scratch.js";
import { targetOf } from "../../machine/target.js";
import { addressOf, type MemoryRange, type PhysAddr, physAddr } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";
import { hex } from "../../report/hex.js";
import { capturedRam, touchedPages } from "./captured-ram.js";
import { newVacancies, type Vacancies } from "./vacant.js";

/** What a handover leaves in the memory of a machine, with the hand-off that leads to it. */
export interface LeftBehind extends Departure {
  readonly handoff: HandoffRecord;
  readonly bootData: PhysAddr;
}

/** A capture as the machine that it was taken of, at the first instruction of the next kernel. */
export interface CapturedDeparture {
  readonly departure: LeftBehind;
  /** What the capture does not tell and had to be assumed, as sentences. */
  readonly assumed: readonly string[];
  /** Pages that nothing is known to lie in, ascending. */
  readonly vacant: readonly Stretch[];
}

/** Pages of the smallest machine that an unknown one is taken for: 256 MiB of 4K pages. */
const fewestPages = 2 ** 16;
/** Pages of room behind the last one that is known. */
const roomPages = 2 ** 15;
/** The memory of arm64 boards begins at a multiple of this. */
const gibibyte = 2 ** 30;
/** x86 firmware and kernels keep the memory below for themselves. */
const lowMemory = 2 ** 20;

/**
 * Puts a capture back into a machine. `ram` is the machine's memory, where something tells it; else it is taken to be
 * about as small as what was found allows. Scratch areas and a hand-off that the capture lacks are made anew.
 * @throws KhoError `usage` for an image without memory, or a machine that has no room for a kernel
 */
export function departureOf(
  image: Image,
  { handover }: Pick<Decoded, "handover">,
  ram?: MemoryRange,
): CapturedDeparture {
  if (image.memory.ranges.length === 0)
    throw new KhoError("usage", "there is no memory in this file, only copies of single blobs", {
      expected: "a capture of the machine: an ELF core, or raw memory",
    });
  const { pageSize } = handover;
  const abi: Abi = { byteOrder: "little", pageSize };
  const preserved = handover.preserved ? stretchesOf(handover.preserved.runs) : [];
  const pagesOf = (areas: readonly MemoryRange[]): Stretch[] =>
    merged(areas.map((area) => stretchOf(area, abi)));
  const known = merged([...touchedPages(image.memory, abi), ...preserved, ...pagesOf(handover.scratch)]);
  const hardware = hardwareOf(handover, abi, known, ram);
  const memory = capturedRam(image.memory, hardware);
  const scratch = handover.scratch.length > 0 ? handover.scratch : newScratch(hardware, known);
  const low = hardware.arch === "x86_64" ? [{ start: 0, end: lowMemory / pageSize }] : [];
  const used = merged([...known, ...pagesOf(scratch), ...low]);
  const vacant = without(pagesOf(hardware.banks), used);
  const { handoff } = handover;
  const assumed = [
    ...(ram ? [] : [`that the machine's memory ends at ${hex(endOf(hardware))}`]),
    ...(handover.scratch.length > 0 ? [] : ["scratch areas: the capture lacks them"]),
    ...(handoff.recordPa === 0n && handoff.foundBy !== "chosen" ? ["a hand-off: the capture has none"] : []),
  ];
  const machine: Departure = { hardware, memory, release: handover.release };
  // The captured record is judged with all its faults, unless it leads to scratch areas that are not there.
  if (handoff.recordPa !== 0n && handover.scratch.length > 0)
    return { departure: { ...machine, handoff, bootData: handoff.recordPa }, assumed, vacant };
  const pages = newVacancies(vacant, pageSize);
  const array =
    handover.scratch.length > 0 && handoff.scratchPa !== 0n
      ? { scratchPa: handoff.scratchPa, scratchSize: handoff.scratchSize }
      : writeScratch(machine, scratch, pages);
  const fdtSize = handoff.fdtSize === 0n ? BigInt(pageSize) : handoff.fdtSize;
  const departure = withHandoff(machine, { ...handoff, ...array, fdtSize }, pages);
  const taken = [departure.bootData, array.scratchPa].map((pa) => ({ pa, size: BigInt(pageSize) }));
  return { departure, assumed, vacant: without(vacant, touchedPages({ ranges: taken }, abi)) };
}

/** Writes a hand-off as the boot protocol of the machine has it, and tells where it is. */
export function withHandoff(machine: Departure, record: HandoffRecord, vacant: Vacancies): LeftBehind {
  const { hardware, memory } = machine;
  const bootData = vacant(0);
  if (hardware.arch === "x86_64") {
    const handoff: HandoffRecord = { ...record, recordPa: bootData };
    encodeHandoff(writerOf(machine), handoff);
    return { ...machine, handoff, bootData };
  }
  const handoff: HandoffRecord = { ...record, recordPa: physAddr(0) };
  memory.write(bootData, encodeChosen(handoff));
  return { ...machine, handoff, bootData };
}

const writerOf = ({ hardware: { abi }, memory, release }: Departure) =>
  targetOf({ abi, kernel: kernelOf(release), ram: memory });

function writeScratch(
  machine: Departure,
  areas: readonly MemoryRange[],
  vacant: Vacancies,
): Pick<HandoffRecord, "scratchPa" | "scratchSize"> {
  const scratchPa = vacant(0);
  encodeScratch(writerOf(machine), scratchPa, areas);
  return { scratchPa, scratchSize: scratchSize(areas.length) };
}

function hardwareOf(
  { arch }: Handover,
  abi: Abi,
  known: readonly Stretch[],
  ram: MemoryRange | undefined,
): Hardware {
  const { pageSize } = abi;
  const machine = arch === "aarch64" || pageSize !== 4096 ? "aarch64" : "x86_64";
  if (ram) return { arch: machine, abi, banks: [{ ...ram, node: 0 }] };
  // Early boot takes what is left of the last of the largest blocks: nothing is known to be there.
  const unit = 2 ** largestBuddyOrder(abi);
  const first = known[0]?.start ?? 0;
  const start = machine === "x86_64" ? 0 : first - (first % (gibibyte / pageSize));
  const wanted = Math.max((known.at(-1)?.end ?? 0) + roomPages, start + fewestPages);
  const end = Math.ceil(wanted / unit) * unit;
  return {
    arch: machine,
    abi,
    banks: [{ pa: addressOf(start, pageSize), size: BigInt(end - start) * BigInt(pageSize), node: 0 }],
  };
}

const endOf = ({ banks }: Hardware): bigint => banks.at(-1)!.pa + banks.at(-1)!.size;

/** Scratch areas as a cold boot would place them where nothing is known to lie. */
function newScratch(hardware: Hardware, known: readonly Stretch[]): MemoryRange[] {
  const { pageSize } = hardware.abi;
  const blockSize = 2 ** largestBuddyOrder(hardware.abi) * pageSize;
  const bytes = known.map(({ start, end }) => ({ start: start * pageSize, end: end * pageSize }));
  return placeScratch(hardware, defaultScratch, blockSize, bytes);
}
