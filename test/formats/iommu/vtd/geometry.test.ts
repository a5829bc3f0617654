import { describe, expect, it } from "vitest";
import { abilitiesOf } from "../../../../formats/iommu/vtd/capabilities.js";
import { firstStageDomain, secondStageDomain, vtdDomain } from "../../../../formats/iommu/vtd/geometry.js";
import { kernelOf } from "../../../../formats/kernels.js";
import { capabilitiesOf, capturedUnit, legacyUnit, scalableUnit, type UnitTraits } from "./units.js";

/** Levels and bits of input addresses. */
type Size = readonly [levels: number, vaBits: number] | undefined;
const sizeOf = (options: ReturnType<typeof vtdDomain>): Size => options && [options.levels, options.vaBits];

describe("height and width of second-stage tables", () => {
  /** By the rules for 6.19 and later, and for 6.18: that is the widest that the unit has. */
  const rows: readonly (readonly [sagaw: number, mgaw: number, since619: Size, until618: Size])[] = [
    [0b0010, 39, [3, 39], [3, 39]],
    [0b0010, 48, [3, 39], [3, 39]],
    [0b0010, 31, [3, 31], [3, 31]],
    [0b0010, 30, undefined, [3, 30]],
    // The taller table where the unit has both.
    [0b0110, 39, [4, 39], [4, 39]],
    [0b0110, 36, [4, 36], [4, 36]],
    [0b1010, 39, [5, 39], [5, 39]],
    [0b0100, 39, [4, 39], [4, 39]],
    [0b0100, 48, [4, 48], [4, 48]],
    [0b0110, 48, [4, 48], [4, 48]],
    [0b0110, 40, [4, 40], [4, 40]],
    [0b1110, 48, [5, 48], [5, 48]],
    [0b1000, 45, [5, 45], [5, 45]],
    [0b0110, 57, [4, 48], [4, 48]],
    [0b1110, 52, [5, 52], [5, 52]],
    [0b1110, 57, [5, 57], [5, 57]],
    [0b1000, 64, [5, 57], [5, 57]],
    [0b1110, 39, [4, 39], [5, 39]],
    [0b0000, 48, undefined, undefined],
  ];
  it.each(rows)("sagaw %i, %i bits", (sagaw, mgaw, since619, until618) => {
    const unit = capabilitiesOf({ ...legacyUnit, sagaw, mgaw });
    expect(sizeOf(secondStageDomain(unit))).toEqual(since619);
    expect(sizeOf(secondStageDomain(unit, { kernel: kernelOf("6.18") }))).toEqual(until618);
  });
});

describe("height and width of first-stage tables", () => {
  it.each<readonly [string, UnitTraits, Size]>([
    ["48 bits", {}, [4, 48]],
    ["39 bits", { mgaw: 39 }, [4, 39]],
    ["57 bits, which five levels take", { mgaw: 57, fiveLevels: true }, [5, 57]],
    ["52 bits, which five levels take", { mgaw: 52, fiveLevels: true }, [5, 52]],
    ["57 bits and no five levels", { mgaw: 57 }, [4, 48]],
    ["48 bits and five levels", { mgaw: 48, fiveLevels: true }, [4, 48]],
  ])("%s", (_, traits, size) => {
    const options = firstStageDomain(capabilitiesOf({ ...scalableUnit, ...traits }))!;
    expect(sizeOf(options)).toEqual(size);
    expect(options.signExtend).toBe(true);
  });
});

describe("the address width of a unit as a whole", () => {
  it.each<readonly [string, UnitTraits, number | undefined]>([
    ["legacy mode: the widest of its second stage", { ...legacyUnit, sagaw: 0b1110 }, 3],
    ["39 bits alone", { ...legacyUnit, sagaw: 0b0010 }, 1],
    ["nothing that the driver knows", { ...legacyUnit, sagaw: 0b10000 }, undefined],
    ["scalable mode without a first stage", { ...scalableUnit, firstStage: false, sagaw: 0b1110 }, 3],
    ["first stage alone", { ...scalableUnit, secondStage: false, sagaw: 0 }, 2],
    [
      "first stage alone, five levels",
      { ...scalableUnit, secondStage: false, fiveLevels: true, sagaw: 0 },
      3,
    ],
    ["both: what both have", { ...scalableUnit, sagaw: 0b1110 }, 2],
    ["both, five levels", { ...scalableUnit, sagaw: 0b1110, fiveLevels: true }, 3],
    ["both, and nothing in common", { ...scalableUnit, sagaw: 0b0010 }, undefined],
  ])("%s", (_, traits, agaw) => expect(abilitiesOf(capabilitiesOf(traits)).agaw).toBe(agaw));
});

