import type { Abi } from "../../../src/layout/index.js";
import type { PhysAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import { type Context, readMemory } from "../../context.js";
import type { Target } from "../../target.js";
import { valueRange } from "./value-range.js";

/** Sizes in bytes of a block: of its head, and of each of the entries behind it. */
export interface BlockSizes {
  readonly head: number;
  readonly entry: number;
}

/**
 * Order of the fewest pages that are a power of two and hold `length` bytes: what kernels allocate for a block, zeroed.
 * `length` is below 2^53.
 */
const orderOf = (length: number, { pageSize }: Abi): number =>
  Math.ceil(Math.log2(Math.max(1, Math.ceil(length / pageSize))));

/**
 * The bytes of a block that says in its head how many entries follow, once it is claimed. Undefined, and reported, if it
 * cannot be read, if it has been read already, or if there are more entries than `maxRecords`.
 */
export function readBlock(
  ctx: Context,
  at: PhysAddr,
  { head, entry }: BlockSizes,
  countIn: (head: Uint8Array) => number | bigint,
  path: string,
): { readonly bytes: Uint8Array; readonly count: number } | undefined {
  const { abi, limits } = ctx;
  const start = readMemory(ctx, at, head, path);
  if (!start) return undefined;
  const wanted = countIn(start);
  if (wanted > limits.maxRecords) {
    ctx.report("error", "limit-exceeded", `${path} says that it has ${wanted} entries`, {
      path,
      pa: at,
      length: head,
      expected: `at most ${limits.maxRecords}`,
      actual: String(wanted),
    });
    return undefined;
  }
  const count = Number(wanted);
  const length = head + count * entry;
  const bytes = readMemory(ctx, at, length, path);
  if (!bytes) return undefined;
  const order = orderOf(length, abi);
  const owner = ctx.claims.claim(at, 2 ** order, order, path);
  if (owner === undefined) return { bytes, count };
  ctx.report("error", "structure-reused", `the block of ${path} is in use already, as ${owner}`, {
    path,
    pa: at,
    length,
  });
  return undefined;
}

/**
 * Writes a block as kernels allocate it: zeros behind `length` bytes, up to a power of two of pages. `fill` gets all of it.
 * @throws KhoError `value-range` for an address that begins no page
 */
export function writeBlock(
  target: Target,
  at: PhysAddr,
  length: number,
  fill: (bytes: Uint8Array) => void,
): void {
  const { abi } = target;
  if (at % BigInt(abi.pageSize) !== 0n) throw valueRange("block", "the address of a page", hex(at));
  const bytes = new Uint8Array(abi.pageSize * 2 ** orderOf(length, abi));
  fill(bytes);
  target.write(at, bytes);
}
