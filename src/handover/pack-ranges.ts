import type { Limits } from "../../formats/context.js";
import { handoffSize } from "../../formats/kho/handoff-encode.js";
import { pagesOf } from "../../formats/memfd/folios.js";
import type { Memfd } from "../../formats/memfd/memfd.js";
import { khoTestFoliosPath } from "../../formats/paths.js";
import { addressOf, type Memory, type MemoryRange, physAddr } from "../memory/index.js";
import { wholePages } from "../memory/ranges.js";
import type { Decoded } from "./decode.js";
import type { DecodeOptions } from "./options.js";
import { scan } from "./scan.js";
import { SYSTEMD_MAPPING_TOKEN } from "./systemd.js";
import { treeBytes } from "./tree-bytes.js";

type Reached = Pick<Decoded, "handover" | "structures">;

/** The smallest page of any machine: what memory is compared and packed by. */
export const packUnit = 4096;

const unitsOf = (range: MemoryRange): MemoryRange => wholePages(range, BigInt(packUnit));

/**
 * The pages that structures occupy, the hand-off record and the scratch array among them. The test module's folios are
 * claimed as well, but they are contents.
 */
export function structureRanges({ handover, structures }: Reached): MemoryRange[] {
  const { pageSize, handoff, scratch } = handover;
  const ranges: MemoryRange[] = structures
    .filter(({ path }) => path !== khoTestFoliosPath)
    .map(({ pa, pages }) => ({ pa, size: BigInt(pages * pageSize) }));
  if (handoff.recordPa !== 0n) ranges.push({ pa: handoff.recordPa, size: BigInt(handoffSize) });
  // Where no area could be read the array may be anything.
  if (scratch.length > 0 && handoff.scratchPa !== 0n)
    ranges.push({ pa: handoff.scratchPa, size: handoff.scratchSize });
  return ranges.map(unitsOf);
}

/**
 * What is no structure, but decides how a handover reads: the device tree of the machine that hands off the root, where
 * it is in the memory, and the mapping in systemd's session.
 */
export function readContents(
  memory: Memory,
  { handover }: Reached,
  limits: Limits,
  progress?: DecodeOptions["onProgress"],
): MemoryRange[] {
  const { handoff, luo, pageSize } = handover;
  const ranges = (luo?.sessions ?? [])
    .filter(({ systemd }) => systemd)
    .map(({ files }) => files.find(({ token }) => token === SYSTEMD_MAPPING_TOKEN)?.memfd)
    .flatMap((memfd) => foliosOf(memfd, pageSize));
  const inTree = handoff.recordPa === 0n && handoff.scratchPa !== 0n;
  if (!inTree || (handoff.foundBy !== "scan" && handoff.foundBy !== "chosen")) return ranges;
  const looked = (done: number, total: number): void => progress?.("looking for the root", done, total);
  for (const { pa, kind, record } of scan(memory, looked, limits).candidates)
    if (kind === "device-tree" && record?.fdtPa === handoff.fdtPa)
      ranges.push(unitsOf({ pa: physAddr(pa), size: BigInt(treeBytes(memory, physAddr(pa)).length) }));
  return ranges;
}

/** Contents: the folios of files and of the test module, and the regions of `reserve_mem`. */
export function dataRanges({ handover, structures }: Reached): MemoryRange[] {
  const { pageSize, luo, reserveMem } = handover;
  return [
    ...(luo?.sessions ?? []).flatMap(({ files }) => files.flatMap(({ memfd }) => foliosOf(memfd, pageSize))),
    ...structures
      .filter(({ path }) => path === khoTestFoliosPath)
      .map(({ pa, pages }) => ({ pa, size: BigInt(pages * pageSize) })),
    ...reserveMem.map(({ start, size }) => ({ pa: start, size })),
  ];
}

function foliosOf(memfd: Memfd | undefined, pageSize: number): MemoryRange[] {
  if (!memfd) return [];
  const { folios } = memfd;
  return Array.from({ length: folios.length }, (_, run) => ({
    pa: addressOf(folios.pfn[run]!, pageSize),
    size: BigInt(pagesOf(folios, run)) * BigInt(pageSize),
  }));
}
