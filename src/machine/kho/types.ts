import type { khoVmalloc } from "../../../formats/kho/layout.js";
import type { Runs } from "../../../formats/kho/runs.js";
import type { ValueOf } from "../../layout/index.js";
import type { Pfn, PhysAddr } from "../../memory/index.js";

/** Describes a preserved vmalloc area, as users embed it. */
export type VmallocDescriptor = ValueOf<typeof khoVmalloc>;

/**
 * KHO as in-kernel code sees it. Calls refuse by throwing a `refusal` with the errno of the release; what a release does
 * not have yet is refused with EOPNOTSUPP.
 */
export interface Kho {
  /** `kho=on`, and there was memory to set it up. */
  readonly enabled: boolean;
  /** True between a successful finalize and an abort: 6.16 to 6.18 only. */
  readonly finalized: boolean;

  /** Preserves one block of `2 ** order` pages, as a folio is. Twice is once. */
  preserveFolio(pfn: number, order: number): void;
  /** Preserves `count` adjacent blocks of one order. All or nothing. */
  preserveFolios(pfn: number, order: number, count: number): void;
  /** Takes back what was preserved as exactly this block; since 6.19. */
  unpreserveFolio(pfn: number, order: number): void;
  unpreserveFolios(pfn: number, order: number, count: number): void;
  /** Preserves a range as the largest aligned blocks that fit, each on one node since 7.1. */
  preservePages(pfn: number, pages: number): void;
  unpreservePages(pfn: number, pages: number): void;
  /** Allocates zeroed memory, rounded up to a power of two of pages, and preserves it as one folio; since 6.19. */
  allocPreserve(size: number, what: string): PhysAddr;
  /** Takes back and frees what {@link allocPreserve} gave. */
  unpreserveFree(pa: PhysAddr, size: number): void;

  /**
   * Preserves an area of pages in virtual order, blocks of `2 ** order` pages each; writes its chunks. The pages
   * themselves belong to the caller. Since 6.18. An area without pages has no chunks.
   */
  preserveVmalloc(blocks: readonly number[], order: number, what: string): VmallocDescriptor;
  /** Takes the preservation back and frees the chunks. */
  unpreserveVmalloc(descriptor: VmallocDescriptor): void;

  /** Called while 6.16 to 6.18 finalize, which is when these add subtrees; a refusal of it aborts. */
  onFinalize(notifier: () => void): void;
  /**
   * Adds a node to the root tree. EEXIST, since 6.19, if there is one of that name. ENOMEM if its page is full; if the node
   * found room and its properties did not, it stays there without, and 6.19 and 7.0 say ESRCH.
   */
  addSubtree(name: string, pa: PhysAddr, size: number): void;
  removeSubtree(pa: PhysAddr): void;
  /** What the predecessor handed over under a name. ENOENT if it did not, EINVAL if its node is malformed. */
  retrieveSubtree(name: string): { readonly pa: PhysAddr; readonly size: bigint | undefined };

  /** The blocks that were received, taken over since or not, as this kernel read them; absent without a handover. */
  readonly receivedRuns: Runs | undefined;
  /** The order of the block that begins here and was received and not yet restored, or -1. */
  receivedOrder(pfn: number): number;
  /** Takes over one received block; -1 if none begins here, else its order. From then on the caller owns its pages. */
  restoreFolio(pfn: number, owner: string): number;
  /** Takes over a range that was preserved by {@link preservePages}; false if it was not received like that. */
  restorePages(pfn: number, pages: number, owner: string): boolean;
  /** Takes over an area; its blocks in virtual order, or undefined. Chunks are freed. */
  restoreVmalloc(descriptor: VmallocDescriptor, owner: string): Pfn[] | undefined;

  /** Writes debugfs `out/finalize`: 1 finalizes, 0 aborts. EOPNOTSUPP from 7.1 on, where nothing is left to finalize. */
  finalize(on?: boolean): void;
}
