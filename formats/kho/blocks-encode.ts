import type { Abi, Struct, ValueOf } from "../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import { KhoError } from "../../src/report/error.js";
import { fillPages, withRecords } from "../fill.js";
import type { Target } from "../target.js";
import { blockCapacity, KHO_MAX_BLOCKS } from "./blocks.js";
import { khoBlockHeaderSer } from "./layout.js";

/** Blocks that a list of `count` records takes. */
export const blocksFor = (record: Struct, count: number, abi: Abi): number =>
  Math.ceil(count / blockCapacity(record, { abi }));

/**
 * Writes a list of serialization blocks into the pages `pas`, every block full but the last, as kernels fill them. No
 * records need no pages: a block without any is refused by readers.
 * @throws KhoError `value-range` for another number of pages than {@link blocksFor}, more blocks than readers take, or a
 * record whose value does not fit
 */
export function encodeBlocks<R extends Struct>(
  target: Target,
  record: R,
  pas: readonly PhysAddr[],
  records: readonly ValueOf<R>[],
): void {
  const { abi } = target;
  const wanted = blocksFor(record, records.length, abi);
  if (wanted > KHO_MAX_BLOCKS || pas.length !== wanted) {
    const expected = wanted > KHO_MAX_BLOCKS ? `at most ${KHO_MAX_BLOCKS} blocks` : `${wanted} blocks`;
    const actual = `${Math.max(pas.length, wanted > KHO_MAX_BLOCKS ? wanted : 0)}`;
    throw new KhoError(
      "value-range",
      `${records.length} records of ${record.name}: expected ${expected}, got ${actual}`,
      { path: record.name, expected, actual },
    );
  }
  const most = blockCapacity(record, { abi });
  for (const [b, pa] of pas.entries()) {
    const part = records.slice(b * most, (b + 1) * most);
    const header = { next: pas[b + 1] ?? physAddr(0), count: BigInt(part.length) };
    const bytes = withRecords({ layout: khoBlockHeaderSer, value: header }, record, part, abi);
    fillPages(target, pa, 1, bytes, "records-beyond-count");
  }
}
