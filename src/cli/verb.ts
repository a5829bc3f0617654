import type { Command } from "commander";
import type { Exit } from "./exit.js";
import type { Run } from "./run.js";

/** A verb: how it is called and what runs it. Its code is loaded when it is called, so that `--help` is quick. */
export interface Verb {
  /** The verb that it is a part of: `iommu`. */
  readonly group?: string;
  /** Name and arguments. */
  readonly usage: string;
  readonly summary: string;
  /** Shown by --help above the options. */
  readonly description?: string;
  /** Calls and what they are for, shown by --help below the options. */
  readonly examples: readonly (readonly [call: string, what: string])[];
  /** Adds the verb's own options; those of the input come behind them. */
  readonly options: (command: Command) => Command;
  /** True if it reads no FILE. */
  readonly bare?: boolean;
  readonly run: (run: Run, args: string[], options: never) => Promise<Exit>;
}
