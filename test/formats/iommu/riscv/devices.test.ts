import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DeviceEntry, IommuRoot } from "../../../../formats/iommu/device.js";
import { openRiscv } from "../../../../formats/iommu/riscv/devices.js";
import { newRiscvUnit, type RiscvTranslation } from "../../../../formats/iommu/riscv/encode.js";
import { codesOf, contextOver } from "../context.js";
import { newStore, type Store } from "../store.js";
import { atp, capability, domainFor, page, pointerTo, poke } from "./support.js";

const { Sv39, Sv48, Sv57, Sv39x4, MSI_FLAT, AMO_HWAD, ATS, PD8 } = capability;

/** What an entry says, without the structures that say it. */
const gist = ({ words: _, path: __, ...rest }: DeviceEntry) => rest;

const open = (store: Store, root: IommuRoot) => {
  const { ctx, findings } = contextOver(store.memory);
  const unit = openRiscv(ctx, root);
  return { unit, findings, devices: () => [...unit.devices()] };
};

/** A unit with a directory of one level and these words for device 0. */
function deviceWith(words: readonly bigint[], cfg = Sv39 | Sv48 | Sv57, store = newStore()) {
  const root = page(store);
  poke(store, root, ...words);
  const opened = open(store, { root: (root >> 2n) | 2n, cfg });
  return { ...opened, store, entry: opened.unit.device(0)! };
}

describe("what was written is read", () => {
  const what = fc.constantFrom<RiscvTranslation["kind"]>("blocked", "identity", "table");
  const scheme = fc.constantFrom(Sv39, Sv48, Sv57, Sv39 | Sv48);
  const devices = fc.uniqueArray(fc.tuple(fc.nat({ max: 0xffffff }), what), {
    selector: ([device]) => device,
    maxLength: 20,
  });

  it.each([
    ["base contexts", 0n],
    ["extended contexts", MSI_FLAT],
    ["base contexts up to 7.0", AMO_HWAD],
  ])("%s", (_, format) =>
    fc.assert(
      fc.property(devices, scheme, fc.constantFrom(1, 2, 3), (asked, schemes, levels) => {
        const store = newStore();
        const cfg = schemes | format;
        const unit = newRiscvUnit({ capabilities: cfg, levels, before71: format === AMO_HWAD }, store)!;
        const domain = domainFor(schemes, store);
        const expected: unknown[] = [];
        for (const [i, [device, kind]] of [...asked].sort(([a], [b]) => a - b).entries()) {
          const set: RiscvTranslation = kind === "table" ? { kind, domain, domainId: i + 1 } : { kind };
          if (unit.attach(device, set) || kind === "blocked") continue;
          const table = { root: domain.root, levels: domain.levels, vaBits: domain.vaBits, signExtend: true };
          expected.push(
            kind === "identity"
              ? { device, kind }
              : { device, kind, domain: { name: "PSCID", id: i + 1 }, table: expect.objectContaining(table) },
          );
        }
        const { unit: read, findings, devices: list } = open(store, unit);
        expect(list().map(gist)).toEqual(expected);
        for (const entry of list()) expect(read.device(entry.device)).toEqual(entry);
        expect(findings).toEqual([]);
        // Everything but the domain's root is a page of the directory.
        expect(read.tables.size).toBe(store.tables.size - 1);
        for (const [device] of asked) unit.detach(device);
        expect([...openRiscv(contextOver(store.memory).ctx, unit).devices()]).toEqual([]);
      }),
      { numRuns: 60 },
    ),
  );

  it("a device that is blocked is listed by nobody, but says so itself", () => {
    const store = newStore();
    const unit = newRiscvUnit({ capabilities: Sv39 }, store)!;
    unit.attach(8, { kind: "blocked" });
    const { unit: read, devices } = open(store, unit);
    expect(devices()).toEqual([]);
    expect(gist(read.device(8)!)).toEqual({ device: 8, kind: "blocked" });
    expect(gist(read.device(8, 1)!)).toEqual({ device: 8, pasid: 1, kind: "blocked" });
    // There is no page for it.
    expect(read.device(0x800)).toBeUndefined();
    expect(read.device(0x1000000)).toBeUndefined();
    expect(read.device(-1)).toBeUndefined();
  });

  it("the structures on the way are given, from the root on", () => {
    const store = newStore();
    const unit = newRiscvUnit({ capabilities: Sv39 }, store)!;
    unit.attach(0x0102_08, { kind: "identity" });
    const { words, path } = open(store, unit).unit.device(0x010208)!;
    expect(path).toBe("devices[0x10208]");
    expect(words.map(({ layout, pa }) => [layout.name, pa])).toEqual([
      ["riscv_iommu_ddte", 0x100000000n + 8n],
      ["riscv_iommu_ddte", 0x100001000n + 8n * 4n],
      ["riscv_iommu_dc", 0x100002000n + 32n * 8n],
    ]);
    expect(words.map(({ bytes }) => bytes.length)).toEqual([8, 8, 32]);
  });

  it("one device is read without the others", () => {
    const store = newStore();
    const unit = newRiscvUnit({ capabilities: Sv39 }, store)!;
    unit.attach(0x10000, { kind: "identity" });
    unit.attach(0x20000, { kind: "identity" });
    const read = open(store, unit).unit;
    read.device(0x10000);
    expect(read.tables.size).toBe(3);
  });
});

