/** The memory of the machine that a capture was taken of. */
import type { Abi } from "../../layout/index.js";
import type { Hardware } from "../../machine/firmware.js";
import { common, merged, type Stretch, without } from "../../machine/kho/blocks.js";
import { newRam, poisonByte, type Ram } from "../../machine/ram.js";
import { addressOf, firstNot, type Memory, type MemoryRange, physAddr } from "../../memory/index.js";
import { mergedRanges } from "../../memory/ranges.js";

/** First address that no CPU with KHO can have memory at, so that numbers of pages and bytes are exact doubles. */
const endOfAddresses = 1n << 52n;

/** The pages that a range touches, or those that lie wholly in it; as far as there can be memory. */
function pagesOf({ pa, size }: MemoryRange, { pageSize }: Abi, which: "touched" | "whole"): Stretch {
  const page = BigInt(pageSize);
  const up = page - 1n;
  const [start, end] = [least(pa, endOfAddresses), least(pa + size, endOfAddresses)];
  return which === "touched"
    ? { start: Number(start / page), end: Number((end + up) / page) }
    : { start: Number((start + up) / page), end: Number(end / page) };
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const most = (a: bigint, b: bigint): bigint => (a > b ? a : b);

const stretchesOf = (ranges: readonly MemoryRange[], abi: Abi, which: "touched" | "whole"): Stretch[] =>
  merged(ranges.map((range) => pagesOf(range, abi, which)).filter(({ start, end }) => start < end));

/** Pages of which the capture has at least a byte. */
export const touchedPages = ({ ranges }: Pick<Memory, "ranges">, abi: Abi): Stretch[] =>
  stretchesOf(ranges, abi, "touched");

/** RAM as the capture has it. What it lacks is rubbish, of which nothing may be said. */
export function capturedRam(captured: Memory, { abi, banks }: Hardware): Ram {
  const { pageSize } = abi;
  const zeros = stretchesOf(mergedRanges(captured.ranges.filter((range) => range.zeros)), abi, "whole");
  const all = banks.map(({ pa, size }) => pagesOf({ pa, size }, abi, "whole"));
  const given = common(all, without(touchedPages(captured, abi), zeros));
  const ram = newRam({
    ranges: banks,
    pageSize,
    given: {
      stretches: given.map(({ start, end }) => ({ pfn: start, pages: end - start })),
      page: newPages(captured, abi),
    },
  });
  for (const { start, end } of without(without(all, given), zeros)) ram.poison(start, end - start);
  return ram;
}

/** Gives the bytes of a page: what the capture has of it, among rubbish. */
function newPages({ ranges, read, has }: Memory, { pageSize }: Abi): (pfn: number) => Uint8Array {
  return (pfn) => {
    const start = addressOf(pfn, pageSize);
    if (has(start, pageSize)) return read(start, pageSize);
    const end = start + BigInt(pageSize);
    const page = new Uint8Array(pageSize).fill(poisonByte);
    const first = firstNot(0, ranges.length, (i) => ranges[i]!.pa + ranges[i]!.size <= start);
    for (let i = first; i < ranges.length && ranges[i]!.pa < end; i++) {
      const { pa, size } = ranges[i]!;
      const from = most(pa, start);
      const length = Number(least(pa + size, end) - from);
      page.set(read(physAddr(from), length), Number(from - start));
    }
    return page;
  };
}
