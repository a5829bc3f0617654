import { describe, expect, test } from "vitest";
import { newDomain } from "../../formats/iommu/domain.js";
import { iommuMap } from "../../formats/iommu/map.js";
import { newVtdUnit } from "../../formats/iommu/vtd/encode.js";
import { firstStageDomain, secondStageDomain } from "../../formats/iommu/vtd/geometry.js";
import { decodeMappings } from "../../formats/iommu/walk.js";
import { newReading, openIommu } from "../../src/iommu/open.js";
import { attempt, IOMMU_READ, IOMMU_WRITE, Machine, read, write } from "../../src/machine/index.js";
import { dmaParts } from "../../src/machine/iommu/dma.js";
import { type Memory, type PhysAddr, physAddr, sparseMemory } from "../../src/memory/index.js";
import { newStore } from "../formats/iommu/store.js";
import { capabilitiesOf, scalableUnit } from "../formats/iommu/vtd/units.js";
import { holdings } from "./departures.js";
import { base, bootWith, disk, errorOf, nic, readWrite, someBytes, vendors, whyOf } from "./iommu-support.js";

const page = 4096;
const pages = (count: number): bigint => BigInt(count * page);

describe.each(vendors)("%s", (vendor) => {
  test("a device reads and writes a file that is mapped, across pages of it", () => {
    const machine = bootWith(vendor);
    const file = machine.memfd({ size: 10 * page });
    const domain = machine.iommu.domain();
    domain.map(base, file, readWrite);
    domain.attach(nic);
    const device = machine.device(nic);
    device.write(base + 0xffen, someBytes(2 * page));
    expect(read(file, 2 * page, 0xffen)).toEqual(someBytes(2 * page));
    write(file, someBytes(100, 2), 5n * BigInt(page) - 50n);
    expect(device.read(base + 5n * BigInt(page) - 50n, 100)).toEqual(someBytes(100, 2));
    expect(device.incidents).toEqual([]);
  });

  test("what is not mapped, or not with these rights, faults", () => {
    const machine = bootWith(vendor);
    const file = machine.memfd({ size: 4 * page });
    const domain = machine.iommu.domain();
    domain.map(base, file, IOMMU_READ, { length: pages(2) });
    domain.map(base + pages(2), file, readWrite, { offset: pages(2), length: pages(1) });
    domain.attach(nic);
    const device = machine.device(nic);
    expect(errorOf(() => device.read(base - 1n, 1)).code).toBe("iommu-fault");
    expect(whyOf(() => device.read(base - 1n, 1))).toBe("not-present");
    expect(whyOf(() => device.write(base, someBytes(1)))).toBe("read-only");
    expect(whyOf(() => device.read(1n << 63n, 1))).toBe("out-of-range");
    expect(whyOf(() => device.read(1n << 64n, 1))).toBe("out-of-range");
    expect(whyOf(() => device.read(-1n, 1))).toBe("out-of-range");
    expect(whyOf(() => device.read((1n << 64n) - 1n, 2))).toMatch(/out-of-range|not-present/);
    for (const length of [-1, 0.5, 2 ** 53])
      expect(errorOf(() => device.read(base, length)).code).toBe("usage");
    expect(device.read(0n, 0)).toEqual(new Uint8Array());
    // What comes before the page that is refused is done.
    expect(whyOf(() => device.write(base + pages(2), someBytes(page + 1)))).toBe("not-present");
    expect(read(file, page, pages(2))).toEqual(someBytes(page));
  });

  test("a device is blocked but while it is in a domain", () => {
    const machine = bootWith(vendor);
    const file = machine.memfd({ size: page });
    const domain = machine.iommu.domain();
    domain.map(base, file, readWrite);
    expect(whyOf(() => machine.device(nic).read(base, 1))).toBe("blocked");
    domain.attach(nic);
    expect(machine.device(nic).read(base, 1)).toEqual(Uint8Array.of(0));
    expect(whyOf(() => machine.device(disk).read(base, 1))).toBe("blocked");
    expect(domain.devices).toEqual([nic]);
    domain.detach(nic);
    expect(whyOf(() => machine.device(nic).read(base, 1))).toBe("blocked");
    expect(whyOf(() => domain.detach(nic))).toBe("ENOENT");
  });

  test("each device has the addresses of its own domain, and moves", () => {
    const machine = bootWith(vendor);
    const [one, other] = [machine.iommu.domain(), machine.iommu.domain()];
    for (const [domain, seed] of [
      [one, 1],
      [other, 2],
    ] as const) {
      const file = machine.memfd({ size: page });
      write(file, someBytes(page, seed), 0n);
      domain.map(base, file, IOMMU_READ);
    }
    one.attach(nic);
    other.attach(disk);
    expect(machine.device(nic).read(base, page)).toEqual(someBytes(page, 1));
    expect(machine.device(disk).read(base, page)).toEqual(someBytes(page, 2));
    other.attach(nic);
    expect(machine.device(nic).read(base, page)).toEqual(someBytes(page, 2));
    expect([one.devices, other.devices]).toEqual([[], [nic, disk]]);
  });

  test("the registers lead whoever reads memory to the same mappings", () => {
    const machine = bootWith(vendor);
    const file = machine.memfd({ size: 4 << 20, folioOrder: 9 });
    const domain = machine.iommu.domain();
    domain.map(base, file, readWrite);
    domain.attach(nic);
    const reading = newReading(machine.memory);
    const unit = openIommu(reading, vendor, machine.iommu.registers);
    const entries = [...unit.devices()].filter(({ kind }) => kind === "table");
    expect(entries.map(({ device }) => device)).toEqual([0x28]);
    expect(decodeMappings(reading.ctx, entries[0]!.table!, "table")).toEqual(domain.mappings());
    expect(reading.findings).toEqual([]);
  });

  test("everything is given back with the last reference", () => {
    const machine = bootWith(vendor);
    const round = (): void => {
      const process = machine.process();
      const domain = machine.iommu.domain(process);
      const file = machine.memfd({ size: 40 * page }, process);
      domain.map(base, file, readWrite);
      domain.map(1n << 41n, file, IOMMU_READ, { length: pages(3) });
      domain.attach(nic);
      machine.device(nic).write(base, someBytes(page));
      process.exit();
    };
    // Tables of the IOMMU itself that a device needs stay.
    round();
    const before = holdings(machine);
    round();
    expect(holdings(machine)).toEqual(before);
    expect(whyOf(() => machine.device(nic).read(base, 1))).toBe("blocked");
  });

  test("without memory for the tables there is no mapping, and nothing is lost", () => {
    let left = Number.POSITIVE_INFINITY;
    const machine = bootWith(vendor, { faults: { allocation: () => left-- <= 0 } });
    const file = machine.memfd({ size: 4 * page });
    write(file, someBytes(4 * page), 0n);
    const before = holdings(machine);
    for (let allowed = 0; ; allowed++) {
      left = allowed;
      const process = machine.process();
      const result = attempt(() => {
        const domain = machine.iommu.domain(process);
        domain.map(base, file, readWrite);
        domain.map(base << 12n, file, readWrite);
      });
      left = Number.POSITIVE_INFINITY;
      process.exit();
      expect(holdings(machine)).toEqual(before);
      if (!("errno" in result)) break;
      expect(result.errno).toBe("ENOMEM");
      expect(allowed).toBeLessThan(12);
    }
  });
});

