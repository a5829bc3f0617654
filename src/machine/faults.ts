import type { Errno } from "./errno.js";

/** Where a simulated machine is to go wrong. Each is asked at every chance; what it does not name goes well. */
export interface Faults {
  /** True to let this allocation fail. `what` names its purpose: `luo file area`, `memfd hole`, `radix node`. */
  allocation?(what: string, order: number): boolean;
  /** An errno to let the freeze of this file fail with. */
  freeze?(session: string, token: bigint): Errno | undefined;
}
