/** Which memory is not what a device takes it for any more, once its kernel is gone. */
import { frameOf } from "../../../formats/iommu/entry.js";
import { decodeHandover } from "../../handover/index.js";
import { type Kept, keptBy, type Stretches, stretchesOf } from "../../iommu/cross-check.js";
import { firstNot } from "../../memory/index.js";
import type { Code } from "../../report/codes.js";
import { isKhoError } from "../../report/error.js";
import { captureOf } from "../capture.js";
import type { Departure } from "../kexec.js";

/** What a frame of memory is, that a device reaches and should not. */
export interface Reuse {
  readonly code: Extract<Code, "iommu-mapped-lost" | "iommu-mapped-scratch">;
  /** Who has it now: as the page allocator lists it, or in words where no kernel runs. */
  readonly owner: string;
}

/** Asked for each frame of 4 KiB that DMA reaches; undefined for those that are still the device's. */
export type Watch = (frame: number) => Reuse | undefined;

const none: Stretches = { start: new Float64Array(), end: new Float64Array() };

/** What the handover in a departure keeps, by its bytes; nothing if nothing is handed over. */
export function keptIn({ memory, hardware, bootData, release }: Departure): Kept {
  const captured = stretchesOf(
    memory.ranges.map(({ pa, size }) => [frameOf(pa), frameOf(pa + size)] as const),
  );
  const nothing: Kept = { preserved: none, scratch: none, captured };
  if (bootData === undefined) return nothing;
  const image = captureOf({ memory, hardware, release });
  try {
    const options = {
      handoff: bootData,
      release,
      pageSize: hardware.abi.pageSize,
      mode: "forensic",
    } as const;
    return { ...nothing, ...keptBy(decodeHandover(image, options).handover, memory.ranges) };
  } catch (error) {
    if (!isKhoError(error)) throw error;
    return nothing;
  }
}

/** True if a frame is in one of the stretches. */
const includes = ({ start, end }: Stretches, frame: number): boolean => {
  const i = firstNot(0, end.length, (at) => end[at]! <= frame);
  return i < start.length && start[i]! <= frame;
};

/** `owner` tells who has a frame that is lost. */
export function watchFor(
  { preserved = none, scratch }: Kept,
  owner: (frame: number) => string,
  isGone: (frame: number) => boolean = () => false,
): Watch {
  return (frame) => {
    if (includes(scratch, frame)) return { code: "iommu-mapped-scratch", owner: owner(frame) };
    if (includes(preserved, frame) && !isGone(frame)) return undefined;
    return { code: "iommu-mapped-lost", owner: owner(frame) };
  };
}
