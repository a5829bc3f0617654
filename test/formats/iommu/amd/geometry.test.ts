import { describe, expect, it } from "vitest";
import {
  deviceTableBytes,
  gcr3LevelsFor,
  guestLevels,
  type PageSizes,
  v1Options,
  v2Options,
} from "../../../../formats/iommu/amd/geometry.js";

/** Extended features with HATS in bits 11:10 and GATS in bits 13:12. */
const efr = (HATS: bigint, GATS = 0n) => (HATS << 10n) | (GATS << 12n) | 0x3n;

describe("v1 tables", () => {
  it.each([
    [0n, undefined, 48, 0x00007f7ffffff000n],
    [1n, undefined, 57, 0x000fff7ffffff000n],
    [2n, undefined, 64, 0x000fff7ffffff000n],
    [2n, 48, 48, 0x00007f7ffffff000n],
    [1n, 64, 57, 0x000fff7ffffff000n],
    [0n, 64, 48, 0x00007f7ffffff000n],
  ])("HATS %s and VASize %s: %i bits", (HATS, vaSize, vaBits, pgsizeBitmap) => {
    const options = v1Options({ efr: efr(HATS), ...(vaSize !== undefined && { vaSize }) });
    expect(options).toMatchObject({ levels: 3, vaBits, paBits: 52, pgsizeBitmap, grows: true });
  });

  it("HATS 3: there are none", () => expect(v1Options({ efr: efr(3n) })).toBeUndefined());

  it.each<[PageSizes, bigint]>([
    ["all", 0x00007f7ffffff000n],
    ["nohugepages", 0x1000n],
    ["v2_pgsizes_only", 0x40201000n],
  ])("amd_iommu=%s", (pageSizes, pgsizeBitmap) =>
    expect(v1Options({ efr: efr(0n) }, { pageSizes })).toMatchObject({ pgsizeBitmap }),
  );

  it("up to 6.18 leaves do not depend on the width", () =>
    expect(v1Options({ efr: efr(0n) }, { anyWidth: true })).toMatchObject({
      vaBits: 48,
      pgsizeBitmap: 0x000fff7ffffff000n,
    }));
});

describe("v2 tables", () => {
  it.each([
    [0n, true, 4, 47],
    [1n, false, 4, 47],
    [1n, true, 5, 56],
  ])("GATS %s and five levels of the CPU %s", (GATS, la57, levels, vaBits) => {
    const capabilities = { efr: efr(2n, GATS), la57 };
    expect(guestLevels(capabilities)).toBe(levels);
    expect(v2Options(capabilities)).toMatchObject({ levels, vaBits, paBits: 52, pgsizeBitmap: 0x40201000n });
  });

  const smeMask = 1n << 51n;
  it.each([
    [12, 3, 0x200000n, 0x0008000200000067n],
    [21, 1, 0x240000n, 0x00080002400000a5n],
    [30, 3, 0x280000n, 0x00080002800000e7n],
  ])("a leaf of 2^%i bytes with prot %i", (lg2, prot, frame, word) =>
    expect(v2Options({ efr: 0n, smeMask }).format.leafWord(Number(frame), lg2, prot)).toBe(word),
  );

  it.each([
    [12, 0x65n],
    [21, 0xe5n],
    [30, 0xe5n],
  ])("up to 6.18 a leaf of 2^%i bytes that cannot be written is dirty, too", (lg2, word) =>
    expect(v2Options({ efr: 0n }, true).format.leafWord(0, lg2, 1)).toBe(word),
  );

  it("an entry that leads to a table", () =>
    expect(v2Options({ efr: 0n, smeMask }).format.tableWord(0x100001, 1)).toBe(0x0008000100001027n));
});

describe("device structures", () => {
  it.each([
    [0, 0x1000],
    [0x7f, 0x1000],
    [0x80, 0x2000],
    [0x2ff, 0x8000],
    [0xffff, 0x200000],
  ])("a device table up to 0x%x has %i bytes", (lastBdf, bytes) =>
    expect(deviceTableBytes(lastBdf)).toBe(bytes),
  );

  it.each([
    [1, 1],
    [512, 1],
    [513, 2],
    [65536, 2],
    [2 ** 18, 2],
    [2 ** 18 + 1, 3],
    [2 ** 20, 3],
  ])("%i PASIDs take a GCR3 table of %i levels", (pasids, levels) =>
    expect(gcr3LevelsFor(pasids)).toBe(levels),
  );
});