describe("registers without a directory", () => {
  it.each([
    [0n, "blocked"],
    [0x40000400n, "blocked"],
    [1n, "identity"],
    [0x40000401n, "identity"],
  ] as const)("ddtp %#x: everything is %s", (root, kind) => {
    const { unit, findings, devices } = open(newStore(), { root });
    expect(devices()).toEqual([]);
    expect(gist(unit.device(0x28)!)).toEqual({ device: 0x28, kind });
    expect(gist(unit.device(0x28, 3)!)).toEqual({ device: 0x28, pasid: 3, kind });
    expect(findings).toEqual([]);
  });

  it.each([
    ["an unknown mode", 5n],
    ["an unknown mode", 0x4000000fn],
    ["a directory that is absent", 0x40000004n],
    ["an address where nothing is", 0x100000000n],
    ["an address that no memory has", (1n << 64n) - 4096n],
  ])("%s cannot be read", (_, root) =>
    expect(() => open(newStore(), { root })).toThrow(
      expect.objectContaining({ code: "iommu-root-malformed" }),
    ),
  );

  it("reserved bits of ddtp are reported", () => {
    const store = newStore();
    const root = page(store);
    expect(codesOf(open(store, { root: (root >> 2n) | 0x22n, cfg: 0n }).findings)).toEqual([
      "iommu-reserved-bits",
    ]);
  });
});

describe("two stages", () => {
  const first = atp(8, 0x200000000n);
  const second = (7n << 44n) | atp(8, 0x300000000n);

  it("the second alone", () => {
    const { entry, findings } = deviceWith([1n, second, 0n, 0n], Sv39 | Sv39x4);
    expect(gist(entry)).toMatchObject({
      kind: "table",
      domain: { name: "GSCID", id: 7 },
      table: { root: 0x300000000n, levels: 3, vaBits: 41, signExtend: false },
    });
    expect(findings).toEqual([]);
  });

  it("both", () => {
    const { entry, findings } = deviceWith([1n, second, 5n << 12n, first], Sv39 | Sv39x4);
    expect(gist(entry)).toMatchObject({
      kind: "nested",
      domain: { name: "PSCID", id: 5 },
      table: { root: 0x200000000n, levels: 3, vaBits: 39, signExtend: true },
      parent: { root: 0x300000000n, levels: 3, vaBits: 41, signExtend: false },
    });
    expect(findings).toEqual([]);
  });

  it.each([
    [8, 3, 39, 41],
    [9, 4, 48, 50],
    [10, 5, 57, 59],
  ])("mode %i", (mode, levels, vaBits, secondBits) => {
    expect(deviceWith([1n, 0n, 0n, atp(mode, 0x4000n)]).entry.table).toMatchObject({ levels, vaBits });
    const { entry } = deviceWith([1n, atp(mode, 0x4000n), 0n, 0n], 0x7n << 17n);
    expect(entry.table).toMatchObject({ levels, vaBits: secondBits });
  });
});