test.each([
  [16384, 0x2000_0000n],
  [65536, 0x4000_0000_0000n],
])("an SMMUv3 of a kernel with pages of %i bytes", (pageSize, iova) => {
  const machine = bootWith("smmuv3", { pageSize });
  const file = machine.memfd({ size: 3 * pageSize });
  const domain = machine.iommu.domain();
  expect(domain.table.format.granuleLg2).toBe(Math.log2(pageSize));
  domain.map(iova, file, readWrite);
  domain.attach(nic);
  machine.device(nic).write(iova + BigInt(pageSize) - 5n, someBytes(10));
  expect(read(file, 10, BigInt(pageSize) - 5n)).toEqual(someBytes(10));
  expect(whyOf(() => domain.map(iova + 4096n, file, readWrite))).toBe("EINVAL");
});

test("AMD's tables grow under a device that is attached", () => {
  const machine = bootWith("amd");
  const file = machine.memfd({ size: page });
  const domain = machine.iommu.domain();
  domain.map(base, file, readWrite);
  domain.attach(nic);
  const { root, levels } = domain.table;
  const high = 1n << 45n;
  domain.map(high, file, IOMMU_WRITE);
  expect(domain.table.levels).toBeGreaterThan(levels);
  expect(domain.table.root).not.toBe(root);
  machine.device(nic).write(high, someBytes(8));
  expect(machine.device(nic).read(base, 8)).toEqual(someBytes(8));
  expect(whyOf(() => machine.device(nic).read(high, 8))).toBe("write-only");
});

test("a device cannot write to its own tables, unless somebody maps them", () => {
  const machine = bootWith("vtd");
  const domain = machine.iommu.domain();
  domain.map(base, machine.memfd({ size: page }), readWrite);
  domain.attach(nic);
  const leafTable = domain.tables().at(-1)!.pa;
  // The leaf of the only page leads to the table that it is in: entry 0, readable and writable.
  const leaf = new Uint8Array(8);
  new DataView(leaf.buffer).setBigUint64(0, leafTable | 3n, true);
  machine.memory.write(leafTable, leaf);
  const device = machine.device(nic);
  device.write(base, new Uint8Array(8));
  expect(whyOf(() => device.read(base, 1))).toBe("not-present");
});

