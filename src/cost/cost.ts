/** Everything that there is to say of what a handover costs. */
import { kernelOf } from "../../formats/kernels.js";
import { type Advice, adviceFor } from "./advice.js";
import { type MachineFacts, type Model, modelOf } from "./model.js";
import { type Shape, type Totals, totalsOf } from "./shape.js";
import { type SpaceCost, spaceOf } from "./structures.js";
import { type MeasuredRun, type Speed, type Speeds, speedsOf } from "./time.js";

/** A system call, how often a handover of the shape takes it. */
export interface CallCount {
  readonly name: string;
  readonly kernel: "old" | "new";
  readonly count: number;
}

/** What the handover needs of the scratch areas. */
export interface ScratchNeed {
  /** Bytes that there are; 0 if that is not known. */
  readonly given: number;
  /**
   * Bytes for memblock's list of reserved regions, a region for each run. Estimated, not measured: the list begins with
   * 128 entries of 24 bytes and doubles, the old one beside the new one until it is copied.
   */
  readonly regions: number;
}

/** The cost of a handover. */
export interface Cost {
  readonly shape: Shape;
  readonly totals: Totals;
  readonly space: SpaceCost;
  readonly calls: readonly CallCount[];
  readonly scratch: ScratchNeed;
  readonly model: Model;
  readonly speeds: Speeds;
  readonly advice: readonly Advice[];
}

/** What is known beyond the shape. */
export interface CostOptions extends MachineFacts {
  /** Instructions per second to assume. */
  readonly speed?: Speed;
  /** What one real run of this handover took. */
  readonly measured?: MeasuredRun;
}

/**
 * Works out what a handover costs: space to the byte, kernels' phases by a model.
 * @throws KhoError `unknown-release`; `usage` for measured times that cannot be; `value-range` for blocks that no memory
 * map can hold
 */
export function costOf(shape: Shape, options: CostOptions = {}): Cost {
  const space = spaceOf(shape);
  const model = modelOf(shape, options, space);
  return {
    shape,
    totals: totalsOf(shape),
    space,
    calls: callsOf(shape),
    scratch: { given: shape.scratch.bytes, regions: regionListBytes(space.runs) },
    model,
    speeds: speedsOf(model, options.speed, options.measured),
    advice: space.impossible.length > 0 ? [] : adviceFor(shape, options, model),
  };
}

function callsOf(shape: Shape): CallCount[] {
  if (kernelOf(shape.release).luo === undefined || !shape.liveUpdate) return [];
  const { sessions, files } = totalsOf(shape);
  return [
    { name: "LIVEUPDATE_IOCTL_CREATE_SESSION", kernel: "old", count: sessions },
    { name: "LIVEUPDATE_SESSION_PRESERVE_FD", kernel: "old", count: files },
    { name: "open /dev/liveupdate", kernel: "new", count: sessions > 0 ? 1 : 0 },
    { name: "LIVEUPDATE_IOCTL_RETRIEVE_SESSION", kernel: "new", count: sessions },
    { name: "LIVEUPDATE_SESSION_RETRIEVE_FD", kernel: "new", count: files },
    { name: "LIVEUPDATE_SESSION_FINISH", kernel: "new", count: sessions },
    { name: "close of a session", kernel: "new", count: sessions },
  ];
}

/** Regions of memblock's first list, and bytes of each: base, size, flags, node. */
const firstRegions = 128;
const regionBytes = 24;
/** Regions that a small machine has reserved before. */
const others = 25;

function regionListBytes(runs: number): number {
  let room = firstRegions;
  while (room < runs + others) room *= 2;
  // The first list is in the kernel's image. The one before the last is there while it is copied.
  if (room === firstRegions) return 0;
  return (room + (room / 2 > firstRegions ? room / 2 : 0)) * regionBytes;
}
