import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Domain, newDomain } from "../../../../formats/iommu/domain.js";
import { iommuMap } from "../../../../formats/iommu/map.js";
import { mappingsOf } from "../../../../formats/iommu/mappings.js";
import { openVtd } from "../../../../formats/iommu/vtd/devices.js";
import { newVtdUnit } from "../../../../formats/iommu/vtd/encode.js";
import { firstStageDomain, secondStageDomain, vtdDomain } from "../../../../formats/iommu/vtd/geometry.js";
import { decodeMappings } from "../../../../formats/iommu/walk.js";
import { contextOver } from "../context.js";
import { newStore, type Store } from "../store.js";
import { calls, newModel, readEntries } from "./model.js";
import { codesIn } from "./support.js";
import { capabilitiesOf, legacyUnit, scalableUnit, type UnitTraits } from "./units.js";

const wide: UnitTraits = { ...scalableUnit, mgaw: 57, sagaw: 0b1110, fiveLevels: true };
const units = { legacy: legacyUnit, scalable: scalableUnit, wide };

/** Two on second-stage tables, two on first-stage ones. */
function makeDomains(traits: UnitTraits, store: Store): Domain[] {
  const unit = capabilitiesOf(traits);
  const options = [
    secondStageDomain(unit),
    secondStageDomain(unit),
    firstStageDomain(unit),
    firstStageDomain(unit),
  ];
  return options.map((each) => newDomain(each!, store)!);
}

describe.each(Object.entries(units))("%s unit", (name, traits) => {
  const isLegacy = name === "legacy";

  it("what was attached is what is read: by the register, one by one, by the bare address", () => {
    fc.assert(
      fc.property(calls, (list) => {
        const store = newStore();
        const unit = newVtdUnit(capabilitiesOf(traits), store)!;
        const domains = makeDomains(traits, store);
        const model = newModel(isLegacy);
        for (const call of list) expect([undefined, "EINVAL"]).toContain(model.run(unit, call, domains));

        const { ctx, findings } = contextOver(store.memory);
        const opened = openVtd(ctx, { root: unit.root });
        const entries = [...opened.devices()];
        expect(readEntries(entries)).toEqual(model.entries());
        for (const entry of entries) expect(opened.device(entry.device, entry.pasid)).toEqual(entry);
        expect(findings).toEqual([]);

        const bare = contextOver(store.memory);
        expect(readEntries(openVtd(bare.ctx, { root: unit.root & ~0xfffn }).devices())).toEqual(
          model.entries(),
        );
        // A unit without devices tells nothing, or by its upper context tables.
        if (entries.length > 0)
          expect(codesIn(bare.findings)).toEqual(isLegacy ? [] : ["iommu-mode-guessed"]);
      }),
      { numRuns: 60 },
    );
  });

  it("what was mapped is what a device reaches", () => {
    const ranges = fc.array(fc.tuple(fc.nat(2 ** 26), fc.nat(2 ** 30), fc.integer({ min: 1, max: 600 })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.boolean(), ranges, (isSecond, list) => {
        const store = newStore();
        const capabilities = capabilitiesOf(traits);
        const unit = newVtdUnit(capabilities, store)!;
        const options = isSecond ? secondStageDomain(capabilities) : vtdDomain(capabilities);
        const domain = newDomain(options!, store)!;
        expect(unit.attach(0x10, { kind: "table", domain, domainId: 2 })).toBeUndefined();
        const pages: [number, number][] = [];
        const inBytes = (frames: number): bigint => BigInt(frames) << 12n;
        for (const [iova, pa, count] of list) {
          if (iommuMap(domain, inBytes(iova), inBytes(pa), inBytes(count), 3)) continue;
          for (let i = 0; i < count; i++) pages.push([iova + i, pa + i]);
        }
        const { ctx, findings } = contextOver(store.memory);
        const { table } = openVtd(ctx, { root: unit.root }).device(0x10)!;
        const found: [number, number][] = [];
        for (const { iova, pa, size } of mappingsOf(decodeMappings(ctx, table!, "table")))
          for (let i = 0n; i < size >> 12n; i++)
            found.push([Number((iova >> 12n) + i), Number((pa >> 12n) + i)]);
        expect(found).toEqual(pages.sort(([a], [b]) => a - b));
        expect(findings).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });
});