describe("sizes of pages", () => {
  it.each<readonly [string, UnitTraits, bigint, bigint]>([
    ["all", scalableUnit, 0x40201000n, 0x40201000n],
    ["no 1G", { ...scalableUnit, second1G: false, first1G: false }, 0x201000n, 0x201000n],
    [
      "no large ones in the second stage",
      { ...scalableUnit, second2M: false, second1G: false },
      0x1000n,
      0x40201000n,
    ],
    ["none that is half of all", { ...scalableUnit, sagaw: 0b0010, mgaw: 31 }, 0x201000n, 0x201000n],
  ])("%s", (_, traits, second, first) => {
    const unit = capabilitiesOf(traits);
    expect(secondStageDomain(unit)!.pgsizeBitmap).toBe(second);
    expect(firstStageDomain(unit)!.pgsizeBitmap).toBe(first);
    const off = { superpages: false };
    expect(secondStageDomain(unit, off)!.pgsizeBitmap).toBe(0x1000n);
    expect(firstStageDomain(unit, off)!.pgsizeBitmap).toBe(0x1000n);
  });
});

describe("the format", () => {
  const leaf = (options: ReturnType<typeof vtdDomain>) => options!.format.leafWord(0x200000, 12, 3);
  const table = (options: ReturnType<typeof vtdDomain>) => options!.format.tableWord(0x100001, 3);

  it("is first stage where scalable mode has it, but for parents of nested domains", () => {
    const names = (traits: UnitTraits, scalable = true) =>
      [false, true].map((nestParent) => vtdDomain({ ...capabilitiesOf(traits), scalable }, { nestParent })!);
    expect(names(scalableUnit).map(({ format }) => format.name)).toEqual(["x86_64", "vtdss"]);
    expect(names(scalableUnit).map(({ writableOnly }) => writableOnly)).toEqual([undefined, true]);
    expect(names(scalableUnit, false).map(({ format }) => format.name)).toEqual(["vtdss", "vtdss"]);
    expect(names({ ...scalableUnit, firstStage: false })[0]!.format.name).toBe("vtdss");
    expect(names(legacyUnit)[0]!.format.name).toBe("vtdss");
  });

  it("forces snooping in leaves where it is asked for and the unit can", () => {
    for (const [snoop, ask, word] of [
      [true, true, 0x200000803n],
      [true, false, 0x200000003n],
      [false, true, 0x200000003n],
    ] as const)
      expect(leaf(secondStageDomain(capabilitiesOf({ ...legacyUnit, snoop }), { snoop: ask }))).toBe(word);
  });

  it("marks what was flushed where the unit walks past the caches, and the kernel is not too old", () => {
    const walks = (traits: UnitTraits, release = "7.3") => {
      const options = { kernel: kernelOf(release) };
      const unit = capabilitiesOf(traits);
      return [table(secondStageDomain(unit, options)), table(firstStageDomain(unit, options))];
    };
    expect(walks(scalableUnit)).toEqual([0x100001003n, 0x100001027n]);
    expect(walks({ ...scalableUnit, walksCoherent: false })).toEqual([0x100001403n, 0x100001227n]);
    expect(walks({ ...scalableUnit, walksCoherent: false }, "6.18")).toEqual([0x100001003n, 0x100001027n]);
    expect(walks({ ...legacyUnit, coherent: false })[0]).toBe(0x100001403n);
    expect(walks({ ...legacyUnit, walksCoherent: true, coherent: false })[0]).toBe(0x100001403n);
  });

  it("lets read what can be written, where the kernel is old", () => {
    const writeOnly = (release: string) =>
      secondStageDomain(capabilitiesOf(legacyUnit), { kernel: kernelOf(release) })!.format.leafWord(
        0x200000,
        12,
        2,
      );
    expect(writeOnly("6.18")).toBe(0x200000003n);
    expect(writeOnly("6.19")).toBe(0x200000002n);
  });

  it("of the captured unit is what its tables have", () => {
    const options = vtdDomain(capturedUnit)!;
    expect(options).toMatchObject({ levels: 4, vaBits: 48, paBits: 52, pgsizeBitmap: 0x40201000n });
    expect(table(options)).toBe(0x100001403n);
  });
});
