import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import wabt from "wabt";
import { type BitmapEdges, fastestEdges, plainEdges, wasmEdges } from "../../../formats/kho/bitmap-edges.js";
import { bitmapEdgesWasm } from "../../../formats/kho/bitmap-edges-wasm.js";

it("the embedded bytes are what the text assembles to", async () => {
  const text = new URL("../../../formats/kho/bitmap-edges.wat", import.meta.url);
  const { parseWat } = await wabt();
  const module = parseWat("bitmap-edges.wat", readFileSync(text, "utf8"), { simd: true });
  expect(Buffer.from(module.toBinary({}).buffer).toString("base64")).toBe(bitmapEdgesWasm);
});

/** Bit by bit. */
function edgesOf(bitmap: Uint8Array): number[] {
  const edges: number[] = [];
  let before = 0;
  for (let bit = 0; bit < bitmap.length * 8; bit++) {
    const now = (bitmap[bit >> 3]! >> (bit & 7)) & 1;
    if (now !== before) edges.push(bit);
    before = now;
  }
  return before === 1 ? [...edges, bitmap.length * 8] : edges;
}

const found = (by: BitmapEdges, bitmap: Uint8Array): number[] => {
  const count = by.find(bitmap);
  return [...by.edges.subarray(0, count)];
};

const ways: [string, BitmapEdges][] = [
  ["WebAssembly", wasmEdges()!],
  ["plain JavaScript", plainEdges()],
];

it("WebAssembly is there where Node is, and is what is used", () => {
  expect(wasmEdges()).toBeDefined();
  const bitmap = Uint8Array.of(0x0f, 0, 0, 0x80);
  expect(found(fastestEdges(), bitmap)).toEqual([0, 4, 31, 32]);
  expect(fastestEdges()).toBe(fastestEdges());
});

/** Stretches of one byte each, so that words, blocks of eight words and edges between them are of all kinds. */
const bitmaps = fc
  .array(
    fc.record({
      byte: fc.oneof(fc.constantFrom(0, 0xff), fc.constantFrom(0x55, 0x80, 0x01, 0x7f), fc.nat(255)),
      length: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 300 })),
    }),
    { maxLength: 30 },
  )
  .map((parts) => {
    const bytes = parts.flatMap(({ byte, length }) => new Array<number>(length).fill(byte));
    return Uint8Array.from(bytes.slice(0, bytes.length & ~3));
  });

/** Bits at random, as many as the density asks for. */
const scattered = fc
  .record({
    words: fc.integer({ min: 1, max: 200 }),
    density: fc.constantFrom(0.001, 0.02, 0.2, 0.5, 0.9, 0.999),
    seed: fc.integer({ min: 1 }),
  })
  .map(({ words, density, seed }) => {
    const bitmap = new Uint8Array(words * 4);
    let state = seed;
    for (let bit = 0; bit < bitmap.length * 8; bit++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      if (state >>> 0 < density * 2 ** 32) bitmap[bit >> 3]! |= 1 << (bit & 7);
    }
    return bitmap;
  });

describe.each(ways)("edges in %s", (_, by) => {
  it("are those that are seen bit by bit", () => {
    fc.assert(
      fc.property(fc.oneof(bitmaps, scattered), fc.nat(3), (bitmap, at) => {
        // Views that are not aligned, among other bytes.
        const around = new Uint8Array(bitmap.length + 8).fill(0xa5);
        around.set(bitmap, at);
        expect(found(by, around.subarray(at, at + bitmap.length))).toEqual(edgesOf(bitmap));
      }),
      { numRuns: 500 },
    );
  });

  it("are found in bitmaps of every length, with what the one before has left behind it", () => {
    const ones = new Uint8Array(1024).fill(0xff);
    for (let length = 0; length <= 520; length += 4) {
      by.find(ones);
      for (const fill of [0, 0xff, 0x55, 0xaa, 0x80, 0x01]) {
        const bitmap = new Uint8Array(length).fill(fill);
        expect([length, fill, ...found(by, bitmap)]).toEqual([length, fill, ...edgesOf(bitmap)]);
      }
    }
  });

  it("are found at every bit of three blocks", () => {
    for (let bit = 0; bit < 3 * 512; bit++) {
      const one = new Uint8Array(192);
      one[bit >> 3] = 1 << (bit & 7);
      expect(found(by, one)).toEqual([bit, bit + 1]);
      const hole = one.map((byte) => byte ^ 0xff);
      const edges = [0, bit, bit + 1, 1536].filter(
        (edge, _, all) => all.indexOf(edge) === all.lastIndexOf(edge),
      );
      expect(found(by, hole)).toEqual(edges);
    }
  });

  it.each([4096, 16384, 65536])("fit for leaves of %i bytes, whatever is in them", (length) => {
    for (const [fill, first, last, count] of [
      [0, undefined, undefined, 0],
      [0xff, 0, length * 8, 2],
      [0x55, 0, length * 8 - 1, length * 8],
      [0xaa, 1, length * 8, length * 8],
    ] as const) {
      const edges = found(by, new Uint8Array(length).fill(fill));
      expect([fill, edges[0], edges.at(-1), edges.length]).toEqual([fill, first, last, count]);
    }
  });
});
