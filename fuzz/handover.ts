/** A captured handover: opened, found, decoded in both modes, written again. */
import type { Random } from "../src/fuzz/random.js";
import { decodeHandover } from "../src/handover/index.js";
import { mutateHandover } from "./mutate/handover.js";
import { checkDecoded } from "./oracles/decoded.js";
import { reading } from "./oracles/errors.js";
import { openCore } from "./oracles/open.js";
import { checkRoundtrip } from "./oracles/roundtrip.js";
import { checkSuperset } from "./oracles/superset.js";
import { watched } from "./oracles/watched.js";
import { captureSeeds } from "./seeds/captures.js";
import { machineSeeds } from "./seeds/machines.js";
import type { Seed } from "./seeds/seed.js";

export const about = "captured handovers: strict, forensic, written again, interchange";

export function* seeds(): Generator<Seed> {
  yield* machineSeeds();
  yield* captureSeeds();
}

export const mutate = (data: Uint8Array, random: Random): Uint8Array => mutateHandover(data, random);

export function fuzz(data: Uint8Array): void {
  const opened = openCore(data);
  if (!opened) return;
  const { image, restart } = watched(opened.image, data.length);
  const strict = reading("strict", () => decodeHandover(image, { ...opened.options, mode: "strict" }));
  restart();
  const forensic = reading("forensic", () => decodeHandover(image, { ...opened.options, mode: "forensic" }));
  checkSuperset(strict, forensic);
  if (!forensic.value) return;
  checkDecoded(opened, forensic.value);
  checkRoundtrip(opened, forensic.value);
}
