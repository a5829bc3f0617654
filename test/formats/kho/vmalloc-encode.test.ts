import { describe, expect, it } from "vitest";
import { encodeVmalloc, encodeVmallocContent, vmallocChunks } from "../../../formats/kho/vmalloc-encode.js";
import { dump } from "../../handover/synthetic/ram.js";
import { failure } from "../../layout/support.js";
import { pas, targetOf } from "../target.js";
import { abiOf } from "./support.js";

describe("the list of a preserved vmalloc area", () => {
  it("with one page", () => {
    const target = targetOf();
    expect(encodeVmalloc(target, pas(0x105a40000), [0x105a41], 0)).toEqual({
      first: 0x105a40000n,
      total_pages: 1,
      flags: 1,
      order: 0,
    });
    const page = new Uint8Array(4096);
    page.set(dump("0000  00 00 00 00 00 00 00 00  00 10 a4 05 01 00 00 00"));
    expect(target.at(0x105a40000, 4096)).toEqual(page);
    expect(target.left).toEqual([]);
  });

  it("of nothing", () => {
    const target = targetOf();
    expect(encodeVmalloc(target, [], [], 0)).toEqual({ first: 0n, total_pages: 0, flags: 0, order: 0 });
    expect(target.memory.ranges).toEqual([]);
  });

  it("of larger blocks, which only a mapping that allows them has", () => {
    const descriptor = encodeVmalloc(targetOf(), pas(0x1000), [512, 2048], 9);
    expect(descriptor).toEqual({ first: 0x1000n, total_pages: 1024, flags: 3, order: 9 });
  });

  it.each([
    [4096, 511],
    [16384, 2047],
    [65536, 8191],
  ])("has, with pages of %i, %i addresses in a chunk, and an empty one behind a full one", (size, most) => {
    const abi = abiOf(size);
    const counts = [0, 1, most - 1, most, most + 1, 2 * most - 1, 2 * most];
    expect(counts.map((count) => vmallocChunks(count, abi))).toEqual([0, 1, 1, 2, 2, 2, 3]);
    const target = targetOf("7.3", size);
    const chunks = pas(0x10000, 0x80000);
    encodeVmalloc(
      target,
      chunks,
      Array.from({ length: most }, (_, i) => i + 1),
      0,
    );
    const view = new DataView(target.at(0x10000, size).slice().buffer);
    expect(view.getBigUint64(0, true)).toBe(0x80000n);
    expect(view.getBigUint64(8, true)).toBe(BigInt(size));
    expect(view.getBigUint64(size - 8, true)).toBe(BigInt(most * size));
    expect(target.at(0x80000, size)).toEqual(new Uint8Array(size));
  });

  it("is refused with what it cannot hold", () => {
    const wrong = (chunks: number[], pfns: number[], order = 0) =>
      failure(() => encodeVmalloc(targetOf(), pas(...chunks), pfns, order));
    expect(wrong([], [1])).toMatchObject({ code: "value-range", path: "kho_vmalloc.chunks" });
    expect(wrong([0x1000], [])).toMatchObject({ code: "value-range", path: "kho_vmalloc.chunks" });
    expect(wrong([0x1000], [1, 0])).toMatchObject({ code: "value-range", path: "kho_vmalloc.phys[1]" });
    expect(wrong([0x1000], [2 ** 52])).toMatchObject({ code: "value-range", path: "kho_vmalloc.phys[0]" });
    expect(wrong([0x1000], [1], 32)).toMatchObject({ code: "value-range", path: "kho_vmalloc.total_pages" });
  });
});

describe("the contents of an area", () => {
  const fill = (bytes: Uint8Array, offset: number) => bytes.fill(1 + offset / 4096);
  it("go page by page through its blocks; what is behind them is left", () => {
    const target = targetOf();
    encodeVmallocContent(target, { pfns: [8, 4, 12], order: 1 }, 3 * 4096 + 16, fill);
    expect([...new Set(target.at(0x8000, 4096))]).toEqual([1]);
    expect([...new Set(target.at(0x9000, 4096))]).toEqual([2]);
    expect([...new Set(target.at(0x4000, 4096))]).toEqual([3]);
    expect([...new Set(target.at(0x5000, 16))]).toEqual([4]);
    expect(target.left).toEqual(["array-tail 0x5010 4080", "array-tail 0xc000 8192"]);
  });
  it("may be none, and may not be more than there is room for", () => {
    const target = targetOf();
    encodeVmallocContent(target, { pfns: [8], order: 0 }, 0, fill);
    expect(target.left).toEqual(["array-tail 0x8000 4096"]);
    expect(failure(() => encodeVmallocContent(target, { pfns: [8], order: 0 }, 4097, fill)).code).toBe(
      "value-range",
    );
  });
});
