import { describe, expect, it } from "vitest";
import { type Domain, domainOf } from "../../../../formats/iommu/domain.js";
import type { VtdAttachment } from "../../../../formats/iommu/vtd/attachment.js";
import { newVtdUnit, type VtdDevice, type VtdUnit } from "../../../../formats/iommu/vtd/encode.js";
import { firstStageDomain, secondStageDomain } from "../../../../formats/iommu/vtd/geometry.js";
import { directorySize } from "../../../../formats/iommu/vtd/pasid-writer.js";
import { physAddr } from "../../../../src/memory/index.js";
import { isKhoError } from "../../../../src/report/error.js";
import { newStore, type Store } from "../store.js";
import { readWords } from "./support.js";
import { capabilitiesOf, legacyUnit, scalableUnit, type UnitTraits } from "./units.js";

/** 00:02.0, whose entry is the 17th of a context table. */
const device = 0x10;

function unitAt(base: bigint, traits: UnitTraits): { readonly unit: VtdUnit; readonly store: Store } {
  const store = newStore(base);
  return { unit: newVtdUnit(capabilitiesOf(traits), store)!, store };
}
/** A second-stage table at 0x123456000, as if it had been made before. */
const second = (levels = 4): Domain =>
  domainOf(
    secondStageDomain(capabilitiesOf(legacyUnit))!,
    { root: physAddr(0x123456000n), levels },
    newStore(),
  );
/** A first-stage one. */
const first = (levels: number): Domain =>
  domainOf(
    firstStageDomain(capabilitiesOf(scalableUnit))!,
    { root: physAddr(0x123456000n), levels },
    newStore(),
  );

describe("legacy mode", () => {
  const fifth = { ...legacyUnit, sagaw: 0b1110 };
  it.each<readonly [string, UnitTraits, VtdAttachment, VtdDevice, lo: bigint, hi: bigint]>([
    [
      "second stage, four levels",
      legacyUnit,
      { kind: "table", domain: second(), domainId: 0x2a },
      {},
      0x0000000123456001n,
      0x0000000000002a02n,
    ],
    [
      "the same with an ATS-capable device",
      legacyUnit,
      { kind: "table", domain: second(), domainId: 0x2a },
      { ats: true },
      0x0000000123456005n,
      0x0000000000002a02n,
    ],
    ["pass-through, widest AW 3", fifth, { kind: "identity" }, {}, 0x0000000000000009n, 0x0000000000000103n],
    ["pass-through with ATS", fifth, { kind: "identity" }, { ats: true }, 0x9n, 0x103n],
  ])("%s", (_, traits, what, abilities, lo, hi) => {
    const { unit, store } = unitAt(0x100a00000n, traits);
    expect(unit.root).toBe(0x100a00000n);
    expect(unit.probe(device, abilities)).toBeUndefined();
    expect(unit.attach(device, what)).toBeUndefined();
    expect(readWords(store.memory, 0x100a00000n, 4)).toEqual([0x0000000100a01001n, 0n, 0n, 0n]);
    expect(readWords(store.memory, 0x100a01100n, 4)).toEqual([lo, hi, 0n, 0n]);

    expect(unit.attach(device, { kind: "blocked" })).toBeUndefined();
    expect(readWords(store.memory, 0x100a01100n, 2)).toEqual([0n, 0n]);
  });

  it("has neither PASIDs nor first-stage tables", () => {
    const { unit, store } = unitAt(0x100a00000n, legacyUnit);
    const table = { domainId: 2, domain: first(4) };
    expect(unit.attach(device, { kind: "table", ...table })).toBe("EINVAL");
    expect(unit.attach(device, { kind: "sva", root: 0x123456000n, levels: 4 })).toBe("EINVAL");
    expect(unit.attach(device, { kind: "identity" }, 1)).toBe("EINVAL");
    expect(store.tables.size).toBe(1);
  });
});

