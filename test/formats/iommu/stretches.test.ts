import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import wabt from "wabt";
import { plainStretches, wasmStretches } from "../../../formats/iommu/stretches.js";
import { stretchesWasm } from "../../../formats/iommu/stretches-wasm.js";

it("the embedded bytes are what the text assembles to", async () => {
  const text = new URL("../../../formats/iommu/stretches.wat", import.meta.url);
  const { parseWat } = await wabt();
  const module = parseWat("stretches.wat", readFileSync(text, "utf8"), { simd: true });
  expect(Buffer.from(module.toBinary({}).buffer).toString("base64")).toBe(stretchesWasm);
});

/** Entries that mostly continue each other, across 32 bits too, with bits in them that nobody looks at. */
const entries = fc
  .array(
    fc.record({
      from: fc.oneof(
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        fc.constant(0xffff_f000n),
        fc.constant(0n),
      ),
      count: fc.integer({ min: 1, max: 40 }),
      noise: fc.integer({ min: 0, max: 15 }),
    }),
    { minLength: 1, maxLength: 20 },
  )
  .map((parts) => {
    const words: bigint[] = [];
    for (const { from, count, noise } of parts)
      for (let i = 0; i < count; i++)
        words.push(
          BigInt.asUintN(64, from === 0n ? 0n : from + BigInt(i) * 0x1000n + BigInt((noise * i) & 0x60)),
        );
    return words.slice(0, 512);
  });

describe("WebAssembly and plain JavaScript", () => {
  const wasm = wasmStretches();
  it("is there where Node is", () => expect(wasm).toBeDefined());

  it("split tables alike", () => {
    fc.assert(
      fc.property(entries, fc.constantFrom(1, 3), fc.boolean(), (words, present, every) => {
        const bytes = new Uint8Array(words.length * 8);
        const view = new DataView(bytes.buffer);
        for (const [i, word] of words.entries()) view.setBigUint64(8 * i, word, true);
        const [maskLo, maskHi] = every ? [-1, -1] : [0xfffff003 | 0, 0xfffff];
        const found = [plainStretches(), wasm!].map((stretches) => {
          stretches.load(bytes);
          const count = stretches.split(present, maskLo, maskHi, 0x1000);
          return [...stretches.pairs.subarray(0, 2 * count)];
        });
        expect(found[1]).toEqual(found[0]);
      }),
      { numRuns: 500 },
    );
  });

  it("finds what is there, by hand", () => {
    const words = [0n, 0x1003n, 0x2003n, 0x3003n, 0x5003n, 0n, 0xffff_f003n, 0x1_0000_0003n, 0x1_0000_1001n];
    const bytes = new Uint8Array(words.length * 8);
    const view = new DataView(bytes.buffer);
    for (const [i, word] of words.entries()) view.setBigUint64(8 * i, word, true);
    for (const stretches of [plainStretches(), wasm!]) {
      expect(stretches.load(bytes)).toHaveLength(18);
      const count = stretches.split(1, -1, -1, 0x1000);
      expect([...stretches.pairs.subarray(0, 2 * count)]).toEqual([1, 3, 4, 1, 6, 2, 8, 1]);
    }
  });
});
