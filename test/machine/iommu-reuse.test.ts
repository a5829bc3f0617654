/** Devices go on when their kernel is gone: what that does to memory that is somebody else's by then. */
import { describe, expect, test } from "vitest";
import {
  checkDma,
  deviceOf,
  fillPattern,
  IOMMU_READ,
  type KexecOptions,
  type Machine,
  type MemfdFile,
  Machine as machines,
  patternBytes,
  read,
} from "../../src/machine/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import {
  base,
  bootWith,
  disk,
  errorOf,
  guestMemory,
  nic,
  persistent,
  preservedGuest,
  readWrite,
  retrievedGuest,
  someBytes,
  vendors,
  whyOf,
} from "./iommu-support.js";

const page = 4096;

/** A VM whose domain is handed over and whose memory is not. */
function forgottenGuest(machine: Machine, options: Parameters<typeof guestMemory>[1] = {}) {
  const guest = guestMemory(machine, options);
  const domain = machine.iommu.domain();
  domain.map(base, guest, readWrite);
  domain.attach(nic);
  machine.liveupdate.createSession("vm").preserve(domain.file, 2n);
  return { guest, domain };
}
const unchecked = { iommu: { checkFiles: false } } as const;

/** Every page of a file, by address. */
function pagesOf({ inode }: MemfdFile): PhysAddr[] {
  const found: PhysAddr[] = [];
  inode.folios.each(0, Number.POSITIVE_INFINITY, (_, pfn, order) => {
    for (let i = 0; i < 2 ** order; i++) found.push(physAddr((pfn + i) * page));
  });
  return found;
}

describe.each(persistent)("%s: memory that is mapped and not preserved", (vendor) => {
  test("is known before the jump", () => {
    const old = bootWith(vendor, unchecked);
    const { guest } = forgottenGuest(old);
    const findings = checkDma(old.leave());
    expect(findings).toMatchObject([
      { severity: "error", code: "iommu-mapped-lost", path: "devices[0x28]", pa: pagesOf(guest)[0] },
    ]);
    expect(findings[0]!.message).toContain("1024 pages of 4 KiB");
  });

  test("is the next kernel's from the jump on", () => {
    const old = bootWith(vendor, unchecked);
    const { guest } = forgottenGuest(old);
    const left = old.leave();
    const device = deviceOf(left, nic);
    device.write(base + 100n, someBytes(5000));
    expect(device.incidents).toMatchObject([
      {
        severity: "error",
        code: "iommu-mapped-lost",
        path: "devices[0x28]",
        device: nic,
        access: "write",
        iova: base + 100n,
        pa: pagesOf(guest)[0]! + 100n,
        length: 5000,
        owner: "the next kernel's",
      },
    ]);
  });

  test("is overwritten under whoever has it", () => {
    const old = bootWith(vendor, unchecked);
    const { guest } = forgottenGuest(old, { size: 64 * page, folioOrder: 0 });
    const lost = pagesOf(guest);
    const next = old.kexec({ release: "7.3" });
    expect(next.outcome.kind).toBe("received");
    const victim = next.memfd({ size: 4 << 20, name: "victim" });
    fillPattern(victim, 9n, [{ index: 0, count: 1024 }]);
    const taken = pagesOf(victim);
    const shared = lost.findIndex((pa) => taken.includes(pa));
    expect(shared).toBeGreaterThanOrEqual(0);
    const at = taken.indexOf(lost[shared]!);

    const device = next.device(nic);
    const iova = base + BigInt(shared * page);
    expect(device.read(iova, page)).toEqual(patternBytes(9n, at, page));
    device.write(iova + 8n, someBytes(16));
    expect(read(victim, 16, BigInt(at * page) + 8n)).toEqual(someBytes(16));
    const expected = { code: "iommu-mapped-lost", device: nic, pa: lost[shared], owner: "memfd victim" };
    expect(device.incidents).toMatchObject([
      { ...expected, access: "read", iova, length: page },
      { ...expected, access: "write", iova: iova + 8n, pa: lost[shared]! + 8n, length: 16 },
    ]);
    expect(device.incidents[1]!.message).toContain("which is memfd victim");
  });

  test("is reported page by page where several have it", () => {
    const old = bootWith(vendor, unchecked);
    const { guest } = forgottenGuest(old, { size: 64 * page, folioOrder: 0 });
    const lost = pagesOf(guest);
    const next = old.kexec({ release: "7.3" });
    const owners = new Map<PhysAddr, string>();
    for (const name of ["one", "two", "three"]) {
      const file = next.memfd({ size: 1 << 20, name });
      fillPattern(file, 1n, [{ index: 0, count: 256 }]);
      for (const pa of pagesOf(file)) owners.set(pa, `memfd ${name}`);
    }
    const device = next.device(nic);
    device.read(base, 64 * page);
    const seen = device.incidents.flatMap(({ pa, length, owner }) =>
      Array.from({ length: length / page }, (_, i) => [pa + BigInt(i * page), owner] as const),
    );
    expect(seen.map(([pa]) => pa)).toEqual(lost);
    for (const [pa, owner] of seen)
      if (owners.has(pa as PhysAddr)) expect(owner).toBe(owners.get(pa as PhysAddr));
      else expect(owner).not.toMatch(/^memfd/);
  });
});

