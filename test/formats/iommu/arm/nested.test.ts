/** A guest's contexts and tables, at addresses that stage 2 translates. */
import { describe, expect, it } from "vitest";
import { openSmmuv3 } from "../../../../formats/iommu/arm/devices.js";
import { newSmmuv3Unit } from "../../../../formats/iommu/arm/encode.js";
import { stage1Domain, stage2Domain } from "../../../../formats/iommu/arm/geometry.js";
import { newDomain, type TableStore, tableOf } from "../../../../formats/iommu/domain.js";
import { mapTable } from "../../../../formats/iommu/map.js";
import { mappingsOf } from "../../../../formats/iommu/mappings.js";
import { compose, throughParent } from "../../../../formats/iommu/nested.js";
import { decodeMappings } from "../../../../formats/iommu/walk.js";
import { type PhysAddr, physAddr } from "../../../../src/memory/index.js";
import { contextOver } from "../context.js";
import { newStore } from "../store.js";
import { severitiesOf } from "./support.js";

const guestBase = 0x40000000n;
const guestSize = 0x1000000n;
const everything = 7;

/**
 * A machine whose guest has 16 MiB at 0x40000000, in reality somewhere else. The guest's own SMMU tables are
 * written by the same writer, at its own addresses.
 */
function machine(pasidBits: number) {
  const store = newStore();
  const smmu = { granules: [12], outputBits: 44 };
  const parent = newDomain(stage2Domain(smmu, { pageLg2: 12 }), store)!;
  const guestMemory = store.allocate(Number(guestSize), 0)!;
  mapTable(parent, guestBase, guestMemory, guestSize, everything);

  let next = guestBase + 0x100000n;
  const real = (pa: bigint): PhysAddr => physAddr(pa - guestBase + guestMemory);
  const guest: TableStore = {
    allocate(bytes) {
      const size = BigInt(Math.max(4096, bytes));
      const pa = ((next + size - 1n) / size) * size;
      next = pa + size;
      return physAddr(pa);
    },
    free() {},
    read: (pa, length) => store.memory.read(real(pa), length),
    write: (pa, bytes) => store.write(real(pa), bytes),
  };
  const domain = newDomain(stage1Domain(smmu, { pageLg2: 12, vaBits: 39 }), guest)!;
  mapTable(domain, 0x10000n, guestBase + 0x2000n, 0x3000n, everything);
  mapTable(domain, 0x20000n, guestBase + guestSize - 0x1000n, 0x2000n, 5);
  const guestUnit = newSmmuv3Unit({ sidBits: 2 }, guest)!;
  guestUnit.attach(1, { kind: "table", domain, domainId: 3, pasidBits });
  if (pasidBits > 0) guestUnit.attach(1, { kind: "table", domain, domainId: 4, pasid: 2 ** pasidBits - 1 });
  const guestSte = openSmmuv3(contextOver(throughParent(store.memory, tableOf(parent))).ctx, guestUnit)
    .device(1)!
    .words.find(({ layout }) => layout.name === "arm_smmu_ste")!;
  const word = (at: number) =>
    new DataView(guestSte.bytes.buffer, guestSte.bytes.byteOffset).getBigUint64(at, true);

  const unit = newSmmuv3Unit({ sidBits: 8 }, store)!;
  unit.attach(5, {
    kind: "nested",
    parent,
    domainId: 9,
    guest: {
      S1Fmt: Number((word(0) >> 4n) & 3n),
      S1ContextPtr: Number((word(0) >> 6n) & 0x3fffffffffffn),
      S1CDMax: Number(word(0) >> 59n),
      S1DSS: Number(word(8) & 3n),
      S1CIR: 1,
      S1COR: 1,
      S1CSH: 3,
    },
  });
  return { store, unit, parent, domain, guestMemory };
}

describe.each([0, 4, 16])("a nested stream with PASIDs of %d bits", (pasidBits) => {
  const { store, unit, parent, domain, guestMemory } = machine(pasidBits);
  const { ctx, findings } = contextOver(store.memory);
  const opened = openSmmuv3(ctx, unit);
  const entries = [...opened.devices()];

  it("has two stages, and the guest's contexts are found through the second", () => {
    const expected = [[undefined, 3], ...(pasidBits > 0 ? [[2 ** pasidBits - 1, 4]] : [])];
    expect(entries.map(({ pasid, domain: tag }) => [pasid, tag!.id])).toEqual(expected);
    for (const { kind, table, parent: second } of entries) {
      expect(kind).toBe("nested");
      expect(table).toMatchObject({ root: domain.root, levels: 3, vaBits: 39 });
      expect(second).toMatchObject({ root: parent.root, levels: 4, vaBits: 44 });
    }
    expect(findings).toEqual([]);
  });

  it("says where the guest's structures are in memory", () => {
    for (const { words } of entries)
      for (const { layout, pa } of words)
        expect(pa >= guestMemory && pa < guestMemory + guestSize, layout.name).toBe(
          layout.name !== "arm_smmu_ste",
        );
  });

  it("does not count the guest's memory as tables of the host", () => {
    for (let at = 0n; at < guestSize; at += 0x1000n)
      expect(opened.tables.has(Number((guestMemory + at) >> 12n))).toBe(false);
  });

  it("leads to memory through both", () => {
    const [{ table, parent: second }] = entries as [Required<(typeof entries)[0]>];
    const guest = { ...ctx, memory: throughParent(store.memory, second) };
    const both = compose(decodeMappings(guest, table, "table"), decodeMappings(ctx, second, "parent"), 100);
    expect([...mappingsOf(both)].map(({ iova, pa, size, write }) => [iova, pa, size, write])).toEqual([
      [0x10000n, guestMemory + 0x2000n, 0x3000n, true],
      // The second page is beyond what the guest has.
      [0x20000n, guestMemory + guestSize - 0x1000n, 0x1000n, false],
    ]);
  });
});

it("contexts at an address that stage 2 does not map block the stream", () => {
  const { store, unit, parent } = machine(4);
  unit.attach(5, {
    kind: "nested",
    parent,
    domainId: 9,
    guest: { S1ContextPtr: 0x90000000 / 64, S1CDMax: 4, S1DSS: 2 },
  });
  const { ctx, findings } = contextOver(store.memory);
  expect([...openSmmuv3(ctx, unit).devices()].map(({ kind }) => kind)).toEqual(["blocked"]);
  expect(severitiesOf(findings)).toEqual(["error memory-absent", "error memory-absent"]);
});
