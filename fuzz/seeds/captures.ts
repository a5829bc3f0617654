/** Captures of real kernels, cut down to a few sessions and files. */

import { findKernel } from "../../formats/kernels.js";
import { EM_X86_64 } from "../../src/image/elf-layout.js";
import { load, names } from "../../test/hostile/captures.js";
import { framesOf, writeCore } from "../mutate/core.js";
import { rowOf } from "./machines.js";
import type { Seed } from "./seed.js";

/** One of every generation of the formats. */
export function* captureSeeds(): Generator<Seed> {
  for (const name of names) {
    const { memory, options } = load(name);
    const kernel = findKernel(options.release!)!;
    const frames = framesOf({ memory })!;
    yield {
      name,
      data: writeCore({ machine: EM_X86_64, handoff: options.handoff!, row: rowOf(kernel.release), frames }),
    };
  }
}