describe("contexts that hardware does not take", () => {
  const bad = "iommu-bad-context";
  const reserved = "iommu-reserved-bits";
  const sv39 = atp(8, 0x4000n);
  it.each([
    ["unknown first stage", [1n, 0n, 0n, atp(7, 0x4000n)], 0n, bad],
    ["a first stage that the unit lacks", [1n, 0n, 0n, atp(9, 0x4000n)], Sv39, bad],
    ["unknown second stage", [1n, atp(11, 0x4000n), 0n, 0n], 0n, bad],
    ["a second stage that the unit lacks", [1n, atp(9, 0x4000n), 0n, 0n], Sv39 | Sv39x4, bad],
    ["a second stage that is not aligned", [1n, atp(8, 0x5000n), 0n, 0n], Sv39x4, bad],
    ["page requests without translation requests", [5n, 0n, 0n, sv39], Sv39 | ATS, bad],
    ["translation requests that the unit lacks", [3n, 0n, 0n, sv39], Sv39, bad],
    ["guest addresses without a guest", [0xbn, 0n, 0n, sv39], Sv39 | ATS | (1n << 26n), bad],
    ["a PASID for pages, without page requests", [0x41n, 0n, 0n, sv39], Sv39, bad],
    ["a default process without processes", [0x201n, 0n, 0n, sv39], Sv39, bad],
    ["dirty bits that the unit does not keep", [0x101n, 0n, 0n, sv39], Sv39, bad],
    ["big-endian tables", [0x401n, 0n, 0n, sv39], Sv39, bad],
    ["tables of 32-bit systems", [0x801n, 0n, 0n, sv39], Sv39, bad],
    ["an unknown process directory", [0x21n, 0n, 0n, atp(4, 0x4000n)], Sv39, bad],
    ["a process directory that the unit lacks", [0x21n, 0n, 0n, atp(2, 0x4000n)], Sv39 | PD8, bad],
    ["an unknown table of MSIs", [1n, 0n, 0n, sv39, atp(2, 0n), 0n, 0n, 0n], Sv39 | MSI_FLAT, bad],
    ["reserved bits of tc", [0x1001n, 0n, 0n, sv39], Sv39, reserved],
    ["reserved bits of ta", [1n, 0n, 1n, sv39], Sv39, reserved],
    ["reserved bits of fsc", [1n, 0n, 0n, sv39 | (1n << 44n)], Sv39, reserved],
    ["the reserved word", [1n, 0n, 0n, sv39, 0n, 0n, 0n, 1n], Sv39 | MSI_FLAT, reserved],
  ] as const)("%s", (_, words, cfg, code) => {
    const { entry, findings, devices } = deviceWith(words, cfg);
    expect(gist(entry)).toEqual({ device: 0, kind: "blocked" });
    expect(codesOf(findings)).toEqual([code]);
    expect(findings[0]).toMatchObject({
      path: "devices[0x0]",
      pa: 0x100000000n,
      length: cfg & MSI_FLAT ? 64 : 32,
    });
    expect(devices()).toEqual([entry]);
  });

  it.each([
    ["bits for custom use", [0xff000001n, 0n, 0n, sv39]],
    ["QoS identifiers", [1n, 0n, 0xffffff0000001000n, sv39]],
    ["dirty bits that the unit keeps", [0x181n, 0n, 0n, sv39]],
  ])("%s are taken", (_, words) => {
    const { entry, findings } = deviceWith(words, Sv39 | AMO_HWAD);
    expect([entry.kind, findings]).toEqual(["table", []]);
  });

  it("one that is not valid is blocked, whatever else it says", () => {
    const { devices, findings } = deviceWith([0x1000n, 0n, 1n, sv39]);
    expect(devices().map(gist)).toEqual([{ device: 0, kind: "blocked" }]);
    expect(findings).toEqual([]);
  });

  it("the others are read all the same", () => {
    const { devices } = deviceWith([1n, 0n, 0n, atp(7, 0n), 1n, 0n, 0n, 0n]);
    expect(devices().map(({ kind }) => kind)).toEqual(["blocked", "identity"]);
  });

  it("behind a pointer with reserved bits all devices are blocked", () => {
    const store = newStore();
    const [root, contexts] = [page(store), page(store)];
    poke(store, root, pointerTo(contexts) | 2n, pointerTo(contexts));
    poke(store, contexts, 1n);
    const { devices, findings } = open(store, { root: (root >> 2n) | 3n, cfg: Sv39 });
    expect(devices().map(gist)).toEqual([
      { device: 0, kind: "blocked" },
      { device: 0x80, kind: "identity" },
    ]);
    expect(findings.map(({ code, path }) => [code, path])).toEqual([["iommu-reserved-bits", "ddtp[0]"]]);
  });
});
