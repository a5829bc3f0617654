import { array, decode, encodeInto, pa, sizeOf, struct, u8, u64 } from "../../../src/layout/index.js";
import type { PhysAddr } from "../../../src/memory/index.js";
import type { Context } from "../../context.js";
import type { Target } from "../../target.js";
import { readBlock, writeBlock } from "./block.js";

/**
 * Head of the block of one DMA allocation, of a development tree; `nr_pages` addresses follow, unaligned. Nothing in a
 * handover has a name for it: who preserved the allocation keeps the block's address.
 */
export const dmaAllocSer = struct(
  "dma_alloc_ser",
  { iova: u64, nr_pages: u64, is_folio: u8, is_contiguous: u8, page_phys: array(pa, 0) },
  { header: "include/linux/kho/abi/dma_alloc.h", since: "proposed 2026" },
);

/** A DMA allocation that a driver handed over. */
export interface DmaAllocation {
  /** The device's address of the allocation, u64. */
  readonly iova: bigint;
  /** Whether its pages are folios, and whether they follow each other; u8, 0 or 1. */
  readonly isFolio: number;
  readonly isContiguous: number;
  /** Physical address of each page. */
  readonly pages: BigUint64Array;
}

/** Reads the block of a DMA allocation. Undefined, and reported, if that is not possible, or has been done already. */
export function decodeDmaAllocation(ctx: Context, at: PhysAddr, path: string): DmaAllocation | undefined {
  const { abi } = ctx;
  const sizes = { head: sizeOf(dmaAllocSer, abi), entry: sizeOf(pa, abi) };
  const block = readBlock(ctx, at, sizes, (head) => decode(dmaAllocSer, head, 0, abi).nr_pages, path);
  if (!block) return undefined;
  const { iova, is_folio, is_contiguous } = decode(dmaAllocSer, block.bytes, 0, abi);
  const pages = decode(array(pa, block.count), block.bytes, sizes.head, abi);
  return { iova, isFolio: is_folio, isContiguous: is_contiguous, pages };
}

/** Writes the block of a DMA allocation. @throws KhoError `value-range`, also for an address that begins no page */
export function encodeDmaAllocation(target: Target, at: PhysAddr, allocation: DmaAllocation): void {
  const { abi } = target;
  const { iova, isFolio, isContiguous, pages } = allocation;
  const addresses = array(pa, pages.length);
  const first = sizeOf(dmaAllocSer, abi);
  const head = {
    iova,
    nr_pages: BigInt(pages.length),
    is_folio: isFolio,
    is_contiguous: isContiguous,
    page_phys: new BigUint64Array(0),
  };
  writeBlock(target, at, first + sizeOf(addresses, abi), (bytes) => {
    encodeInto(dmaAllocSer, head, bytes, 0, abi);
    encodeInto(addresses, pages, bytes, first, abi);
  });
}
