import { khoTestFoliosPath } from "../../formats/paths.js";
import { encodeHandover } from "../../src/handover/encode.js";
import { placedBy } from "../../src/handover/placement.js";
import type { Departure } from "../../src/machine/index.js";
import { newPageAllocator } from "../../src/machine/pages.js";
import { addressOf, type MemoryRange, type PhysAddr, pfnOf } from "../../src/memory/index.js";
import { mergedRanges, rangesIn } from "../../src/memory/ranges.js";
import { decodeDeparture } from "../machine/arrival.js";

/**
 * The same handover with every structure written anew, at another place; only contents of files and regions stay where
 * they are. Nothing is left at the old places.
 */
export function relocated(departure: Required<Departure>): Required<Departure> {
  const { hardware, bootData, handoff } = departure;
  const { abi, banks } = hardware;
  const { pageSize } = abi;
  const memory = departure.memory.snapshot();
  const { handover, structures } = decodeDeparture(departure);
  const { preserved, scratch } = handover;

  const ranges = banks.map(({ pa, size, node }) => ({
    pfn: pfnOf(pa, pageSize),
    pages: Number(size) / pageSize,
    node,
  }));
  const pages = newPageAllocator({ ranges, pageSize });
  const hold = (taken: readonly MemoryRange[]): void => {
    for (const { pa, size } of rangesIn(mergedRanges(taken), banks))
      pages.reserve(pfnOf(pa, pageSize), Number(size) / pageSize, "taken");
  };
  const { runs } = preserved!;
  const old = structures.map((claim) => ({ pa: claim.pa, size: BigInt(claim.pages * pageSize) }));
  const data = Array.from({ length: runs.length }, (_, i) => ({
    pa: addressOf(runs.pfn[i]!, pageSize),
    size: BigInt(runs.count[i]! * 2 ** runs.order[i]! * pageSize),
  }));
  const firstMiB = { pa: banks[0]!.pa, size: 2n ** 20n };
  hold([firstMiB, ...scratch, ...old, ...data]);
  // What the boot loader brings lies in scratch, as it does with kexec; here at the beginning.
  let inScratch: bigint = scratch[0]!.pa;
  const allocate = (order: number, path: string): PhysAddr => {
    const brought = path === "handoff" || path === "scratch";
    const pa = brought ? inScratch : addressOf(pages.allocate(order, path)!, pageSize);
    if (brought) inScratch += BigInt(2 ** order * pageSize);
    return pa as PhysAddr;
  };
  const encoded = encodeHandover(handover, placedBy(allocate, structures));

  for (const claim of structures)
    if (claim.path !== khoTestFoliosPath) memory.poison(pfnOf(claim.pa, pageSize), claim.pages);
  for (const { pa, size } of [
    { pa: bootData, size: 1n },
    { pa: handoff.scratchPa, size: handoff.scratchSize },
  ])
    memory.poison(pfnOf(pa, pageSize), Math.ceil(Number(size) / pageSize));
  for (const { pa, size } of encoded.written) memory.write(pa, encoded.memory.read(pa, Number(size)));
  return { ...departure, memory, handoff: encoded.handoff, bootData: encoded.handoff.recordPa };
}
