import { capacity, decode, offsetOf, type Struct, sizeOf } from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import type { Consequence } from "../../src/report/finding.js";
import { hex } from "../../src/report/hex.js";
import { misread } from "../consequence.js";
import { type Context, readMemory } from "../context.js";
import { blockPath } from "../paths.js";
import { khoBlockHeaderSer } from "./layout.js";

/** Blocks that a reader takes in one list. include/linux/kho/abi/block.h, since 7.2. */
export const KHO_MAX_BLOCKS = 10000;

/** A page of records: its bytes, where the records begin, and how many there are. */
export interface Block {
  readonly pa: PhysAddr;
  readonly bytes: Uint8Array;
  readonly recordsAt: number;
  readonly count: number;
}

/** What the reader of a list does with each fault, errno by errno. */
export interface BlockConsequences {
  /** A cycle, an empty block or a count above the capacity. */
  readonly invalid: Consequence;
  /** More blocks than it reads. */
  readonly tooLong: Consequence;
  /** `next` leads nowhere. */
  readonly oops: Consequence;
}

/** How many `record`s one block holds. */
export const blockCapacity = (record: Struct, ctx: Pick<Context, "abi">): number =>
  capacity(record, ctx.abi.pageSize - sizeOf(khoBlockHeaderSer, ctx.abi), ctx.abi);

/**
 * Follows a list of serialization blocks from `head`; 0 is an empty list. Checks in the kernel's order what can be
 * checked block by block; a count above the capacity is cut to it. Blocks are claimed as preserved pages of order 0.
 */
export function* decodeBlocks(
  ctx: Context,
  head: PhysAddr,
  record: Struct,
  path: string,
  { invalid, tooLong, oops }: BlockConsequences,
): Generator<Block> {
  const { abi } = ctx;
  const most = blockCapacity(record, ctx);
  /** Pages that are something else, or blocks of another list. */
  const foreign = new Set<PhysAddr>();
  let pa = head;
  for (let index = 0; pa !== 0n; index++) {
    const at = blockPath(path, index);
    const place = { path: at, pa, length: sizeOf(khoBlockHeaderSer, abi) };
    if (index === KHO_MAX_BLOCKS) {
      ctx.report("error", "block-list-too-long", `the list has more than ${KHO_MAX_BLOCKS} blocks`, {
        ...place,
        consequence: tooLong,
      });
      return;
    }
    if (pa % BigInt(abi.pageSize) !== 0n)
      ctx.report("warning", "bad-address", `the block at ${hex(pa)} is not page aligned`, place);
    const bytes = readMemory(ctx, pa, abi.pageSize, at, oops);
    if (!bytes) return;
    const owner = ctx.claims.claim(pa, 1, 0, at);
    if (foreign.has(pa) || owner?.startsWith(`${path}.blocks[`)) {
      ctx.report("error", "block-list-cycle", `the block at ${hex(pa)} is in use already, as ${owner}`, {
        ...place,
        consequence: invalid,
      });
      return;
    }
    if (owner !== undefined) {
      foreign.add(pa);
      ctx.report("error", "structure-reused", `the block at ${hex(pa)} is in use already, as ${owner}`, {
        ...place,
        consequence: misread(invalid.phase, "whatever is there is taken for records"),
      });
    }
    const { next, count } = decode(khoBlockHeaderSer, bytes, 0, abi);
    if (count === 0n || count > BigInt(most))
      ctx.report(
        "error",
        "block-bad-count",
        count === 0n
          ? `the block at ${hex(pa)} is empty, which a refused duplicate session name leaves behind on 7.2 and 7.3`
          : `the block at ${hex(pa)} says that it holds ${count} records`,
        {
          ...place,
          pa: (pa + BigInt(offsetOf(khoBlockHeaderSer, "count", abi))) as PhysAddr,
          length: 8,
          expected: `1 to ${most}`,
          actual: String(count),
          consequence: invalid,
        },
      );
    // What is no block may say anything, and may be reached from any number of lists.
    if (owner !== undefined && count === 0n) return;
    yield { pa, bytes, recordsAt: sizeOf(khoBlockHeaderSer, abi), count: Math.min(Number(count), most) };
    pa = next;
  }
}
