import { encodeDmaAllocation } from "../../../formats/proposed/iommu/dma-alloc.js";
import type { PhysAddr } from "../../memory/index.js";
import { type KernelCore, pageOf } from "../kernel.js";
import { targetOf } from "../target.js";
import type { TokenOf, UnitBlock } from "./driver.js";

/** Blocks that several devices need, preserved once for all of them. */
export interface SharedBlocks {
  /** Preserves a block for one more device; a DMA allocation with a block that tells of it. @throws KhoError `refused` ENOMEM */
  keep(block: UnitBlock): void;
  drop(block: UnitBlock): void;
  /** Where the block is that tells of a DMA allocation that is kept. */
  readonly tokenOf: TokenOf;
}

export function newSharedBlocks(core: KernelCore): SharedBlocks {
  const { kho, abi } = core;
  const held = new Map<PhysAddr, { users: number; readonly token?: PhysAddr }>();
  const take = ({ pa, order, dma }: UnitBlock): PhysAddr | undefined => {
    kho.preserveFolio(pageOf(pa, abi), order);
    if (!dma) return undefined;
    try {
      const token = kho.allocPreserve(abi.pageSize, "iommu state");
      const pages = BigUint64Array.from({ length: 2 ** order }, (_, i) => pa + BigInt(i * abi.pageSize));
      encodeDmaAllocation(targetOf(core), token, { iova: pa, isFolio: 1, isContiguous: 1, pages });
      return token;
    } catch (error) {
      kho.unpreserveFolio(pageOf(pa, abi), order);
      throw error;
    }
  };
  return {
    keep(block) {
      const known = held.get(block.pa);
      if (known) {
        known.users++;
        return;
      }
      const token = take(block);
      held.set(block.pa, { users: 1, ...(token !== undefined && { token }) });
    },
    drop({ pa, order }) {
      const known = held.get(pa)!;
      if (--known.users > 0) return;
      held.delete(pa);
      if (known.token !== undefined) kho.unpreserveFree(known.token, abi.pageSize);
      kho.unpreserveFolio(pageOf(pa, abi), order);
    },
    tokenOf: (pa) => held.get(pa)!.token!,
  };
}
