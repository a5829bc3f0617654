/** A crafted handover as files for whoever boots a real kernel on it. */

import { decodeHandover } from "../../handover/index.js";
import { structureRanges } from "../../handover/pack-ranges.js";
import { endOfRam } from "../../machine/firmware.js";
import { captureOf, errnos } from "../../machine/index.js";
import type { MemoryRange } from "../../memory/index.js";
import { isKhoError } from "../../report/error.js";
import { type HarnessMeta, harnessMeta, harnessRanges } from "../harness.js";
import type { Crafted } from "./case.js";
import type { Outcome } from "./outcome.js";

/** What has to be in the image: all of the handover without its fault, and what the fault leads to. */
export function imageRanges({ good, departure }: Crafted): MemoryRange[] {
  return harnessRanges(good).concat(reachedWith(departure));
}

/** What a reader past all damage reaches; nothing where it does not get to the root. */
function reachedWith(departure: Crafted["departure"]): MemoryRange[] {
  const { bootData: handoff, release, memory } = departure;
  try {
    const ranges = structureRanges(
      decodeHandover(captureOf(departure), { handoff, release, mode: "forensic" }),
    );
    return ranges.filter(({ pa, size }) => memory.has(pa, Number(size)));
  } catch (error) {
    if (!isKhoError(error)) throw error;
    return [];
  }
}

/** Bytes that machines are rounded up to: what firmware keeps at their end counts as theirs. */
const ramUnit = 2n ** 20n;

/** How to boot a kernel on it, and what of `outcome` its log is to say. */
export function imageMeta({ departure, reserveMem }: Crafted, outcome: Outcome): HarnessMeta {
  const end = endOfRam(departure.hardware);
  return harnessMeta(departure, {
    ramSize: Number(((end + ramUnit - 1n) / ramUnit) * ramUnit),
    cmdline: cmdlineOf(reserveMem),
    console: consoleOf(outcome),
  });
}

/** A panic is to end the emulated machine, not to wait for somebody. */
const cmdlineOf = (regions: Crafted["reserveMem"]): string =>
  ["panic=-1", ...regions.map(({ size, align, name }) => `reserve_mem=${size}:${align ?? ""}:${name}`)].join(
    " ",
  );

/** Regular expressions. */
function consoleOf({ boot, revived, flbs }: Outcome): string[] {
  if (boot.kind === "stops") {
    const errno = boot.errno === undefined ? undefined : errnos[boot.errno as keyof typeof errnos];
    return errno === undefined
      ? []
      : [`Kernel panic - not syncing: The incoming tree failed to initialize properly \\[-${errno}\\]`];
  }
  return [
    ...revived.map((name) => `Revived memory reservation '${name}' from KHO`),
    ...flbs.filter(({ found }) => found).map(({ name }) => `${name}: found flb data from the previous boot`),
    ...flbs.filter(({ finished }) => finished).map(({ name }) => `${name}: finish was triggered`),
  ];
}
