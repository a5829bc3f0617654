import { khoVmalloc } from "../../formats/kho/layout.js";
import { KHO_TEST_FDT, KHO_TEST_MAGIC } from "../../formats/kho/test-module.js";
import { khoTestList, khoTestTree } from "../../formats/kho/test-module-encode.js";
import { encode, u32 } from "../../src/layout/index.js";
import { pageOf, paOf } from "../../src/machine/kernel.js";
import type { Machine } from "../../src/machine/machine.js";
import { physAddr } from "../../src/memory/index.js";

/**
 * Does what the kernel's KHO test module does: folios of some orders, their list in a vmalloc area, and a sum of their
 * contents. Each folio has one small number, so that the sum is the same however it is folded. lib/test_kho.c, since 6.18.
 */
export function handOverTestFolios({ core, kho }: Machine, orders: readonly number[]): void {
  const { abi, ram, pages } = core;
  const take = (order: number): number => {
    const pfn = pages.allocate(order, "kho test");
    if (pfn === undefined) throw new Error("no memory");
    ram.zero(pfn, 2 ** order);
    return pfn;
  };
  const folios = { pfn: new Float64Array(orders.length), order: Uint8Array.from(orders) };
  let csum = 0;
  for (const [i, order] of orders.entries()) {
    const pfn = take(order);
    folios.pfn[i] = pfn;
    ram.write(paOf(pfn + 2 ** order - 1, abi), encode(u32, 1000 + i, abi));
    csum += 1000 + i;
    kho.preserveFolio(pfn, order);
  }
  const list = khoTestList(folios, abi);
  const blocks: number[] = [];
  for (let at = 0; at < list.length; at += abi.pageSize) {
    const pfn = take(0);
    ram.write(paOf(pfn, abi), list.subarray(at, at + abi.pageSize));
    blocks.push(pfn);
  }
  const area = encode(khoVmalloc, kho.preserveVmalloc(blocks, 0, "kho test"), abi);
  const tree = khoTestTree({ magic: KHO_TEST_MAGIC, nrFolios: orders.length, csum }, area, abi);
  const pa = physAddr(paOf(take(0), abi));
  ram.write(pa, tree);
  kho.preserveFolio(pageOf(pa, abi), 0);
  kho.addSubtree(KHO_TEST_FDT, pa, tree.length);
}
