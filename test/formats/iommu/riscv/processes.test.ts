import { describe, expect, it } from "vitest";
import type { DeviceEntry } from "../../../../formats/iommu/device.js";
import { type DomainOptions, newDomain } from "../../../../formats/iommu/domain.js";
import { mapTable } from "../../../../formats/iommu/map.js";
import { openRiscv } from "../../../../formats/iommu/riscv/devices.js";
import { riscv64 } from "../../../../formats/iommu/riscv/table.js";
import { physAddr } from "../../../../src/memory/index.js";
import { codesOf, contextOver } from "../context.js";
import { newStore, type Store } from "../store.js";
import { atp, page, pointerTo, poke } from "./support.js";

/** `tc` with V and PDTV, and with DPE, which gives requests without a PASID to process 0. */
const PDTV = 0x21n;
const DPE = 0x221n;

const gist = ({ words: _, path: __, ...rest }: DeviceEntry) => rest;

/** A unit of one level whose device 0 has these words. */
function unitWith(store: Store, words: readonly bigint[], limits = {}) {
  const root = page(store);
  poke(store, root, ...words);
  const { ctx, findings } = contextOver(store.memory, limits);
  return {
    unit: openRiscv(ctx, { root: (root >> 2n) | 2n, cfg: ~(1n << 22n) & 0xffffffffffffffffn }),
    findings,
  };
}

/** Indices of the specification: process_id[7:0], [16:8], [19:17]. */
describe.each([
  ["PD8", 1, 0xff],
  ["PD17", 2, 0x1ffff],
  ["PD20", 3, 0xfffff],
])("%s", (_, mode, last) => {
  const store = newStore();
  const directory = page(store);
  let leaf: bigint = directory;
  for (const index of [(last >> 17) & 7, (last >> 8) & 0x1ff].slice(3 - mode)) {
    const next = page(store);
    poke(store, leaf + BigInt(index * 8), pointerTo(next));
    leaf = next;
  }
  // V, ENS, PSCID 9, Sv39.
  poke(store, leaf + BigInt((last & 0xff) * 16), 3n | (9n << 12n), atp(8, 0x7000n));
  const expected = {
    device: 0,
    pasid: last,
    kind: "table",
    domain: { name: "PSCID", id: 9 },
    table: expect.objectContaining({ root: 0x7000n, levels: 3, vaBits: 39, signExtend: true }),
  };
  const { unit, findings } = unitWith(store, [PDTV, 0n, 0n, atp(mode, directory)]);

  it("its last PASID has a context", () => {
    expect(gist(unit.device(0, last)!)).toEqual(expected);
    expect(unit.device(0, last)!.words.map(({ layout }) => layout.name)).toEqual([
      "riscv_iommu_dc",
      ...Array.from({ length: mode - 1 }, () => "riscv_iommu_pdte"),
      "riscv_iommu_pc",
    ]);
  });
  it("it is listed behind the device, whose other requests are not translated", () =>
    expect([...unit.devices()].map(gist)).toEqual([{ device: 0, kind: "identity" }, expected]));
  it("beyond it is none", () => expect(unit.device(0, last + 1)).toBeUndefined());
  it("nothing is wrong with it", () => expect(findings).toEqual([]));
  it("its pages are tables of the unit", () => expect(unit.tables.size).toBe(mode + 1));
});

describe("requests without a PASID", () => {
  it("go through process 0 where it is the default", () => {
    const store = newStore();
    const contexts = page(store);
    poke(store, contexts, 1n | (4n << 12n), atp(8, 0x7000n));
    const { unit } = unitWith(store, [DPE, 0n, 0n, atp(1, contexts)]);
    expect(gist(unit.device(0)!)).toMatchObject({ kind: "table", domain: { name: "PSCID", id: 4 } });
    expect([...unit.devices()].map(({ pasid }) => pasid)).toEqual([undefined, 0]);
  });

  it("are blocked where that is not valid", () => {
    const store = newStore();
    const { unit } = unitWith(store, [DPE, 0n, 0n, atp(1, page(store))]);
    expect(gist(unit.device(0)!)).toEqual({ device: 0, kind: "blocked" });
  });

  it("are not translated where the directory is off", () => {
    const { unit } = unitWith(newStore(), [DPE, 0n, 0n, 0n]);
    expect(gist(unit.device(0)!)).toEqual({ device: 0, kind: "identity" });
    expect(unit.device(0, 0)).toBeUndefined();
  });
});

describe("contexts of processes", () => {
  it.each([
    ["not valid", 2n, atp(8, 0x7000n), "blocked", []],
    ["without translation", 1n, 0n, "identity", []],
    ["with an unknown mode", 1n, atp(3, 0x7000n), "blocked", ["iommu-bad-context"]],
    ["with reserved bits", 9n, atp(8, 0x7000n), "blocked", ["iommu-reserved-bits"]],
  ] as const)("%s", (_, ta, fsc, kind, codes) => {
    const store = newStore();
    const contexts = page(store);
    poke(store, contexts + 16n, ta, fsc);
    const { unit, findings } = unitWith(store, [PDTV, 0n, 0n, atp(1, contexts)]);
    expect([...unit.devices()].map(gist)).toEqual([
      { device: 0, kind: "identity" },
      { device: 0, pasid: 1, kind },
    ]);
    expect(codesOf(findings)).toEqual(codes);
  });

  it("a device without a directory has none", () =>
    expect(unitWith(newStore(), [1n, 0n, 0n, 0n]).unit.device(0, 1)).toBeUndefined());

  it("a directory that is absent is reported", () => {
    const { unit, findings } = unitWith(newStore(), [PDTV, 0n, 0n, atp(1, 0x7000n)]);
    expect([...unit.devices()].map(gist)).toEqual([{ device: 0, kind: "identity" }]);
    expect(codesOf(findings)).toEqual(["memory-absent"]);
  });
});

describe("a guest's directory", () => {
  const options: DomainOptions = {
    format: riscv64(),
    levels: 3,
    vaBits: 41,
    paBits: 56,
    pgsizeBitmap: 0x40211000n,
  };
  const store = newStore();
  const parent = newDomain(options, store)!;
  const contexts = page(store);
  /** Where the guest has the page that is at `contexts`. */
  const guest = 0x12345000n;
  mapTable(parent, guest, contexts, 0x1000n, 3);
  poke(store, contexts + 32n, 1n | (6n << 12n), atp(8, 0x7000n));
  const { unit, findings } = unitWith(store, [PDTV, (2n << 44n) | atp(8, parent.root), 0n, atp(1, guest)]);

  it("is looked up in the parent", () => {
    const second = { root: parent.root, levels: 3, vaBits: 41, signExtend: false };
    expect([...unit.devices()].map(gist)).toEqual([
      {
        device: 0,
        kind: "table",
        domain: { name: "GSCID", id: 2 },
        table: expect.objectContaining(second),
      },
      {
        device: 0,
        pasid: 2,
        kind: "nested",
        domain: { name: "PSCID", id: 6 },
        table: expect.objectContaining({ root: 0x7000n, vaBits: 39 }),
        parent: expect.objectContaining(second),
      },
    ]);
    expect(findings).toEqual([]);
  });

  it("and its pages are named by where they really are", () => {
    const frame = Number(physAddr(contexts) >> 12n);
    expect(unit.tables.has(frame)).toBe(true);
    expect(unit.tables.has(Number(guest >> 12n))).toBe(false);
  });
});
