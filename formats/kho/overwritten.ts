import type { PhysAddr } from "../../src/memory/index.js";
import { hex } from "../../src/report/hex.js";
import { bootStops } from "../consequence.js";
import type { Context } from "../context.js";

/**
 * Says that the page where the memory map begins holds something else altogether. Map pages are not preserved: the
 * receiving kernel reads them at boot and then uses them for something else, so that a dump of a running one has none.
 * One finding instead of one for every entry that makes no sense.
 */
export function reportOverwritten(ctx: Context, pa: PhysAddr): void {
  ctx.report(
    "error",
    "map-overwritten",
    `the page at ${hex(pa)} no longer holds the memory map: it is in use for something else, as happens once the receiving kernel is up`,
    {
      path: "preserved",
      pa,
      length: ctx.abi.pageSize,
      consequence: bootStops("the kernel does not check the map: unhandled fault or invented blocks"),
    },
  );
}
