import type { Limits } from "../../formats/context.js";
import type { Meta } from "./meta.js";

/** How to decode. Everything is optional: what is not given is found, or guessed and said to be guessed. */
export interface DecodeOptions {
  /** Kernel release whose formats to read with, and whose reader judges: `7.3`, `6.17.8`, or a whole `uname -r`. */
  readonly release?: string;
  /** Size of a base page in bytes: 4096, 16384 or 65536. */
  readonly pageSize?: number;
  /** Physical address of the root tree. */
  readonly fdt?: bigint;
  /** Physical address of a hand-off record, a setup_data node, an x86 zero page, or a device tree with a hand-off. */
  readonly handoff?: bigint;
  /** Where the roots are, from a side file. */
  readonly meta?: Meta;
  /**
   * `strict`, the default, stops where the release would lose everything: it throws with that release's errno and
   * consequence. `forensic` reads on past damage. What concerns one file or one region is a finding in both.
   */
  readonly mode?: "strict" | "forensic";
  readonly limits?: Partial<Limits>;
  /** Told now and then how far a long step is; `total` is 0 where it is not known. */
  readonly onProgress?: (phase: string, done: number, total: number) => void;
}
