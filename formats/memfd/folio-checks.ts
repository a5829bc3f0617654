import type { Abi } from "../../src/layout/index.js";
import { addressOf } from "../../src/memory/index.js";
import type { Code } from "../../src/report/codes.js";
import type { Consequence, Severity } from "../../src/report/finding.js";
import { hex } from "../../src/report/hex.js";
import { misread, retrieveFails } from "../consequence.js";
import type { Context } from "../context.js";
import { isAtLeast, type Kernel } from "../kernels.js";

/** Largest block of the page allocator, MAX_PAGE_ORDER, as kernels are configured by default: 4 MiB, 32 MiB, 512 MiB. */
export const largestBuddyOrder = ({ pageSize }: Pick<Abi, "pageSize">): number =>
  pageSize === 4096 ? 10 : pageSize === 16384 ? 11 : 13;

/** What becomes of a file with a folio that cannot be restored and is not its first. */
export const laterFolioLost = (kernel: Kernel): Consequence =>
  isAtLeast(kernel, "7.1")
    ? retrieveFails("EIO")
    : misread("retrieve", "this and every later entry is missing from the file");

/** Looks at the folios of one list, in its order. */
export interface FolioChecks {
  /** Looks at an entry. `order` is -1 where no block begins; `mapped` says whether there is a map that could tell. */
  see(entry: number, index: number, pfn: number, order: number, mapped: boolean): void;
  /**
   * How many folios may follow the one that was seen last, each right behind the one before in file and memory and of the
   * same order, of which there is nothing to say, provided that blocks of that order begin up to `until`.
   */
  steady(index: number, pfn: number, order: number, until: number): number;
  /** Takes `count` of those as seen. */
  follow(order: number, count: number): void;
  /** True if no folio came after one that lies behind it in the file. */
  ascending(): boolean;
  /** Reports what was found. */
  finish(): void;
}

/** Faults of single folios, gathered so that a damaged list of a million gives one finding a kind, not a million. */
export function folioChecks(ctx: Context, path: string, size: bigint): FolioChecks {
  const eio = retrieveFails("EIO");
  // Up to 7.0 what is restored has to fit the page allocator, unless that was built with other orders.
  const largestRestored = isAtLeast(ctx.kernel, "7.1")
    ? Number.POSITIVE_INFINITY
    : largestBuddyOrder(ctx.abi);
  const faults = new Map<string, { times: number; readonly report: (times: number) => void }>();
  /** First index behind the folios so far. */
  let end = 0;
  let ascending = true;
  // Rounds above 2^53, where every index is a fault anyway.
  const pages = Math.ceil(Number(size) / ctx.abi.pageSize);
  /** Counts a fault that there was already: a sentence for each of a million would be made for nobody. */
  const again = (kind: string): boolean => {
    const known = faults.get(kind);
    if (known) known.times++;
    return known !== undefined;
  };
  const fault = (
    kind: string,
    entry: number,
    message: string,
    [severity, code]: readonly [Severity, Code],
    consequence: Consequence | undefined,
    pfn: number,
  ): void => {
    faults.set(kind, {
      times: 1,
      report: (times) =>
        ctx.report(severity, code, times > 1 ? `${message} (and ${times - 1} more entries)` : message, {
          path: `${path}[${entry}]`,
          pa: addressOf(pfn, ctx.abi.pageSize),
          length: ctx.abi.pageSize,
          consequence,
        }),
    });
  };
  return {
    ascending: () => ascending,
    see(entry, index, pfn, order, mapped) {
      if (order < 0 && mapped && !again("not-preserved"))
        fault(
          "not-preserved",
          entry,
          `folio ${entry} at PFN ${hex(pfn)} is not the start of a preserved block, its length is taken from the next one's place`,
          ["error", "folio-not-preserved"],
          entry > 0 ? laterFolioLost(ctx.kernel) : eio,
          pfn,
        );
      if (order > largestRestored && !again("large"))
        fault(
          "large",
          entry,
          `folio ${entry} has order ${order}, Linux ${ctx.kernel.release} restores at most order ${largestRestored}`,
          ["error", "order-too-large"],
          entry > 0 ? laterFolioLost(ctx.kernel) : eio,
          pfn,
        );
      const length = 2 ** Math.max(order, 0);
      if (index % length !== 0 && !again("misaligned"))
        fault(
          "misaligned",
          entry,
          `folio ${entry} of ${length} pages begins at page ${index} of the file`,
          ["error", "folio-bad-index"],
          misread("retrieve", "the folio is placed at the index rounded down"),
          pfn,
        );
      if (index < end) {
        ascending = false;
        if (!again("order"))
          fault(
            "order",
            entry,
            `folio ${entry} for page ${index} of the file comes after page ${end - 1}`,
            ["warning", "folio-bad-index"],
            undefined,
            pfn,
          );
      }
      if (index >= pages && !again("beyond"))
        fault(
          "beyond",
          entry,
          `folio ${entry} for page ${index} lies beyond the file's ${size} bytes and is not visible`,
          index >= 2 ** 53 ? ["error", "folio-bad-index"] : ["info", "folio-bad-index"],
          undefined,
          pfn,
        );
      end = Math.max(end, index + length);
    },
    steady(index, pfn, order, until) {
      if (order < 0 || order > largestRestored) return 0;
      const length = 2 ** order;
      // A folio that is not where the file ends so far, or lies across, is looked at one by one, and so are all behind it.
      if (index % length !== 0 || index + length !== end) return 0;
      const behind = Math.ceil(Math.min(until - pfn, pages - index) / length) - 1;
      return Math.max(0, behind);
    },
    follow(order, count) {
      end += count * 2 ** order;
    },
    finish() {
      for (const { times, report } of faults.values()) report(times);
    },
  };
}
