import type { Runs } from "../../formats/kho/runs.js";
import { type Decoded, decodeHandover } from "../handover/index.js";
import { captureOf, type Departure } from "../machine/index.js";
import { type Stretch, stretchesOf } from "../machine/kho/blocks.js";
import { addressOf, type MemoryRange } from "../memory/index.js";
import { mergedRanges } from "../memory/ranges.js";
import { isKhoError } from "../report/error.js";
import { rangesWithout, watched } from "./reads.js";
import type { Captured } from "./same-memory.js";

/** A handover as the release reads it that wrote it. */
export interface Truth extends Decoded {
  readonly departure: Departure;
  /** Preserved pages, ascending and merged. */
  readonly preserved: readonly Stretch[];
  /** Bytes that mean something: what that release's reader looks at, and what is preserved. Ascending and disjoint. */
  readonly defined: readonly MemoryRange[];
  readonly captured: Captured | undefined;
}

/**
 * Reads what was left with the formats of the release that left it; undefined if nothing was handed over.
 * @throws KhoError as {@link decodeHandover} does, for what that release itself cannot read
 */
export function truthOf(departure: Departure, captured?: Captured): Truth | undefined {
  const { bootData, release, hardware } = departure;
  if (bootData === undefined) return undefined;
  const { pageSize } = hardware.abi;
  const { image, reads } = watched(captureOf(departure));
  const decoded = decodeHandover(image, { handoff: bootData, release, pageSize, mode: "forensic" });
  const runs = decoded.handover.preserved?.runs;
  const preserved = runs ? stretchesOf(runs) : [];
  const kept = preserved.map(({ start, end }) => ({
    pa: addressOf(start, pageSize),
    size: BigInt(end - start) * BigInt(pageSize),
  }));
  return { ...decoded, departure, preserved, defined: mergedRanges([...reads(), ...kept]), captured };
}

/** A handover as another release reads it at boot, before anything is overwritten. */
export interface Reading {
  /** Absent where it does not get as far as a memory map. */
  readonly runs: Runs | undefined;
  /**
   * Bytes that it looks at and that the writer left as they happened to be: neither does a reader of the writer's own
   * release look at them, nor are they preserved. Ascending and disjoint.
   */
  readonly undefinedBytes: readonly MemoryRange[];
}

/** Reads a handover with the formats of release `to`, on a machine with pages of `pageSize` bytes. */
export function readingOf({ departure, defined }: Truth, to: string, pageSize: number): Reading {
  const { image, reads } = watched(captureOf(departure));
  let runs: Runs | undefined;
  try {
    runs = decodeHandover(image, {
      handoff: departure.bootData!,
      release: to,
      pageSize,
      mode: "forensic",
      // Lists of folios are long, and lie in preserved pages, of which every byte is defined.
      limits: { maxFolios: 0 },
    }).handover.preserved?.runs;
  } catch (error) {
    // Without a readable root it has looked at no more than it has.
    if (!isKhoError(error)) throw error;
  }
  return { runs, undefinedBytes: rangesWithout(reads(), defined) };
}
