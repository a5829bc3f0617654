import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { physAddr, sparseMemory } from "../../src/memory/index.js";
import { isKhoError } from "../../src/report/error.js";

const at = (pa: bigint) => physAddr(pa);
const fault = (call: () => unknown): unknown[] => {
  try {
    call();
  } catch (error) {
    if (isKhoError(error)) return [error.code, error.pa];
    throw error;
  }
  return [];
};

describe("sparse memory", () => {
  it("is empty at first", () => {
    const memory = sparseMemory();
    expect(memory.ranges).toEqual([]);
    expect(memory.has(at(0n), 1)).toBe(false);
    expect(memory.has(at(0n), 0)).toBe(true);
    expect(memory.read(at(0x1234n), 0)).toEqual(new Uint8Array(0));
    expect(fault(() => memory.read(at(0x1234n), 2))).toEqual(["memory-absent", 0x1234n]);
  });

  it("has the pages that were written to, with zeros around the bytes", () => {
    const memory = sparseMemory();
    memory.write(at(0x1_0000_0ffen), Uint8Array.of(1, 2, 3, 4));
    expect(memory.ranges).toEqual([{ pa: 0x1_0000_0000n, size: 0x2000n }]);
    expect([...memory.read(at(0x1_0000_0ffcn), 8)]).toEqual([0, 0, 1, 2, 3, 4, 0, 0]);
    expect(fault(() => memory.read(at(0x1_0000_1fffn), 2))).toEqual(["memory-absent", 0x1_0000_2000n]);
    expect(fault(() => memory.read(at(0xffff_ffffn), 2))).toEqual(["memory-absent", 0xffff_ffffn]);
  });

  it("covers without writing, and never writes into what another page shows", () => {
    const memory = sparseMemory();
    memory.cover(at(0x5001n), 0x1000);
    memory.cover(at(0x9000n), 1);
    memory.write(at(0x6000n), Uint8Array.of(7));
    memory.cover(at(0x6000n), 4096);
    expect(memory.ranges).toEqual([
      { pa: 0x5000n, size: 0x2000n },
      { pa: 0x9000n, size: 0x1000n },
    ]);
    expect(memory.read(at(0x6000n), 1)[0]).toBe(7);
    expect(memory.read(at(0x5000n), 4096).every((byte) => byte === 0)).toBe(true);
    expect(memory.read(at(0x9000n), 4096).every((byte) => byte === 0)).toBe(true);
  });

  it("gives a view within a page, a copy across pages", () => {
    const memory = sparseMemory();
    memory.cover(at(0n), 0x2000);
    memory.write(at(0x100n), Uint8Array.of(1));
    memory.write(at(0x1100n), Uint8Array.of(1));
    const view = memory.read(at(0x100n), 1);
    const copy = memory.read(at(0x100n), 0x1001);
    memory.write(at(0x100n), Uint8Array.of(2));
    expect([view[0], copy[0]]).toEqual([2, 1]);
  });

  it("ends at 2^64", () => {
    const memory = sparseMemory();
    const last = 2n ** 64n - 1n;
    memory.write(at(last), Uint8Array.of(9));
    expect(memory.read(at(last), 1)[0]).toBe(9);
    expect(memory.ranges).toEqual([{ pa: last - 4095n, size: 4096n }]);
    expect(fault(() => memory.write(at(last), Uint8Array.of(1, 2)))).toEqual(["memory-absent", last]);
    expect(fault(() => memory.cover(at(last), 2))).toEqual(["memory-absent", last]);
    expect(memory.has(at(last), 2)).toBe(false);
    expect(fault(() => memory.read(at(last), 2))).toEqual(["memory-absent", last]);
  });

  it("refuses reads of more than a gibibyte that is there, and names what is missing of more that is not", () => {
    const memory = sparseMemory();
    memory.cover(at(0n), 4096);
    expect(fault(() => memory.read(at(0n), 2 ** 30 + 1))).toEqual(["memory-absent", 4096n]);
  });

  it("holds what a plain array holds", () => {
    const size = 5 * 4096;
    const step = fc.record({
      pa: fc.nat(size - 1),
      bytes: fc.uint8Array({ maxLength: 9000 }),
      cover: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.nat(size), fc.nat(9000), (steps, from, length) => {
        const memory = sparseMemory();
        const bytes = new Uint8Array(size);
        const there = new Set<number>();
        for (const { pa, bytes: data, cover } of steps) {
          const part = data.subarray(0, size - pa);
          if (cover) memory.cover(at(BigInt(pa)), part.length);
          else memory.write(at(BigInt(pa)), part);
          if (!cover) bytes.set(part, pa);
          for (let i = 0; i < part.length; i++) there.add(Math.floor((pa + i) / 4096));
        }
        const wanted = Math.min(length, size - from);
        const first = Array.from({ length: wanted }, (_, i) => from + i).find(
          (i) => !there.has(Math.floor(i / 4096)),
        );
        expect(memory.has(at(BigInt(from)), wanted)).toBe(first === undefined);
        if (first === undefined)
          expect(memory.read(at(BigInt(from)), wanted)).toEqual(bytes.subarray(from, from + wanted));
        else
          expect(fault(() => memory.read(at(BigInt(from)), wanted))).toEqual([
            "memory-absent",
            BigInt(first),
          ]);
        const covered = memory.ranges.flatMap(({ pa, size: length_ }) =>
          Array.from({ length: Number(length_ / 4096n) }, (_, i) => Number(pa / 4096n) + i),
        );
        expect(covered).toEqual([...there].sort((a, b) => a - b));
        for (const [i, { pa }] of memory.ranges.entries())
          if (i > 0) expect(pa).toBeGreaterThan(memory.ranges[i - 1]!.pa + memory.ranges[i - 1]!.size);
      }),
      { numRuns: 200, seed: 1 },
    );
  });
});
