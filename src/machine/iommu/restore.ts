import { bootStops } from "../../../formats/consequence.js";
import type { PhysAddr } from "../../memory/index.js";
import type { Code } from "../../report/codes.js";
import { KhoError } from "../../report/error.js";
import { hex } from "../../report/hex.js";
import { type KernelCore, pageOf } from "../kernel.js";

/** What the kernel stops with when it cannot go on with what it received. */
export const bug = (code: Code, message: string, path: string, pa: bigint): KhoError =>
  new KhoError(code, message, { path, pa, consequence: bootStops(`BUG: ${message}`) });

/**
 * Takes over a block that the previous kernel preserved, for `owner`; its order.
 * @throws KhoError `page-not-preserved`, as a panic, if no block begins there
 */
export function restoreBlock({ kho, abi }: KernelCore, pa: PhysAddr, owner: string, path: string): number {
  const isPage = pa % BigInt(abi.pageSize) === 0n;
  const order = isPage ? kho.restoreFolio(pageOf(pa, abi), owner) : -1;
  if (order >= 0) return order;
  throw bug("page-not-preserved", `nothing was preserved at ${hex(pa)}`, path, pa);
}

/** Takes over a block and gives it back. */
export function discardBlock(core: KernelCore, pa: PhysAddr, owner: string, path: string): void {
  const order = restoreBlock(core, pa, owner, path);
  core.pages.free(pageOf(pa, core.abi), order);
}
