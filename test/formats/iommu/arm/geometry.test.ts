import { describe, expect, it } from "vitest";
import {
  type KernelPages,
  type SmmuCapabilities,
  stage1Domain,
  stage2Domain,
} from "../../../../formats/iommu/arm/geometry.js";
import { sl0Of } from "../../../../formats/iommu/arm/page-tables.js";
import { newDomain } from "../../../../formats/iommu/domain.js";
import { isKhoError } from "../../../../src/report/error.js";
import { newStore } from "../store.js";

/** Start levels, as the specification counts them (from the top, down to 3), and bits of the index of the top level. */
const secondStages: readonly (readonly [
  outputBits: number,
  granuleLg2: number,
  start: number,
  pgdBits: number,
  SL0: number,
])[] = [
  [32, 12, 1, 2, 1],
  [32, 14, 2, 7, 1],
  [32, 16, 2, 3, 1],
  [36, 12, 1, 6, 1],
  [36, 14, 2, 11, 1],
  [36, 16, 2, 7, 1],
  [40, 12, 1, 10, 1],
  [40, 14, 2, 15, 1],
  [40, 16, 2, 11, 1],
  [42, 12, 1, 12, 1],
  [42, 14, 1, 6, 2],
  [42, 16, 2, 13, 1],
  [44, 12, 0, 5, 2],
  [44, 14, 1, 8, 2],
  [44, 16, 1, 2, 2],
  [48, 12, 0, 9, 2],
  [48, 14, 1, 12, 2],
  [48, 16, 1, 6, 2],
  [52, 16, 1, 10, 2],
];

describe("stage 2", () => {
  it.each(secondStages)(
    "%d bits, granule 2^%d: start %d, %d bits, SL0 %d",
    (outputBits, granuleLg2, start, pgdBits, SL0) => {
      const options = stage2Domain({ granules: [granuleLg2], outputBits }, { pageLg2: granuleLg2 });
      expect(options).toMatchObject({ levels: 4 - start, vaBits: outputBits, paBits: outputBits });
      expect(sl0Of(granuleLg2, options.levels)).toBe(SL0);
      // Tables of fewer entries than fill a page take one all the same.
      const store = newStore();
      newDomain(options, store);
      expect([...store.tables.values()]).toEqual([Math.max(4096, 8 * 2 ** pgdBits)]);
    },
  );

  it("4K and 16K granules have 48 bits, whatever the SMMU has", () => {
    for (const granuleLg2 of [12, 14])
      expect(stage2Domain({ granules: [granuleLg2], outputBits: 52 }, { pageLg2: 12 })).toMatchObject({
        vaBits: 48,
        paBits: 48,
      });
  });

  it("up to 6.18 input addresses have 40 bits where the SMMU has AArch32's tables, too", () => {
    const smmu: SmmuCapabilities = { granules: [12], outputBits: 36, countsAArch32: true };
    expect(stage2Domain(smmu, { pageLg2: 12 })).toMatchObject({ levels: 4, vaBits: 40, paBits: 36 });
    expect(stage2Domain({ ...smmu, outputBits: 44 }, { pageLg2: 12 })).toMatchObject({
      vaBits: 44,
      paBits: 44,
    });
    expect(stage1Domain(smmu, { pageLg2: 12, vaBits: 48 }).paBits).toBe(40);
  });
});

describe("stage 1", () => {
  it.each([
    [12, false, 48, 4, 48],
    [12, false, 39, 3, 39],
    [14, false, 48, 4, 48],
    [16, false, 48, 3, 48],
    [16, true, 52, 3, 52],
    // Without VAX there are 48 bits, and with less than 64K as well.
    [16, false, 52, 3, 48],
    [12, true, 52, 4, 48],
    [14, true, 47, 3, 47],
    [16, true, 42, 2, 42],
  ])(
    "granule 2^%d, VAX %s, kernel with %d bits: %d levels, %d bits",
    (granuleLg2, vax, vaBits, levels, expected) => {
      const smmu = { granules: [granuleLg2], outputBits: 48, vax };
      expect(stage1Domain(smmu, { pageLg2: granuleLg2, vaBits })).toMatchObject({ levels, vaBits: expected });
    },
  );
});

describe("page sizes", () => {
  it.each([
    [12, 48, 0x40201000n],
    [14, 48, 0x02004000n],
    [16, 48, 0x20010000n],
    [16, 44, 0x20010000n],
    [16, 52, 0x40020010000n],
    [12, 52, 0x40201000n],
  ])("granule 2^%d, %d bits: %d", (granuleLg2, outputBits, bitmap) => {
    const smmu = { granules: [granuleLg2], outputBits };
    expect(stage1Domain(smmu, { pageLg2: granuleLg2, vaBits: 48 }).pgsizeBitmap).toBe(bitmap);
    expect(stage2Domain(smmu, { pageLg2: granuleLg2 }).pgsizeBitmap).toBe(bitmap);
  });
});

describe("granules", () => {
  it.each([
    [[12, 14, 16], 14, 14],
    [[12, 16], 14, 12],
    [[12, 14], 16, 14],
    [[16, 14], 12, 14],
    [[16], 12, 16],
  ])("of %j with pages of 2^%d bytes: 2^%d", (granules, pageLg2, granuleLg2) => {
    const kernel: KernelPages = { pageLg2, vaBits: 48 };
    expect(stage1Domain({ granules, outputBits: 48 }, kernel).format.granuleLg2).toBe(granuleLg2);
  });
});

it.each([
  { granules: [], outputBits: 48 },
  { granules: [13], outputBits: 48 },
  { granules: [12], outputBits: 39 },
])("no SMMU is %j", (smmu) => {
  const kernel: KernelPages = { pageLg2: 12, vaBits: 48 };
  for (const make of [stage1Domain, stage2Domain]) {
    let error: unknown;
    try {
      make(smmu, kernel);
    } catch (thrown) {
      error = thrown;
    }
    expect(isKhoError(error, "usage")).toBe(true);
  }
});
