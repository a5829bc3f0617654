/** When a domain can be handed over, what that does to it, and to the devices that stay behind. */
import { describe, expect, test } from "vitest";
import { seals } from "../../formats/memfd/layout.js";
import { contextTables } from "../../formats/proposed/iommu/context-tables.js";
import { newReading, openIommu } from "../../src/iommu/open.js";
import { addSeals, deviceOf, Machine, read, write } from "../../src/machine/index.js";
import { holdings } from "./departures.js";
import { handedOver } from "./iommu-handed-over.js";
import {
  base,
  bootWith,
  disk,
  guestMemory,
  nic,
  preservedGuest,
  readWrite,
  retrievedGuest,
  someBytes,
  whyOf,
} from "./iommu-support.js";

describe("preserving", () => {
  const guestOf = (
    options: Parameters<typeof bootWith>[1] = {},
    vendor: Parameters<typeof bootWith>[0] = "vtd",
  ) => {
    const machine = bootWith(vendor, options);
    const guest = guestMemory(machine);
    const domain = machine.iommu.domain();
    domain.map(base, guest, readWrite);
    domain.attach(nic);
    return { machine, guest, domain };
  };

  test("wants all that is mapped in the same session, before", () => {
    const { machine, guest, domain } = guestOf();
    const [session, other] = ["one", "other"].map((name) => machine.liveupdate.createSession(name));
    expect(whyOf(() => session!.preserve(domain.file, 2n))).toBe("ENOENT");
    other!.preserve(guest, 1n);
    expect(whyOf(() => session!.preserve(domain.file, 2n))).toBe("ENOENT");
    other!.preserve(domain.file, 2n);
  });

  test("wants what is mapped sealed, so that it keeps its size", () => {
    const machine = bootWith("vtd");
    const guest = machine.memfd({ size: 4 << 20, allowSealing: true });
    const domain = machine.iommu.domain();
    domain.map(base, guest, readWrite);
    const session = machine.liveupdate.createSession("vm");
    session.preserve(guest, 1n);
    expect(whyOf(() => session.preserve(domain.file, 2n))).toBe("EINVAL");
    addSeals(guest, seals.F_SEAL_GROW | seals.F_SEAL_SHRINK);
    session.preserve(domain.file, 2n);
  });

  test("goes without both where the check is off", () => {
    const { machine, domain } = guestOf({ iommu: { checkFiles: false } });
    machine.liveupdate.createSession("vm").preserve(domain.file, 2n);
    expect(handedOver(machine.leave()).domains[0]!.runs).toEqual(domain.mappings());
  });

  test("freezes the domain", () => {
    const machine = bootWith("vtd");
    const { guest, domain } = preservedGuest(machine);
    expect(whyOf(() => domain.map(0n, guest, readWrite))).toBe("EBUSY");
    expect(whyOf(() => domain.unmap(base, 4n << 20n))).toBe("EBUSY");
    expect(whyOf(() => domain.attach(disk))).toBe("EBUSY");
    expect(whyOf(() => domain.detach(nic))).toBe("EBUSY");
    expect(whyOf(() => machine.iommu.domain().attach(nic))).toBe("EBUSY");
    // The file's content is no part of what is frozen.
    write(guest, someBytes(4), 0n);
    machine.device(nic).write(base + 4n, someBytes(4));
    expect(read(guest, 8, 0n)).toEqual(Uint8Array.of(...someBytes(4), ...someBytes(4)));
  });

  test.each([
    ["6.18", "live update"],
    ["6.19", "FLBs"],
  ])("is refused in Linux %s, which has no %s", (release) => {
    const { machine, domain } = guestOf({ release });
    machine.device(nic).write(base, someBytes(4));
    expect(whyOf(() => machine.liveupdate.createSession("vm").preserve(domain.file, 1n))).toBe("ENOENT");
  });

  test.each(["7.0", "7.1", "7.2", "7.3"])("works in Linux %s", (release) => {
    const machine = bootWith("vtd", { release });
    preservedGuest(machine);
    const next = machine.kexec({ release });
    expect(next.outcome.kind).toBe("received");
    next.device(nic).write(base, someBytes(4));
    const { session, guest } = retrievedGuest(next);
    expect(read(guest, 4, 0n)).toEqual(someBytes(4));
    next.iommu.domainOf(session.retrieve(2n)).detach(nic);
    session.finish();
  });

  test.each(["amd", "riscv"] as const)("is refused for %s, which no series has a place for", (vendor) => {
    const { machine, domain, guest } = guestOf({}, vendor);
    const session = machine.liveupdate.createSession("vm");
    session.preserve(guest, 1n);
    const before = holdings(machine);
    expect(whyOf(() => session.preserve(domain.file, 2n))).toBe("EOPNOTSUPP");
    expect(holdings(machine)).toEqual(before);
  });

  test("is not to be had from a kernel without a series", () => {
    const { machine, domain } = guestOf({ iommu: { series: "none" } });
    expect(whyOf(() => machine.liveupdate.createSession("vm").preserve(domain.file, 1n))).toBe("ENOENT");
  });

  test("blocks the devices of domains that stay behind", () => {
    const machine = bootWith("vtd", { iommu: { devices: [nic, disk, "01:00.0"] } });
    preservedGuest(machine);
    const other = machine.iommu.domain();
    other.map(base, machine.memfd({ size: 4096 }), readWrite);
    for (const device of [disk, "01:00.0"]) other.attach(device);
    const left = machine.leave();
    for (const device of [disk, "01:00.0"])
      expect(whyOf(() => deviceOf(left, device).read(base, 1))).toBe("blocked");
    const { state } = handedOver(left);
    expect(contextTables(state.iommus[0]!.intel!.contextTables!)).toEqual([{ bus: 0, half: "lower" }]);
    // The context table of bus 1 was not preserved and is somebody else's: nothing may lead there.
    const next = Machine.arrive(left, { release: "7.3" });
    const reading = newReading(next.memory);
    const unit = openIommu(reading, "vtd", next.iommu.registers);
    expect([...unit.devices()].map(({ device }) => device)).toEqual([0x28]);
    expect(reading.findings).toEqual([]);
    expect(whyOf(() => next.device("01:00.0").read(base, 1))).toBe("blocked");
    expect(next.device(nic).read(base, 1)).toEqual(Uint8Array.of(0));
  });

  test("and taking that back keeps the record of the IOMMU right", () => {
    const machine = bootWith("vtd", { iommu: { devices: [nic, "01:00.0"] } });
    preservedGuest(machine);
    const { session } = preservedGuest(machine, "01:00.0");
    machine.init.close(session.fd);
    const left = machine.leave();
    expect(whyOf(() => deviceOf(left, "01:00.0").read(base, 1))).toBe("blocked");
    const { state, findings } = handedOver(left);
    expect(findings).toEqual([]);
    expect(contextTables(state.iommus[0]!.intel!.contextTables!)).toEqual([{ bus: 0, half: "lower" }]);
  });

  test("a domain without devices goes over, too", () => {
    const { machine, guest, domain } = guestOf();
    domain.detach(nic);
    const session = machine.liveupdate.createSession(`vm of ${nic}`);
    session.preserve(guest, 1n);
    session.preserve(domain.file, 2n);
    const before = domain.tables();
    const next = machine.kexec({ release: "7.3" });
    const again = retrievedGuest(next).session;
    expect(next.iommu.domainOf(again.retrieve(2n)).tables()).toEqual(before);
    again.finish();
  });
});
