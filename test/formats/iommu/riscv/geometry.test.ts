import { describe, expect, it } from "vitest";
import { newDomain } from "../../../../formats/iommu/domain.js";
import { mapTable } from "../../../../formats/iommu/map.js";
import { riscvDomain } from "../../../../formats/iommu/riscv/geometry.js";
import { newStore } from "../store.js";
import { vectors } from "../vectors.js";

const sv39 = 1n << 9n;
const sv48 = 1n << 10n;
const sv57 = 1n << 11n;
const hwad = 1n << 24n;

describe("since 7.1 the largest scheme that is offered is taken", () => {
  it.each([
    ["Sv39", sv39, 3, 39, 0x40211000n],
    ["Sv48", sv48, 4, 48, 0x8040211000n],
    ["Sv57", sv57, 5, 57, 0x1008040211000n],
    ["Sv39 and Sv48", sv39 | sv48, 4, 48, 0x8040211000n],
    ["all", sv39 | sv48 | sv57, 5, 57, 0x1008040211000n],
    ["Sv57 and Sv39", sv57 | sv39 | hwad, 5, 57, 0x1008040211000n],
  ])("%s", (_, capabilities, levels, vaBits, pgsizeBitmap) =>
    expect(riscvDomain({ capabilities })).toMatchObject({
      levels,
      vaBits,
      paBits: 56,
      signExtend: true,
      pgsizeBitmap,
    }),
  );

  it("none is no domain", () => expect(riscvDomain({ capabilities: hwad })).toBeUndefined());

  it.each(vectors.filter(({ format }) => format === "riscv64"))("as for $name", ({ config }) => {
    const capabilities = { 39: sv39, 48: sv48, 57: sv57 }[config.vaBits]!;
    const { format: _, ...geometry } = riscvDomain({ capabilities })!;
    expect(geometry).toEqual({
      levels: config.levels,
      vaBits: config.vaBits,
      paBits: config.paBits,
      signExtend: config.signExtend,
      pgsizeBitmap: BigInt(config.pgsizeBitmap),
    });
  });
});

describe("up to 7.0", () => {
  it.each([
    ["Sv39", sv39, 3, 38, 0x40201000n],
    ["Sv48", sv48, 4, 47, 0x8040201000n],
    ["Sv57", sv57, 5, 56, 0x8040201000n],
  ])("%s: the lower half, without 64 KiB", (_, capabilities, levels, vaBits, pgsizeBitmap) =>
    expect(riscvDomain({ capabilities, before71: true })).toMatchObject({
      levels,
      vaBits,
      signExtend: false,
      pgsizeBitmap,
    }),
  );
});

/** Leaves of a page that is mapped with `prot`, without their address. */
const leafOf = (capabilities: bigint, before71: boolean, prot: number): bigint => {
  const store = newStore();
  const domain = newDomain(riscvDomain({ capabilities, before71 })!, store)!;
  expect(mapTable(domain, 0n, 0x200000000n, 0x1000n, prot)).toEqual({ mapped: 0x1000n });
  const leaves = [...store.tables.keys()].at(-1)!;
  const bytes = store.read(leaves as never, 8);
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true) - (0x200000000n >> 2n);
};

it.each([
  ["7.1, read and write", sv39, false, 3, 0xdfn],
  ["7.1, read", sv39, false, 1, 0x5bn],
  ["7.1, write", sv39, false, 2, 0xdfn],
  ["7.1, read, write, no execution", sv39, false, 11, 0xd7n],
  ["7.1, read, no execution", sv39, false, 9, 0x53n],
  ["7.1 where the unit keeps dirty bits", sv39 | hwad, false, 3, 0xdfn],
  ["7.0, read", sv39, true, 1, 0x53n],
  ["7.0, read and write", sv39, true, 3, 0xd7n],
  ["7.0, read and write where the unit keeps dirty bits", sv39 | hwad, true, 3, 0x57n],
] as const)("a leaf of %s", (_, capabilities, before71, prot, word) =>
  expect(leafOf(capabilities, before71, prot)).toBe(word),
);
