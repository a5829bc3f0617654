import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeIommufd,
  domainIndex,
  encodeIommufd,
  type IommufdVariant,
} from "../../../../formats/proposed/iommu/iommufd.js";
import { physAddr, type SparseMemory, sparseMemory } from "../../../../src/memory/index.js";
import { failure, hexBytes } from "../../../layout/support.js";
import { targetOf } from "../../target.js";
import { codesOf, differences, reading } from "./support.js";

const at = physAddr(0x20000);
const memoryOf = (text: string): SparseMemory => {
  const memory = sparseMemory();
  memory.write(at, hexBytes(text));
  return memory;
};

const blocks: Record<IommufdVariant, string> = {
  1: `02000000
    44332211 1020010000000000 00
    05000000 3120010000000000 01`,
  2: `0200000000000000
    1020010000000000 4433221100000000 00 00000000000000
    3120010000000000 0500000000000000 01 00000000000000`,
};
const hwpts = [
  { token: 0x11223344n, domainPa: physAddr(0x12010), reclaimed: 0 },
  { token: 5n, domainPa: physAddr(0x12031), reclaimed: 1 },
];

describe.each([1, 2] as const)("variant %i", (variant) => {
  it("reads", () => {
    const { ctx, findings } = reading(memoryOf(blocks[variant]));
    expect(decodeIommufd(ctx, variant, at, "file")).toEqual({ hwpts });
    expect(findings.map(({ severity, code, path }) => [severity, code, path])).toEqual([
      ["info", "iommu-state-value", "file.hwpts[1].reclaimed"],
    ]);
    expect(ctx.claims.all).toMatchObject([{ pa: at, pages: 1, keeping: 0, path: "file" }]);
  });

  it("is written", () => {
    const target = targetOf();
    encodeIommufd(target, variant, at, { hwpts });
    expect(differences(target.memory, memoryOf(blocks[variant]))).toEqual([]);
    expect(target.left).toEqual([]);
  });

  it("leads to the domains of a state", () => {
    const domain = { refCount: 1, flags: 0, topTablePa: physAddr(0x16000), topLevel: 2n };
    const index = domainIndex({
      domains: [
        { ...domain, pa: physAddr(0x12031), flags: 1 },
        { ...domain, pa: physAddr(0x12010) },
      ],
    });
    const { ctx, findings } = reading(memoryOf(blocks[variant]));
    expect(decodeIommufd(ctx, variant, at, "file", index)!.hwpts.map(({ domain }) => domain)).toEqual([1, 0]);
    expect(findings.filter(({ severity }) => severity === "error")).toMatchObject([
      {
        code: "iommu-state-link",
        path: "file.hwpts[1].domainPa",
        actual: "0x12031",
        pa: at + [0n, 17n, 32n][variant]!,
      },
    ]);
    const other = reading(memoryOf(blocks[variant]));
    decodeIommufd(other.ctx, variant, at, "file", domainIndex({ domains: [] }));
    expect(codesOf(other.findings).filter((code) => code === "iommu-state-link").length).toBe(2);
  });

  it("any block comes back", () => {
    const hwpt = fc.record({
      token: fc.bigInt({ min: 0n, max: variant === 1 ? 0xffff_ffffn : 2n ** 64n - 1n }),
      domainPa: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(physAddr),
      reclaimed: fc.nat(255),
    });
    fc.assert(
      fc.property(fc.array(hwpt, { maxLength: 400 }), (list) => {
        const target = targetOf();
        encodeIommufd(target, variant, at, { hwpts: list });
        const { ctx } = reading(target.memory);
        expect(decodeIommufd(ctx, variant, at, "file")).toEqual({ hwpts: list });
      }),
      { numRuns: 30 },
    );
  });

  it("two page tables with one token", () => {
    const target = targetOf();
    encodeIommufd(target, variant, at, { hwpts: [hwpts[0]!, hwpts[0]!] });
    const { ctx, findings } = reading(target.memory);
    decodeIommufd(ctx, variant, at, "file");
    expect(codesOf(findings)).toEqual(["iommu-state-duplicate"]);
  });

  it("takes the pages that an allocator gives", () => {
    const sizes = { 1: [4, 13], 2: [8, 24] }[variant] as [number, number];
    for (const [pages, order] of [
      [1, 0],
      [2, 1],
      [4, 2],
      [8, 3],
    ] as const) {
      const count = Math.floor((4096 * pages - sizes[0]) / sizes[1]);
      const list = Array.from({ length: count }, (_, i) => ({ ...hwpts[0]!, token: BigInt(i) }));
      const target = targetOf();
      encodeIommufd(target, variant, at, { hwpts: list });
      expect(target.memory.ranges).toEqual([{ pa: at, size: BigInt(4096 * pages) }]);
      const { ctx } = reading(target.memory);
      decodeIommufd(ctx, variant, at, "file");
      expect(ctx.claims.all).toMatchObject([{ pages, keeping: order }]);
      const next = targetOf();
      encodeIommufd(next, variant, at, { hwpts: [...list, hwpts[1]!] });
      expect(next.memory.ranges).toEqual([{ pa: at, size: BigInt(8192 * pages) }]);
    }
  });

  it("a number that no memory holds, and blocks that are not there, cut off, or read before", () => {
    const huge = reading(memoryOf("ff ff ff ff ff ff ff ff"));
    expect(decodeIommufd(huge.ctx, variant, at, "file")).toBeUndefined();
    expect(codesOf(huge.findings)).toEqual(["limit-exceeded"]);

    const absent = reading(sparseMemory());
    expect(decodeIommufd(absent.ctx, variant, at, "file")).toBeUndefined();
    expect(codesOf(absent.findings)).toEqual(["memory-absent"]);

    const cut = reading(memoryOf("00 10 00 00 00 00 00 00"));
    expect(decodeIommufd(cut.ctx, variant, at, "file")).toBeUndefined();
    expect(codesOf(cut.findings)).toEqual(["memory-absent"]);

    const twice = reading(memoryOf(blocks[variant]));
    decodeIommufd(twice.ctx, variant, at, "file");
    expect(decodeIommufd(twice.ctx, variant, at, "other")).toBeUndefined();
    expect(codesOf(twice.findings)).toContain("structure-reused");
  });

  it("refuses what does not fit, and writes nothing", () => {
    const target = targetOf();
    const wrong = { ...hwpts[0]!, reclaimed: 256 };
    expect(failure(() => encodeIommufd(target, variant, at, { hwpts: [hwpts[0]!, wrong] }))).toMatchObject({
      code: "value-range",
      path: "hwpts[1].reclaimed",
    });
    expect(failure(() => encodeIommufd(target, variant, physAddr(at + 8n), { hwpts })).code).toBe(
      "value-range",
    );
    expect(target.memory.ranges).toEqual([]);
  });
});

it("tokens of variant 1 have 32 bits", () => {
  const wide = { ...hwpts[0]!, token: 1n << 32n };
  expect(failure(() => encodeIommufd(targetOf(), 1, at, { hwpts: [wide] })).path).toBe("hwpts[0].token");
});
