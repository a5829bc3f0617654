/** The jump: what an old kernel leaves in memory, and where the boot protocol says it is. */
import type { HandoffRecord } from "../../formats/kho/handoff.js";
import { encodeChosen, encodeHandoff, encodeScratch } from "../../formats/kho/handoff-encode.js";
import { type MemoryRange, type PhysAddr, pfnOf, physAddr } from "../memory/index.js";
import type { Running } from "./boot.js";
import { areasInRam, copyHardware, type Hardware } from "./firmware.js";
import type { Ram } from "./ram.js";
import { targetOf } from "./target.js";

/** Memory at the first instruction of the next kernel. */
export interface Departure {
  /** With an IOMMU as the kernel has left it: devices go on. */
  readonly hardware: Hardware;
  /** Nothing is overwritten yet but scratch. Kernels that receive it work on copies. */
  readonly memory: Ram;
  /** The release that left it, `7.3.4`. */
  readonly release: string;
  /** Absent if nothing is handed over. */
  readonly handoff?: HandoffRecord;
  /** Where the boot protocol points: the setup_data node, or on arm64 the device tree. */
  readonly bootData?: PhysAddr;
}

/** Scratch arrays are segments of a kexec image, aligned to this. */
const segment = 0x10000n;

/**
 * Puts the kexec image's own segments into scratch and forgets the rest of scratch. `root` is the root tree that was there
 * when the image was loaded, undefined if the image has no hand-off. The kernel's memory itself is copied, not changed.
 */
export function depart(
  { core, scratch }: Running,
  hardware: Hardware,
  root: PhysAddr | undefined,
): Departure {
  const { kernel, release, abi } = core;
  const memory = core.ram.snapshot();
  // Areas that a handover brought need not be RAM; a kexec image needs what is.
  const areas = areasInRam(scratch, hardware);
  for (const { start, end } of areas) memory.poison(start, end - start);
  const departure = { hardware: copyHardware(hardware), memory, release };
  const home = scratch.find(({ pa, size }) => size >= 2n * segment && memory.has(pa, Number(size)));
  if (root === undefined || !home) return departure;

  const target = targetOf({ kernel, abi, ram: memory });
  const [arrayPa, bootData] = segmentsAtEnd(home);
  for (const pa of [arrayPa, bootData]) memory.zero(pfnOf(pa, abi.pageSize), Number(segment) / abi.pageSize);
  encodeScratch(target, arrayPa, scratch);
  const handoff: HandoffRecord = {
    recordPa: hardware.arch === "x86_64" ? bootData : physAddr(0),
    fdtPa: root,
    fdtSize: BigInt(abi.pageSize),
    scratchPa: arrayPa,
    scratchSize: 16n * BigInt(scratch.length),
  };
  if (hardware.arch === "x86_64") encodeHandoff(target, handoff);
  else memory.write(bootData, encodeChosen(handoff));
  return { ...departure, handoff, bootData };
}

/** Two segments at the end of an area. */
function segmentsAtEnd({ pa, size }: MemoryRange): [PhysAddr, PhysAddr] {
  const end = pa + size;
  return [physAddr(end - 2n * segment), physAddr(end - segment)];
}