describe("context entries of scalable mode", () => {
  it.each<readonly [string, VtdDevice, q0: bigint, directory: number]>([
    ["nothing", {}, 0x0000000100020401n, 4096],
    ["PASID 2^20, ATS, PRI", { pasids: 2 ** 20, ats: true, pri: true }, 0x0000000100020e1dn, 131072],
    ["2^16 PASIDs", { pasids: 2 ** 16 }, 0x0000000100020609n, 8192],
    ["more PASIDs than there are", { pasids: 2 ** 22 }, 0x0000000100020e09n, 131072],
  ])("%s", (_, abilities, q0, directory) => {
    const { unit, store } = unitAt(0x10001f000n, scalableUnit);
    expect(unit.root).toBe(0x10001f400n);
    expect(unit.probe(device, abilities)).toBeUndefined();
    const [, directoryTable, contextTable] = [...store.tables];
    expect(directoryTable).toEqual([0x100020000n, directory]);
    expect(readWords(store.memory, 0x10001f000n, 2)).toEqual([contextTable![0] | 1n, 0n]);
    expect(readWords(store.memory, contextTable![0] + 0x200n, 5)).toEqual([q0, 0n, 0n, 0n, 0n]);
  });

  it("of the upper half of a bus are in a table of their own", () => {
    const { unit, store } = unitAt(0x100b00000n, scalableUnit);
    for (const at of [0x0105, 0x01f8, 0x0180]) expect(unit.probe(at)).toBeUndefined();
    // Directory, lower table; directory, upper table; directory.
    expect(readWords(store.memory, 0x100b00010n, 2)).toEqual([0x100b02001n, 0x100b04001n]);
    expect(readWords(store.memory, 0x100b02000n + 5n * 32n, 1)).toEqual([0x100b01401n]);
    expect(readWords(store.memory, 0x100b04000n + 0x78n * 32n, 1)).toEqual([0x100b03401n]);
    expect(readWords(store.memory, 0x100b04000n, 1)).toEqual([0x100b05401n]);
  });

  it("directories are a power of two of at least a page", () => {
    const rows = [
      [0, 2],
      [1, 2],
      [32768, 2],
      [32769, 2],
      [32776, 3],
      [65536, 3],
      [65544, 4],
      [131072, 4],
      [2 ** 20, 7],
    ];
    expect(rows.map(([pasids]) => [pasids, directorySize(pasids!)])).toEqual(rows);
  });
});

describe("entries of PASIDs", () => {
  const guest = { parent: second(), domainId: 0x2a, root: 0x7654321000n, levels: 4 } as const;
  const five = { ...scalableUnit, fiveLevels: true, sagaw: 0b1110 };
  const table = (domain: Domain, more = {}): VtdAttachment => ({
    kind: "table",
    domain,
    domainId: 0x2a,
    ...more,
  });
  it.each<readonly [string, UnitTraits, VtdAttachment, v0: bigint, v1: bigint, v2: bigint]>([
    ["second stage", scalableUnit, table(second()), 0x0000000123456089n, 0x000000000080002an, 0n],
    [
      "second stage with dirty tracking",
      scalableUnit,
      table(second(), { dirtyTracking: true }),
      0x0000000123456289n,
      0x000000000080002an,
      0n,
    ],
    [
      "second stage of a unit that walks past the caches",
      { ...scalableUnit, walksCoherent: false },
      table(second()),
      0x0000000123456089n,
      0x000000000000002an,
      0n,
    ],
    [
      "first stage, four levels",
      scalableUnit,
      table(first(4)),
      0x0000000000000049n,
      0x000000000080002an,
      0x0000000123456000n,
    ],
    [
      "first stage, five levels",
      five,
      table(first(5)),
      0x000000000000004dn,
      0x000000000080002an,
      0x0000000123456004n,
    ],
    [
      "first stage with forced snooping",
      scalableUnit,
      table(first(4), { forceSnoop: true }),
      0x0000000000000049n,
      0x000000000180002an,
      0x0000000123456000n,
    ],
    [
      "SVA, four levels",
      scalableUnit,
      { kind: "sva", root: 0x1abcde000n, levels: 4 },
      0x0000000000000049n,
      0x0000000000800001n,
      0x00000001abcde000n,
    ],
    ["pass-through", scalableUnit, { kind: "identity" }, 0x0000000000000109n, 0x0000000000800001n, 0n],
    [
      "nested",
      scalableUnit,
      { kind: "nested", ...guest },
      0x00000001234560c9n,
      0x000000000080002an,
      0x0000007654321000n,
    ],
    [
      // SRE is bit 0, FSPM 3:2, WPE 4, EAFE 7.
      "nested, with all that user space can ask for",
      five,
      {
        kind: "nested",
        ...guest,
        levels: 5,
        supervisorRequests: true,
        writeProtect: true,
        extendedAccessed: true,
        dirtyTracking: true,
        forceSnoop: true,
      },
      0x00000001234562c9n,
      0x000000000180002an,
      0x0000007654321095n,
    ],
  ])("%s", (_, traits, what, v0, v1, v2) => {
    const { unit, store } = unitAt(0x10002d000n, traits);
    unit.probe(device, { pasids: 2 ** 15 });
    for (const [pasid, at] of [
      [undefined, 0x100030000n],
      [5, 0x100030140n],
    ] as const) {
      expect(unit.attach(device, what, pasid)).toBeUndefined();
      expect(readWords(store.memory, 0x10002e000n, 2)).toEqual([0x0000000100030001n, 0n]);
      expect(readWords(store.memory, at, 8)).toEqual([v0, v1, v2, 0n, 0n, 0n, 0n, 0n]);
      // What was there before leaves nothing behind.
      unit.attach(device, { kind: "nested", ...guest, forceSnoop: true }, pasid);
      unit.attach(device, what, pasid);
      expect(readWords(store.memory, at, 3)).toEqual([v0, v1, v2]);
    }
    unit.attach(device, { kind: "blocked" });
    expect(readWords(store.memory, 0x100030000n, 8)).toEqual(Array(8).fill(0n));
    unit.detach(device, 5);
    expect(readWords(store.memory, 0x100030140n, 8)).toEqual(Array(8).fill(0n));
    expect(readWords(store.memory, 0x10002e000n, 1)).toEqual([0x0000000100030001n]);
  });

  it("are in tables of 64", () => {
    const { unit, store } = unitAt(0x10002d000n, scalableUnit);
    unit.probe(device, { pasids: 2 ** 20 });
    expect(unit.attach(device, { kind: "identity" }, 0xfffff)).toBeUndefined();
    const [, directory, , table] = [...store.tables.keys()];
    expect(readWords(store.memory, directory! + 0x3fffn * 8n, 1)).toEqual([table! | 1n]);
    expect(readWords(store.memory, table! + 63n * 64n, 1)).toEqual([0x109n]);
  });
});