test("a guest's own tables are looked up in what its host maps", () => {
  const unitOf = capabilitiesOf(scalableUnit);
  const store = newStore();
  const memory = sparseMemory();
  const guestBase = 0x200000000n;
  memory.cover(physAddr(guestBase), 4 << 20);
  const both = joined(store.memory, memory);
  const parent = newDomain(secondStageDomain(unitOf, { nestParent: true })!, store)!;
  // Two pieces that do not follow each other in memory.
  iommuMap(parent, 0n, guestBase + 0x200000n, 0x200000n, readWrite);
  iommuMap(parent, 0x200000n, guestBase, 0x200000n, readWrite);
  const realOf = (address: bigint): PhysAddr => physAddr(guestBase + 0x200000n + address);
  let next = 0x100000n;
  const guestStore = {
    allocate: () => physAddr((next += 0x1000n)),
    free: () => {},
    read: (pa: PhysAddr, length: number) => memory.read(realOf(pa), length),
    write: (pa: PhysAddr, bytes: Uint8Array) => memory.write(realOf(pa), bytes),
  };
  const guest = newDomain(firstStageDomain(unitOf)!, guestStore)!;
  iommuMap(guest, 0x70000000n, 0x1ff000n, 0x2000n, readWrite);
  iommuMap(guest, 0x70002000n, 0x1000n, 0x1000n, IOMMU_READ);
  iommuMap(guest, 0x70003000n, 0x400000n, 0x1000n, readWrite);
  const unit = newVtdUnit(unitOf, store)!;
  unit.attach(0x28, { kind: "nested", parent, domainId: 2, root: guest.root, levels: 4 });

  const iommu = { vendor: "vtd", devices: [0x28], registers: { root: unit.root } } as const;
  const request = { device: 0x28, access: "read", iova: 0x70000ff0n, length: 0x20 } as const;
  const parts = [...dmaParts(both, iommu, request)].map(({ pa, length }) => [pa, length]);
  expect(parts).toEqual([
    [guestBase + 0x3ffff0n, 0x10],
    [guestBase, 0x10],
  ]);
  const at = (iova: bigint) => [...dmaParts(both, iommu, { ...request, access: "write", iova })];
  expect(whyOf(() => at(0x70002000n))).toBe("read-only");
  // Its host has nothing there.
  expect(whyOf(() => at(0x70003000n))).toBe("not-present");
});

describe("a machine", () => {
  test("without an IOMMU has none", () => {
    const machine = Machine.boot({ release: "7.3" });
    expect(errorOf(() => machine.iommu).code).toBe("machine-misuse");
    expect(errorOf(() => machine.device(nic)).code).toBe("machine-misuse");
  });

  test("has the devices that it was given", () => {
    const machine = bootWith("vtd");
    expect(errorOf(() => machine.device("00:07.0")).code).toBe("machine-misuse");
    expect(errorOf(() => machine.iommu.domain().attach("00:07.0")).code).toBe("machine-misuse");
    expect(errorOf(() => machine.device("lp0")).code).toBe("usage");
    expect(machine.device(nic)).toBe(machine.device("0000:00:05.0"));
  });

  test.each([
    ["pages that no such machine has", { vendor: "amd", devices: [nic], pageSize: 65536 }],
    ["no devices", { vendor: "vtd", devices: [], pageSize: 4096 }],
    ["more stream ids than one table has", { vendor: "smmuv3", devices: ["01:00.0"], pageSize: 4096 }],
  ] as const)("with %s cannot be", (_, { vendor, devices, pageSize }) => {
    expect(errorOf(() => Machine.boot({ release: "7.3", pageSize, iommu: { vendor, devices } })).code).toBe(
      "usage",
    );
  });

  test("goes on without memory for the IOMMU's tables, and devices reach nothing", () => {
    const allocation = (what: string): boolean => what === "iommu device tables";
    const machine = bootWith("vtd", { faults: { allocation } });
    expect(machine.outcome.kind).toBe("cold");
    expect(whyOf(() => machine.iommu)).toBe("ENODEV");
    expect(whyOf(() => machine.device(nic).read(0n, 1))).toBe("blocked");
  });

  test("does not know the series of live update that it is asked for", () => {
    expect(errorOf(() => bootWith("vtd", { iommu: { series: "z" } })).code).toBe("unknown-series");
  });
});

/** Two memories as one. */
const joined = (one: Memory, other: Memory): Memory => ({
  has: (pa, length) => one.has(pa, length) || other.has(pa, length),
  read: (pa, length) => (one.has(pa, length) ? one : other).read(pa, length),
  ranges: [...one.ranges, ...other.ranges],
});
