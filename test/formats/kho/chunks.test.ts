import { describe, expect, it } from "vitest";
import { bitmapSizeOf, decodeBitmapMap, decodeChunks } from "../../../formats/kho/map-bitmaps.js";
import { physAddr } from "../../../src/memory/index.js";
import { dump, Ram } from "../../handover/synthetic/ram.js";
import { abiOf, contextOf } from "./support.js";

const chunkPa = 0x104570000n;

/** One chunk of the bytes given. */
function withChunk(text: string, bitmap: bigint, byte: number, mask: number): Ram {
  const ram = new Ram();
  ram.have(chunkPa, 4096);
  ram.write(chunkPa, dump(text));
  ram.have(bitmap, 4096);
  ram.u8(bitmap + BigInt(byte), mask);
  return ram;
}

describe("one page, preserved as two kernels write it", () => {
  it("6.18: bitmaps of a page", () => {
    const ram = withChunk(
      `
0000  00 00 00 00 00 00 00 00  00 00 00 00 01 00 00 00
0010  00 00 00 00 01 00 00 00  00 20 57 04 01 00 00 00`,
      0x104572000n,
      0x8ad,
      0x10,
    );
    const { ctx, findings } = contextOf(ram, "6.18");
    const list = decodeChunks(ctx, physAddr(chunkPa))!;
    expect(bitmapSizeOf(list, ctx.abi)).toBeUndefined();
    const { runs, kind, mapPages } = decodeBitmapMap(ctx, physAddr(chunkPa), list, "page");
    expect([kind, runs.length, runs.order[0], runs.pfn[0], runs.count[0]]).toEqual([
      "bitmap-page",
      1,
      0,
      0x10456c,
      1,
    ]);
    expect(mapPages).toBe(2);
    expect(findings).toEqual([]);
  });

  it("6.17.8: bitmaps of 512 bytes", () => {
    const ram = withChunk(
      `
0000  00 00 00 00 00 00 00 00  00 00 00 00 01 00 00 00
0010  00 00 00 04 01 00 00 00  00 3a 57 04 01 00 00 00`,
      0x104573a00n,
      0xad,
      0x10,
    );
    const { ctx, findings } = contextOf(ram, "6.17.8");
    const list = decodeChunks(ctx, physAddr(chunkPa))!;
    expect(bitmapSizeOf(list, ctx.abi)).toBe(512);
    const { runs, kind } = decodeBitmapMap(ctx, physAddr(chunkPa), list, 512);
    expect([kind, runs.length, runs.order[0], runs.pfn[0], runs.count[0]]).toEqual([
      "bitmap-512",
      1,
      0,
      0x10456c,
      1,
    ]);
    expect(findings).toEqual([]);
  });
});

describe("how large the bitmaps are", () => {
  /** A chunk list of entries [order, phys_start, bitmap] at a page size. */
  function sizeOf(pageSize: number, entries: [number, bigint, bigint][]): 512 | undefined {
    const ram = new Ram();
    let next = 0n;
    // The last one first, so that each knows the next.
    for (const [i, [order, start, bitmap]] of [...entries].reverse().entries()) {
      const pa = 0x40000000n + BigInt(i * pageSize);
      ram.have(pa, pageSize);
      ram.u64(pa, next);
      ram.u32(pa + 8n, order);
      ram.u32(pa + 12n, 1);
      ram.u64(pa + 16n, start);
      ram.u64(pa + 24n, bitmap);
      next = pa;
    }
    const { ctx } = contextOf(ram, "6.18", pageSize);
    return bitmapSizeOf(decodeChunks(ctx, physAddr(next))!, abiOf(pageSize));
  }
  const sizes = [4096, 16384, 65536];

  it.each(sizes)("phys_start on no multiple of a page of bits: 512 bytes (pages of %i)", (pageSize) => {
    const reach = BigInt(8 * pageSize * pageSize);
    for (const order of [0, 3, 9]) {
      const small = (4096n * BigInt(pageSize)) << BigInt(order);
      expect(sizeOf(pageSize, [[order, (reach << BigInt(order)) + small, 0x50000000n]])).toBe(512);
      expect(sizeOf(pageSize, [[order, reach << BigInt(order), 0x50000000n]])).toBeUndefined();
    }
  });
  it.each(sizes)("a bitmap on no page start: 512 bytes (pages of %i)", (pageSize) => {
    expect(sizeOf(pageSize, [[0, 0n, 0x50000200n]])).toBe(512);
  });
  it.each(sizes)("entries of one order that are too close: 512 bytes (pages of %i)", (pageSize) => {
    // Both on multiples, and the same twice, which is closest.
    expect(
      sizeOf(pageSize, [
        [0, 0n, 0x50000000n],
        [0, 0n, 0x60000000n],
      ]),
    ).toBe(512);
    const reach = BigInt(8 * pageSize * pageSize);
    expect(
      sizeOf(pageSize, [
        [0, 0n, 0x50000000n],
        [0, reach, 0x60000000n],
      ]),
    ).toBeUndefined();
    // Two orders have nothing to do with each other.
    expect(
      sizeOf(pageSize, [
        [0, 0n, 0x50000000n],
        [1, 0n, 0x60000000n],
      ]),
    ).toBeUndefined();
  });
  it("nothing decides: on page starts, on multiples, far apart", () => {
    expect(
      sizeOf(4096, [
        [0, 0n, 0x50000000n],
        [0, 1n << 40n, 0x50001000n],
        [4, 0n, 0x50002000n],
      ]),
    ).toBeUndefined();
    expect(sizeOf(4096, [])).toBeUndefined();
  });
});
