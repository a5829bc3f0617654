import { describe, expect, it } from "vitest";
import { decodeVmalloc, vmallocBytes } from "../../../formats/kho/vmalloc.js";
import { physAddr } from "../../../src/memory/index.js";
import { dump, Ram } from "../../handover/synthetic/ram.js";
import { contextOf } from "./support.js";

const first = 0x105a40000n;

it("a chunk with one page", () => {
  const ram = new Ram();
  ram.have(first, 4096);
  ram.write(first, dump("0000  00 00 00 00 00 00 00 00  00 10 a4 05 01 00 00 00"));
  const { ctx, findings } = contextOf(ram);
  const area = decodeVmalloc(ctx, { first: physAddr(first), total_pages: 1, flags: 1, order: 0 }, "area");
  expect(area).toEqual({ pfns: [0x105a41], order: 0, complete: true });
  expect(vmallocBytes(area, ctx.abi)).toBe(4096);
  expect(findings).toEqual([]);
});

it("no area", () => {
  const { ctx, findings } = contextOf(new Ram());
  expect(decodeVmalloc(ctx, { first: physAddr(0), total_pages: 0, flags: 0, order: 0 }, "area")).toEqual({
    pfns: [],
    order: 0,
    complete: true,
  });
  expect(findings).toEqual([]);
});

describe.each([
  [4096, 511],
  [16384, 2047],
  [65536, 8191],
])("pages of %i: %i addresses in a chunk", (pageSize, perChunk) => {
  /** Chunks one behind the other, as a writer makes them: a full one is followed by another. */
  function areaOf(addresses: number, order: number) {
    const ram = new Ram();
    const chunks = Math.floor(addresses / perChunk) + 1;
    for (let c = 0; c < chunks; c++) {
      const pa = first + BigInt(c * pageSize);
      ram.have(pa, pageSize);
      if (c + 1 < chunks) ram.u64(pa, pa + BigInt(pageSize));
      for (let i = c * perChunk; i < Math.min((c + 1) * perChunk, addresses); i++)
        ram.u64(
          pa + 8n + BigInt(8 * (i - c * perChunk)),
          0x40_0000_0000n + BigInt(i * pageSize * 2 ** order),
        );
    }
    const { ctx, findings } = contextOf(ram, "7.3", pageSize);
    const area = decodeVmalloc(
      ctx,
      { first: physAddr(first), total_pages: addresses * 2 ** order, flags: 3, order },
      "area",
    );
    return { area, findings, chunks };
  }
  it.each([
    [1, 0, 1],
    [perChunk - 1, 0, 1],
    [perChunk, 0, 2],
    [perChunk + 1, 0, 2],
    [2 * perChunk, 0, 3],
    [perChunk, 9, 2],
  ])("%i addresses of order %i in %i chunks", (addresses, order, count) => {
    const { area, findings, chunks } = areaOf(addresses, order);
    expect(chunks).toBe(count);
    expect(findings).toEqual([]);
    expect(area.complete).toBe(true);
    expect(area.pfns.length).toBe(addresses);
    expect(area.pfns.at(-1)).toBe(0x40_0000_0000 / pageSize + (addresses - 1) * 2 ** order);
    expect(vmallocBytes(area, { byteOrder: "little", pageSize })).toBe(addresses * 2 ** order * pageSize);
  });
});
