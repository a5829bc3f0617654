import { encodeFlbPage, encodeLuoRoot } from "../../../formats/luo/encode.js";
import { LUO_KHO_ENTRY_NAME } from "../../../formats/luo/luo.js";
import { LUO_FLB_PGCNT, LUO_SESSION_PGCNT } from "../../../formats/luo/records.js";
import { type PhysAddr, physAddr } from "../../memory/index.js";
import type { KernelCore } from "../kernel.js";
import { targetOf } from "../target.js";

/** What a kernel hands over of live update from boot on. */
export interface Roots {
  /** The area of the sessions; 0 where they get blocks when there are any. */
  readonly sessionArea: PhysAddr;
  /** Absent where the release has no FLBs. */
  readonly flbPage: PhysAddr | undefined;
  /** Points the root at the sessions. That of 6.19 to 7.1 says where they are from boot on. */
  setSessions(pa: PhysAddr): void;
}

/**
 * Makes the root of live-update state, for a release that has it, and hands it to KHO.
 * @throws refusal ENOMEM, or what KHO refuses the subtree with; nothing is allocated then
 */
export function handOverRoot(core: KernelCore, number: bigint): Roots {
  const { abi, kho, kernel } = core;
  const target = targetOf(core);
  const undo: (() => void)[] = [];
  const allocate = (pages: number, what: string): PhysAddr => {
    const size = pages * abi.pageSize;
    const pa = kho.allocPreserve(size, what);
    undo.push(() => kho.unpreserveFree(pa, size));
    return pa;
  };
  try {
    const root = allocate(1, "luo root");
    const compatible = kernel.luo!;
    const inTree = compatible === "luo-v1";
    const sessionArea = inTree ? allocate(LUO_SESSION_PGCNT, "luo session area") : physAddr(0);
    const flbPage = kernel.flb ? allocate(LUO_FLB_PGCNT, "luo flb page") : undefined;
    if (flbPage !== undefined) encodeFlbPage(target, flbPage, []);
    const write = (sessions: PhysAddr): number =>
      encodeLuoRoot(target, root, inTree ? "fdt" : "raw", {
        compatible,
        liveupdateNumber: number,
        sessions,
        ...(flbPage !== undefined && { flbs: flbPage }),
      });
    kho.addSubtree(LUO_KHO_ENTRY_NAME, root, write(sessionArea));
    return {
      sessionArea,
      flbPage,
      setSessions(pa) {
        if (!inTree) write(pa);
      },
    };
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  }
}
