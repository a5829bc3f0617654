import type { ReserveMem } from "../../../formats/memblock/memblock.js";
import type { ReserveMemOption } from "../../machine/index.js";
import { pfnOf } from "../../memory/index.js";
import { hex } from "../../report/hex.js";
import { comparePages } from "../same-memory.js";
import type { PartVerdict } from "../verdict.js";
import { type Arrived, differs, say } from "./arrived.js";

/** The command line of the next kernel that asks for the same regions again. */
export const regionOptions = (regions: readonly ReserveMem[]): ReserveMemOption[] =>
  regions.map(({ name, size }) => ({ name, size: Number(size) }));

/** Regions of `reserve_mem=`: revived where they were, with what was in them. */
export function judgeRegions({ truth, machine }: Arrived): PartVerdict[] {
  const { departure, captured, handover } = truth;
  const { pageSize } = handover;
  return handover.reserveMem.map(({ name, start, size }) => {
    const part = `reserve_mem[${name}]`;
    const region = machine.regions.find((candidate) => candidate.name === name);
    if (!region?.revived) return say(part, "lossy", "it is not revived: a fresh region takes its place");
    if (region.start !== start) return say(part, "misread", differs("start", hex(start), hex(region.start)));
    if (region.size !== size) return say(part, "misread", differs("size", hex(size), hex(region.size)));
    if (!departure.memory.has(start, Number(size)))
      return say(part, "misread", `there is no RAM at ${hex(start)}`);
    const pages = Number(size) / pageSize;
    const { different, absent } = comparePages(
      departure.memory,
      machine.memory,
      pfnOf(start, pageSize),
      pages,
      pageSize,
      captured,
    );
    if (different !== undefined)
      return say(
        part,
        "misread",
        `page ${different - pfnOf(start, pageSize)} of it has been overwritten, and it counts as revived`,
      );
    return say(part, "works", absent === 0 ? "" : `${absent} of its pages are not in the capture`);
  });
}