test("memory that was preserved is the device's only as long as its file has it", () => {
  const old = bootWith("vtd");
  preservedGuest(old);
  const next = old.kexec({ release: "7.3" });
  const device = next.device(nic);
  device.read(base, page);
  const { session, guest } = retrievedGuest(next);
  session.retrieve(2n);
  device.read(base, page);
  expect(device.incidents).toEqual([]);
  const [first] = pagesOf(guest);
  guest.inode.frozenMapping = false;
  guest.inode.release();
  device.read(base, page);
  expect(device.incidents).toMatchObject([{ code: "iommu-mapped-lost", pa: first, owner: "free" }]);
  fillPattern(next.memfd({ size: 16 << 20, name: "other" }), 1n, [{ index: 0, count: 4096 }]);
  device.read(base, page);
  expect(device.incidents[1]).toMatchObject({ code: "iommu-mapped-lost", pa: first, owner: "memfd other" });
});

test("scratch is never a device's", () => {
  const old = bootWith("vtd");
  const { domain } = preservedGuest(old);
  const left = old.leave();
  const target = left.handoff!.scratchPa - (left.handoff!.scratchPa % 0x200000n);
  // The second large page of the guest now lies in scratch.
  const leaf = new Uint8Array(8);
  new DataView(leaf.buffer).setBigUint64(0, target | 0x83n, true);
  left.memory.write(physAddr(domain.tables().at(-1)!.pa + 8n), leaf);
  expect(checkDma(left).map(({ code }) => code)).toEqual(["iommu-mapped-lost", "iommu-mapped-scratch"]);
  const iova = base + 0x200000n;
  const between = deviceOf(left, nic);
  between.write(iova - 4n, someBytes(8));
  expect(between.incidents).toMatchObject([{ code: "iommu-mapped-scratch", iova, length: 4 }]);
  const next = machines.arrive(left, { release: "7.3" });
  next.device(nic).write(iova, someBytes(8));
  expect(next.device(nic).incidents).toMatchObject([
    { code: "iommu-mapped-scratch", pa: target, owner: "scratch", access: "write" },
  ]);
});

test("tables that a device can write to are known before the jump", () => {
  const old = bootWith("vtd");
  const { domain } = preservedGuest(old);
  const left = old.leave();
  const leafTable = domain.tables().at(-1)!.pa;
  const leaf = new Uint8Array(8);
  new DataView(leaf.buffer).setBigUint64(0, (leafTable & ~0x1fffffn) | 0x83n, true);
  left.memory.write(leafTable, leaf);
  expect(checkDma(left).map(({ code }) => code)).toContain("iommu-table-writable");
});