describe("what the driver refuses", () => {
  it("PASIDs that a device cannot have, and first stages that a unit does not have", () => {
    const { unit } = unitAt(0x10002d000n, scalableUnit);
    unit.probe(device, { pasids: 100 });
    expect(unit.attach(device, { kind: "identity" }, 100)).toBe("EINVAL");
    expect(unit.attach(device, { kind: "identity" }, -1)).toBe("EINVAL");
    expect(unit.attach(device, { kind: "identity" }, 99)).toBeUndefined();
    unit.probe(0x12, { pasids: 32769 });
    expect(unit.attach(0x12, { kind: "identity" }, 32768)).toBe("EINVAL");
    expect(unit.attach(0x12, { kind: "identity" }, 32767)).toBeUndefined();
    expect(unit.attach(0x11, { kind: "identity" }, 1)).toBe("EINVAL");
    expect(unit.attach(0x10000, { kind: "identity" })).toBe("EINVAL");
    expect(unit.probe(device)).toBe("EINVAL");

    const without = unitAt(0x10002d000n, { ...scalableUnit, firstStage: false }).unit;
    const nested = { kind: "nested", parent: second(), domainId: 2, root: 0n, levels: 4 } as const;
    expect(without.attach(device, { kind: "table", domain: first(4), domainId: 2 })).toBe("EINVAL");
    expect(without.attach(device, { kind: "sva", root: 0n, levels: 4 })).toBe("EINVAL");
    expect(without.attach(device, nested)).toBe("EINVAL");
    expect(unit.attach(device, { ...nested, parent: first(4) })).toBe("EINVAL");
  });

  it("units without a usable address width", () => {
    expect(newVtdUnit(capabilitiesOf({ ...legacyUnit, sagaw: 0 }), newStore())).toBeUndefined();
  });

  it.each([legacyUnit, scalableUnit])("domain ids of more than 16 bits are an error", (traits) => {
    const { unit } = unitAt(0x10002d000n, traits);
    try {
      unit.attach(device, { kind: "table", domain: second(), domainId: 0x10000 });
      expect.unreachable();
    } catch (error) {
      expect(isKhoError(error, "value-range")).toBe(true);
    }
  });
});

describe("memory", () => {
  it.each([
    ["legacy", legacyUnit, 2],
    ["scalable", scalableUnit, 4],
  ])("%s mode: what fails for lack of it leaves nothing that it does not need", (_, traits, needed) => {
    for (let left = 0; left <= needed; left++) {
      const store = newStore();
      store.left = left;
      const unit = newVtdUnit(capabilitiesOf(traits), store);
      if (left === 0) {
        expect(unit).toBeUndefined();
        continue;
      }
      expect(unit!.attach(device, { kind: "identity" })).toBe(left < needed ? "ENOMEM" : undefined);
      store.left = 10;
      expect(unit!.attach(device, { kind: "identity" })).toBeUndefined();
      expect(store.tables.size).toBe(needed);
    }
  });

  it("of PASID tables comes back with the device", () => {
    const { unit, store } = unitAt(0x100a00000n, scalableUnit);
    unit.probe(device, { pasids: 2 ** 20 });
    for (const pasid of [0, 1, 64, 0xfffff]) unit.attach(device, { kind: "identity" }, pasid);
    unit.detach(device);
    // The root table and a context table stay.
    expect(store.tables.size).toBe(2);
    const [, context] = [...store.tables.keys()] as bigint[];
    expect(readWords(store.memory, context! + 0x200n, 4)).toEqual([0n, 0n, 0n, 0n]);
    expect(unit.probe(device)).toBeUndefined();
  });
});
