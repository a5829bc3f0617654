/** Damaged handovers, taken over by a kernel of the machine: it does what the decoder says that it does. */
import { kernels } from "../formats/kernels.js";
import type { Random } from "../src/fuzz/random.js";
import type { Limits } from "../src/fuzz/target.js";
import { decodeHandover } from "../src/handover/index.js";
import { readCore } from "./mutate/core.js";
import { mutateHandover } from "./mutate/handover.js";
import { checkArrival } from "./oracles/arrival.js";
import { departureOf } from "./oracles/departure.js";
import { reading } from "./oracles/errors.js";
import { openCore } from "./oracles/open.js";
import { captureSeeds } from "./seeds/captures.js";
import { machineSeeds } from "./seeds/machines.js";
import type { Seed } from "./seeds/seed.js";

export const about = "captured handovers, taken over by kernels of the machine";

export function* seeds(): Generator<Seed> {
  yield* machineSeeds(["memory", "sessions", "files"]);
  yield* captureSeeds();
}

export const mutate = (data: Uint8Array, random: Random): Uint8Array => mutateHandover(data, random);

/** A few boots of a kernel, each of which reads everything twice. */
export const limits = (length: number): Limits => ({
  steps: 200_000_000 + 800 * length,
  bytes: 2 ** 29 + 256 * length,
});

export function fuzz(data: Uint8Array): void {
  const opened = openCore(data);
  const core = opened && readCore(data);
  if (!core || core.frames.size === 0 || core.handoff === 0n) return;
  const decoded = reading("forensic", () =>
    decodeHandover(opened.image, { ...opened.options, mode: "forensic" }),
  ).value;
  const release = opened.options.release ?? kernels.at(-1)!.release;
  const departure = decoded && departureOf(core, decoded.handover, release);
  if (departure) checkArrival(departure, release);
}