describe("a cold takeover ends DMA", () => {
  const cases: readonly [string, KexecOptions, string][] = [
    ["a kernel without a series", { release: "7.3", iommu: { series: "none" } }, "received"],
    ["a kernel whose series has another name", { release: "7.3", iommu: { series: "c" } }, "received"],
    ["a kernel that ignores the handover", { release: "7.1" }, "ignored"],
    ["a kernel without KHO", { release: "7.3", kho: false }, "cold"],
    ["a kernel without live update", { release: "7.3", liveupdate: false }, "received"],
  ];
  test.each(cases)("%s", (_, options, outcome) => {
    const old = bootWith("vtd");
    preservedGuest(old);
    const left = old.leave();
    const before = left.hardware.iommu!.registers!.root;
    const next = machines.arrive(left, options);
    expect(next.outcome.kind).toBe(outcome);
    expect(next.iommu.registers.root).not.toBe(before);
    const device = next.device(nic);
    expect(whyOf(() => device.read(base, 1))).toBe("blocked");
    const domain = next.iommu.domain();
    const file = next.memfd({ size: page });
    domain.map(base, file, readWrite);
    domain.attach(nic);
    device.write(base, someBytes(8));
    expect(read(file, 8, 0n)).toEqual(someBytes(8));
    expect(device.incidents).toEqual([]);
    // The departure has its own hardware.
    expect(left.hardware.iommu!.registers!.root).toBe(before);
  });

  test("and without the IOMMU's state its files cannot be had either", () => {
    const old = bootWith("vtd");
    preservedGuest(old);
    const next = old.kexec({ release: "7.3", iommu: { series: "c" } });
    const { session } = retrievedGuest(next);
    expect(whyOf(() => session.retrieve(2n))).toBe("ENOENT");
    session.finish();
  });
});

test.each(vendors)("%s: without live update DMA goes on until the next kernel is there", (vendor) => {
  const old = bootWith(vendor);
  const file = old.memfd({ size: 4 * page });
  const domain = old.iommu.domain();
  domain.map(base, file, readWrite);
  domain.attach(nic);
  const left = old.leave();
  const device = deviceOf(left, nic);
  device.write(base, someBytes(page));
  expect(device.read(base, page)).toEqual(someBytes(page));
  expect(device.incidents.map(({ code, access }) => [code, access])).toEqual([
    ["iommu-mapped-lost", "write"],
    ["iommu-mapped-lost", "read"],
  ]);
  expect(whyOf(() => deviceOf(left, disk).read(base, 1))).toBe("blocked");
  const next = machines.arrive(left, { release: "7.3" });
  expect(whyOf(() => next.device(nic).read(base, 1))).toBe("blocked");
});

test("where nothing is handed over, all that a device can reach is lost", () => {
  const old = bootWith("vtd", { kho: false });
  const domain = old.iommu.domain();
  domain.map(base, old.memfd({ size: page }), IOMMU_READ);
  domain.attach(nic);
  const left = old.leave();
  expect(left.bootData).toBeUndefined();
  expect(checkDma(left)).toMatchObject([{ severity: "error", code: "iommu-mapped-lost" }]);
});

test("what a device writes on the way is what the next kernel finds", () => {
  const old = bootWith("vtd");
  preservedGuest(old);
  const next = old.kexec({
    release: "7.3",
    tamper: (departure) => deviceOf(departure, nic).write(base, someBytes(32)),
  });
  expect(read(retrievedGuest(next).guest, 32, 0n)).toEqual(someBytes(32));
});

test("a machine that has jumped has no devices", () => {
  const old = bootWith("vtd");
  const device = old.device(nic);
  old.leave();
  expect(errorOf(() => old.device(nic)).code).toBe("machine-misuse");
  expect(errorOf(() => device.read(base, 1)).code).toBe("machine-misuse");
});
