import { decode, sizeOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import { bootStops, misread } from "../../consequence.js";
import { type Context, readMemory } from "../../context.js";
import type { ArraySer } from "./records.js";
import { goesByRootCounts, type IommuKind, type IommuSeries, recordsPerPage } from "./series.js";
import { recordPagePath, recordPath, recordsPath } from "./state.js";

/** What the reader does with a page that it cannot take over, for whatever reason: once, and not a second time. */
export const restoreFails = bootStops("BUG: a page of the IOMMU state cannot be restored");

/** Where a record is: in the bytes of its page, and in memory. */
export interface RecordPlace {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly pa: PhysAddr;
  readonly path: string;
}

/** The records of one kind, deleted ones too, in order. */
export interface Chain<R> {
  readonly pages: readonly PhysAddr[];
  readonly records: readonly R[];
  /** False if there are more that could not be read. */
  readonly complete: boolean;
}

/**
 * Follows the pages of records of a kind from `head`; 0 is no page. A number of records above the capacity of a page is cut
 * to it. `room` is what limits the records of all kinds together. Pages are claimed as preserved pages of order 0.
 */
export function decodeChain<R>(
  ctx: Context,
  series: IommuSeries,
  kind: IommuKind,
  head: PhysAddr,
  room: { records: number },
  recordOf: (place: RecordPlace) => R,
): Chain<R> {
  const { abi } = ctx;
  const most = recordsPerPage(series, kind, abi);
  const first = sizeOf(series.array, abi);
  const size = sizeOf(series.records[kind], abi);
  const pages: PhysAddr[] = [];
  const records: R[] = [];
  const chain = (complete: boolean): Chain<R> => ({ pages, records, complete });

  for (let pa = head; pa !== 0n; ) {
    const path = recordPagePath(kind, pages.length);
    const bytes = takePage(ctx, kind, pa, path);
    if (!bytes) return chain(false);
    pages.push(pa);
    const ser: ArraySer = decode(series.array, bytes, 0, abi);
    const next = ser.next_array_phys ?? ser.next_objs ?? physAddr(0);
    const count = ser.nr_objects ?? ser.nr_objs ?? 0n;
    checkCount(ctx, series, count, most, next, { path, pa, length: first });
    for (let i = 0; i < most && BigInt(i) < count; i++) {
      if (--room.records < 0) {
        ctx.report("error", "limit-exceeded", `more than ${ctx.limits.maxRecords} IOMMU records`, {
          path: recordsPath(kind),
          pa,
        });
        return chain(false);
      }
      const at = first + i * size;
      records.push(
        recordOf({ bytes, at, pa: physAddr(pa + BigInt(at)), path: recordPath(kind, records.length) }),
      );
    }
    pa = next;
  }
  return chain(true);
}

/** The bytes of a page of records, once it is claimed; undefined, and reported, where the pages end too early. */
function takePage(ctx: Context, kind: IommuKind, pa: PhysAddr, path: string): Uint8Array | undefined {
  const { pageSize } = ctx.abi;
  const place = { path, pa, length: pageSize };
  if (pa % BigInt(pageSize) !== 0n)
    ctx.report("warning", "bad-address", `the page of records at ${hex(pa)} is not page aligned`, place);
  if (ctx.claims.full) {
    ctx.report("error", "limit-exceeded", "the structures of this handover take up too many pages", place);
    return undefined;
  }
  const bytes = readMemory(ctx, pa, pageSize, path, restoreFails);
  if (!bytes) return undefined;
  const owner = ctx.claims.claim(pa, 1, 0, path, restoreFails);
  if (owner === undefined) return bytes;
  const cycle = owner.startsWith(`${recordsPath(kind)}.`);
  ctx.report(
    "error",
    cycle ? "iommu-state-cycle" : "structure-reused",
    `the page of records at ${hex(pa)} is in use already, as ${owner}`,
    { ...place, consequence: restoreFails },
  );
  return undefined;
}

function checkCount(
  ctx: Context,
  series: IommuSeries,
  count: bigint,
  most: number,
  next: PhysAddr,
  place: { path: string; pa: PhysAddr; length: number },
): void {
  const actual = String(count);
  if (count > BigInt(most))
    ctx.report(
      "error",
      "iommu-state-count",
      `the page at ${hex(place.pa)} says that it holds ${count} records`,
      {
        ...place,
        expected: `0 to ${most}`,
        actual,
        consequence: misread("boot", "what is behind the page is taken for records"),
      },
    );
  else if (next !== 0n && count < BigInt(most))
    ctx.report(
      "warning",
      "iommu-state-count",
      `the page at ${hex(place.pa)} is followed by another, but not filled up`,
      {
        ...place,
        expected: String(most),
        actual,
        consequence: goesByRootCounts(series)
          ? misread("boot", "the reader takes every page but the last for a full one")
          : undefined,
      },
    );
}
