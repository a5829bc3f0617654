/** What comparing is made of, against models that look at every byte and every block. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newRuns, type Runs } from "../../formats/kho/runs.js";
import { differentBlock } from "../../src/compat/parts/preserved.js";
import { rangesWithout } from "../../src/compat/reads.js";
import { comparePages } from "../../src/compat/same-memory.js";
import type { Truth } from "../../src/compat/truth.js";
import { newRam } from "../../src/machine/ram.js";
import { addressOf, type MemoryRange, physAddr } from "../../src/memory/index.js";
import { mergedRanges } from "../../src/memory/ranges.js";

const page = 4096;

describe("what of some ranges is in none of others", () => {
  const ranges = fc
    .array(fc.tuple(fc.nat(60), fc.nat(9)), { maxLength: 8 })
    .map((pairs) => mergedRanges(pairs.map(([pa, size]) => ({ pa: physAddr(pa), size: BigInt(size) }))));
  const bytesOf = (list: readonly MemoryRange[]): number[] =>
    list.flatMap(({ pa, size }) => Array.from({ length: Number(size) }, (_, i) => Number(pa) + i));

  it("is as byte by byte", () => {
    fc.assert(
      fc.property(ranges, ranges, (some, holes) => {
        const gone = new Set(bytesOf(holes));
        expect(bytesOf(rangesWithout(some, holes))).toEqual(bytesOf(some).filter((byte) => !gone.has(byte)));
      }),
    );
  });
});

describe("two memory maps", () => {
  const blocks = fc.uniqueArray(fc.tuple(fc.nat(3), fc.nat(40)), {
    maxLength: 12,
    selector: ([order, at]) => `${order}:${at}`,
  });
  const runsOf = (list: readonly (readonly [number, number])[]): Runs => {
    const runs = newRuns();
    for (const [order, at] of list) runs.push(order, at * 2 ** order, 1);
    return runs.finish();
  };
  const truthOf = (runs: Runs): Truth =>
    ({ handover: { pageSize: page, preserved: { runs } } }) as unknown as Truth;
  const textsOf = (list: readonly (readonly [number, number])[]): string[] =>
    list.map(([order, at]) => `${order}:${at * 2 ** order}`);

  it("differ where a block is in one of them alone", () => {
    fc.assert(
      fc.property(blocks, blocks, (some, others) => {
        const [before, after] = [textsOf(some), textsOf(others)];
        const odd = [
          ...before.filter((one) => !after.includes(one)),
          ...after.filter((one) => !before.includes(one)),
        ];
        const found = differentBlock(truthOf(runsOf(some)), runsOf(others), page);
        if (odd.length === 0) expect(found).toBeUndefined();
        else {
          // The lowest page at which anything differs.
          const least = Math.min(...odd.map((one) => Number(one.split(":")[1])));
          expect(found).toMatchObject({ part: "preserved", verdict: "misread" });
          expect(found!.detail).toContain(`the block at 0x${(least * page).toString(16)}:`);
        }
      }),
    );
  });

  it("are the same in pages of two sizes if the bytes are", () => {
    // 16 KiB at 64 KiB: an order-2 block of 4K pages, and a page.
    const small = runsOf([[2, 4]]);
    const large = runsOf([[0, 4]]);
    expect(differentBlock(truthOf(small), large, 4 * page)).toBeUndefined();
    expect(differentBlock(truthOf(small), runsOf([[1, 2]]), 4 * page)!.detail).toBe(
      "the block at 0x10000: expected 16384 bytes, got 32768 bytes",
    );
  });
});

describe("pages of two memories", () => {
  const ranges = [{ pa: physAddr(0), size: BigInt(64 * page) }];
  const write = fc.tuple(fc.nat(63), fc.constantFrom("zero", "poison", "one", "poison byte"));

  it("are compared as byte by byte, stored or not", () => {
    fc.assert(
      fc.property(
        fc.array(write, { maxLength: 20 }),
        fc.array(write, { maxLength: 20 }),
        fc.nat(63),
        (left, right, from) => {
          const [a, b] = [left, right].map((writes) => {
            const ram = newRam({ ranges, pageSize: page });
            for (const [pfn, what] of writes)
              if (what === "zero") ram.zero(pfn, 1);
              else if (what === "poison") ram.poison(pfn, 1);
              else ram.write(addressOf(pfn, page), new Uint8Array(page).fill(what === "one" ? 1 : 0xa5));
            return ram;
          }) as [ReturnType<typeof newRam>, ReturnType<typeof newRam>];
          const first = Array.from({ length: 64 - from }, (_, i) => from + i).find(
            (pfn) =>
              Buffer.compare(a.read(addressOf(pfn, page), page), b.read(addressOf(pfn, page), page)) !== 0,
          );
          expect(comparePages(a, b, from, 64 - from, page, undefined).different).toBe(first);
          // What was not captured is not looked at, and counted.
          expect(comparePages(a, b, from, 64 - from, page, () => false)).toEqual({ absent: 64 - from });
        },
      ),
    );
  });
});
