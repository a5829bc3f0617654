import { pageShift } from "../../src/layout/index.js";
import { addressOf } from "../../src/memory/index.js";
import { misread } from "../consequence.js";
import type { Context } from "../context.js";
import type { Runs } from "./runs.js";

/** Up to 7.1 the reader works out a block's size in 32 signed bits. */
export function reportLargeOrders(ctx: Context, runs: Runs): void {
  const { abi } = ctx;
  for (let i = 0; i < runs.length; i++) {
    const order = runs.order[i]!;
    if (order + pageShift(abi) < 31) continue;
    ctx.report("error", "order-too-large", `blocks of order ${order} do not survive a reader before 7.2`, {
      path: "preserved.runs",
      pa: addressOf(runs.pfn[i]!, abi.pageSize),
      expected: `order below ${31 - pageShift(abi)}`,
      actual: `order ${order}`,
      consequence: misread("boot", "the block's size is worked out in 32 bits and comes out wrong"),
    });
    return;
  }
}
