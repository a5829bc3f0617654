/** Structures that no kernel writes: whatever they say, reading them ends, and no error but a typed one comes out. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openVtd } from "../../../../formats/iommu/vtd/devices.js";
import { dmarTranslationStruct, domainTranslationStruct } from "../../../../formats/iommu/vtd/text.js";
import { type PhysAddr, sparseMemory } from "../../../../src/memory/index.js";
import { codes } from "../../../../src/report/codes.js";
import { isKhoError } from "../../../../src/report/error.js";
import { contextOver } from "../context.js";
import { codesIn, wordsOf } from "./support.js";

const pages = 6;
const limits = { maxRecords: 300, maxTables: 50, maxSharedTables: 20, maxFindings: 100 };

/** Mostly nothing, else a pointer to one of the pages with some bits, or anything. */
const word = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0n) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: pages }), fc.bigInt({ min: 0n, max: 0xfffn }))
      .map(([page, bits]) => (BigInt(page + 1) << 12n) | bits),
  },
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
);
/** A pattern that fills a page, so that few words reach every place, and some that break it. */
const page = fc
  .tuple(
    fc.array(word, { minLength: 1, maxLength: 16 }),
    fc.array(fc.tuple(fc.nat(511), word), { maxLength: 8 }),
  )
  .map(([pattern, others]) => {
    const words = Array.from({ length: 512 }, (_, i) => pattern[i % pattern.length]!);
    for (const [i, other] of others) words[i] = other;
    return words;
  });
const register = fc.oneof(fc.constantFrom(0x1000n, 0x1400n), word);

describe("any pages", () => {
  it("are read to an end", () => {
    fc.assert(
      fc.property(fc.array(page, { minLength: 1, maxLength: pages }), register, (contents, root) => {
        const memory = sparseMemory();
        for (const [i, words] of contents.entries())
          memory.write(BigInt((i + 1) << 12) as PhysAddr, wordsOf(...words));
        const { ctx, findings } = contextOver(memory, limits);
        try {
          const unit = openVtd(ctx, { root });
          const entries = [...unit.devices()];
          expect(entries.length).toBeLessThanOrEqual(limits.maxRecords);
          for (const entry of entries.slice(0, 5)) {
            expect(unit.device(entry.device, entry.pasid)).toEqual(entry);
            for (const { layout, bytes } of entry.words)
              expect([layout.name, bytes.length % 8]).toEqual([layout.name, 0]);
            const of = { device: entry.device, pasid: entry.pasid ?? 0 };
            expect([...domainTranslationStruct(ctx, { root }, of)].length).toBeLessThan(50 * 512);
          }
          const lines = [...dmarTranslationStruct(ctx, { root }, "dmar0")];
          expect(lines.length).toBeLessThanOrEqual(limits.maxRecords + 3);
        } catch (error) {
          if (!isKhoError(error, "iommu-root-malformed")) throw error;
        }
        for (const code of codesIn(findings)) expect(code in codes).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

describe("one page for many", () => {
  /** Every bus has one context table, every device one directory of 2^14 entries, these one PASID table. */
  const shared = (pasidTable: bigint | undefined, ...entry: readonly bigint[]) => {
    const memory = sparseMemory();
    const fill = (pa: bigint, words: readonly bigint[]) =>
      memory.write(
        pa as PhysAddr,
        wordsOf(...Array.from({ length: 512 }, (_, i) => words[i % words.length]!)),
      );
    fill(0x1000n, [0x2001n]);
    fill(0x2000n, [0x100000e09n, 0n, 0n, 0n]);
    for (let i = 0n; i < 32n; i++) fill(0x100000000n + (i << 12n), [(pasidTable ?? 0x3000n) | 1n]);
    if (pasidTable !== undefined) fill(pasidTable, entry);
    return memory;
  };

  it.each([
    ["tables of entries", shared(0x3000n, 0x123456089n, 2n, 0n, 0n, 0n, 0n, 0n, 0n), 19_000],
    ["tables of nothing", shared(0x3000n, 0n), 1],
    ["tables that are missing", shared(undefined), 1],
    ["tables of what no hardware takes", shared(0x3000n, 0xffffffffffffffffn), 19_000],
  ])("%s: ends with the limit, and few findings", (_, memory, least) => {
    const { ctx, findings } = contextOver(memory, { maxRecords: 20_000, maxFindings: 1000 });
    const count = [...openVtd(ctx, { root: 0x1400n }).devices()].length;
    expect(count).toBeGreaterThanOrEqual(least);
    expect(count).toBeLessThanOrEqual(20_000);
    expect(codesIn(findings)).toContain("limit-exceeded");
    expect(findings.length).toBeLessThanOrEqual(1001);
    const text = contextOver(memory, { maxRecords: 20_000 });
    expect([...dmarTranslationStruct(text.ctx, { root: 0x1400n }, "dmar0")].length).toBeLessThanOrEqual(
      20_003,
    );
    expect(codesIn(text.findings)).toContain("limit-exceeded");
  });
});
