/** Domains go over a kexec with their session, and DMA goes on. */
import { describe, expect, test } from "vitest";
import { iommuSeries } from "../../formats/proposed/iommu/series.js";
import { isDeleted } from "../../formats/proposed/iommu/state.js";
import { diffMappings } from "../../src/iommu/diff.js";
import { newReading, openIommu } from "../../src/iommu/open.js";
import { reachOf } from "../../src/iommu/reach.js";
import {
  attempt,
  checkDma,
  deviceOf,
  fillPattern,
  IOMMU_READ,
  Machine,
  patternBytes,
  read,
} from "../../src/machine/index.js";
import { decoded, holdings } from "./departures.js";
import { handedOver } from "./iommu-handed-over.js";
import {
  base,
  bootWith,
  disk,
  guestMemory,
  nic,
  persistent,
  preservedGuest,
  readWrite,
  retrievedGuest,
  someBytes,
  whyOf,
} from "./iommu-support.js";

describe.each(persistent)("%s", (vendor) => {
  test("DMA goes on during and after the hop, until a new domain takes over", () => {
    const old = bootWith(vendor);
    const { guest, domain } = preservedGuest(old);
    fillPattern(guest, 7n, [{ index: 0, count: 1024 }]);
    const before = domain.tables();
    const mapped = domain.mappings();
    old.device(nic).write(base, someBytes(5000, 1));
    const left = old.leave();
    deviceOf(left, nic).write(base + 8000n, someBytes(5000, 2));
    expect(deviceOf(left, nic).read(base, 5000)).toEqual(someBytes(5000, 1));
    expect(checkDma(left)).toEqual([]);

    const next = Machine.arrive(left, { release: "7.3" });
    expect(next.outcome).toEqual({ kind: "received" });
    const device = next.device(nic);
    device.write(base + 16000n, someBytes(5000, 3));
    const { session, guest: again } = retrievedGuest(next);
    const restored = next.iommu.domainOf(session.retrieve(2n));
    expect(restored.devices).toEqual([nic]);
    expect(restored.tables()).toEqual(before);
    expect(restored.mappings()).toEqual(mapped);
    device.write(base + 24000n, someBytes(5000, 4));
    for (const [i, offset] of [0n, 8000n, 16000n, 24000n].entries())
      expect(read(again, 5000, offset)).toEqual(someBytes(5000, i + 1));
    expect(read(again, 4096, 65536n)).toEqual(patternBytes(7n, 16, 4096));

    const fresh = next.iommu.domain();
    fresh.map(base, again, readWrite);
    expect([...diffMappings(restored.mappings(), fresh.mappings())]).toEqual([]);
    expect(whyOf(() => session.finish())).toBe("EBUSY");
    fresh.attach(nic);
    expect([restored.devices, fresh.devices]).toEqual([[], [nic]]);
    device.write(base, someBytes(5000, 5));
    expect(read(again, 5000, 0n)).toEqual(someBytes(5000, 5));
    session.finish();
    expect(whyOf(() => restored.tables())).toBe("EBADF");
    device.write(base, someBytes(5000, 6));
    expect(read(again, 5000, 0n)).toEqual(someBytes(5000, 6));
    expect(device.incidents).toEqual([]);
  });

  test("what is handed over is what the decoders read", () => {
    const old = bootWith(vendor);
    const { domain } = preservedGuest(old);
    const left = old.leave();
    const { state, domains, findings } = handedOver(left);
    expect(findings).toEqual([]);
    expect(domains[0]!.runs).toEqual(domain.mappings());
    expect(state.iommus).toHaveLength(1);
    expect(state.devices).toMatchObject([{ devid: 0x28, pciDomain: 0, domain: 0, iommu: 0, refCount: 1 }]);
    const reading = newReading(left.memory);
    const unit = openIommu(reading, vendor, left.hardware.iommu!.registers!);
    expect(reachOf(reading.ctx, unit.device(0x28)!).runs).toEqual(domain.mappings());
    expect(reading.findings).toEqual([]);
  });

  test("nothing is left behind in either kernel", () => {
    const bare = bootWith(vendor).kexec({ release: "7.3" });
    bare.init.exit();
    const old = bootWith(vendor);
    preservedGuest(old);
    const next = old.kexec({ release: "7.3" });
    const { session, guest } = retrievedGuest(next);
    session.retrieve(2n);
    const fresh = next.iommu.domain();
    fresh.map(base, guest, readWrite);
    fresh.attach(nic);
    session.finish();
    next.init.exit();
    // A device that was in a domain once has tables of the IOMMU that lead to it.
    const { "iommu device tables": tables, kernel: _, ...rest } = holdings(next);
    const { "iommu device tables": bareTables, kernel: __, ...bareRest } = holdings(bare);
    expect(rest).toEqual(bareRest);
    expect(tables! - bareTables!).toBe(1);
  });

  test("closing the session takes everything back", () => {
    const old = bootWith(vendor);
    const { domain } = preservedGuest(old);
    const before = [holdings(old), domain.tables()] as const;
    old.liveupdate.createSession("other").close();
    old.init.close(old.init.fds.find((fd) => old.init.file(fd).inode.type.startsWith("[luo_session] vm"))!);
    domain.unmap(base, 4n << 20n);
    domain.map(base, guestMemory(old), IOMMU_READ);
    domain.attach(disk);
    const [{ "iommu state": records, iommufd }] = before;
    expect([records! > 0, iommufd]).toEqual([true, 1]);
    expect(holdings(old)).not.toHaveProperty("iommu state");
    expect(holdings(old)).not.toHaveProperty("iommufd");
    const left = old.leave();
    expect(decoded(left).handover.luo!.flbs).toEqual([]);
  });

  test("every allocation that fails while a domain is preserved is undone", () => {
    let left = Number.POSITIVE_INFINITY;
    const old = bootWith(vendor, { faults: { allocation: () => left-- <= 0 } });
    const guest = guestMemory(old);
    const domain = old.iommu.domain();
    domain.map(base, guest, readWrite);
    domain.attach(nic);
    const session = old.liveupdate.createSession("vm");
    session.preserve(guest, 1n);
    let before: Record<string, number> | undefined;
    for (let allowed = 0; ; allowed++) {
      left = allowed;
      const result = attempt(() => session.preserve(domain.file, 2n));
      left = Number.POSITIVE_INFINITY;
      if (!("errno" in result)) break;
      expect(result.errno).toBe("ENOMEM");
      // Nodes of the memory map stay once they are made.
      const { "radix node": _, ...now } = holdings(old);
      expect(now).toEqual((before ??= now));
      expect(allowed).toBeLessThan(40);
    }
    expect(handedOver(old.leave()).findings).toEqual([]);
  });

  test("the domain of the new kernel is handed over in turn", () => {
    let machine = bootWith(vendor);
    preservedGuest(machine);
    for (let hop = 1; hop <= 3; hop++) {
      machine = machine.kexec({ release: "7.3" });
      machine.device(nic).write(base + BigInt(hop), Uint8Array.of(hop));
      const { session, guest } = retrievedGuest(machine);
      session.retrieve(2n);
      const domain = machine.iommu.domain();
      domain.map(base, guest, readWrite);
      domain.attach(nic);
      session.finish();
      const outgoing = machine.liveupdate.createSession(`vm of ${nic}`);
      outgoing.preserve(guest, 1n);
      outgoing.preserve(domain.file, 2n);
      expect(machine.device(nic).incidents).toEqual([]);
    }
    const left = machine.leave();
    expect(handedOver(left).findings).toEqual([]);
    expect(deviceOf(left, nic).read(base, 4)).toEqual(Uint8Array.of(0, 1, 2, 3));
  });

  test("two sessions share the IOMMU's record and tables; each domain keeps its own", () => {
    const old = bootWith(vendor);
    const one = preservedGuest(old, nic);
    preservedGuest(old, disk);
    expect(old.luo.sessions("outgoing")).toHaveLength(2);
    old.init.close(one.session.fd);
    one.domain.detach(nic);
    const again = guestMemory(old);
    one.domain.unmap(base, 4n << 20n);
    one.domain.map(base, again, readWrite);
    one.domain.attach(nic);
    const session = old.liveupdate.createSession("again");
    session.preserve(again, 1n);
    session.preserve(one.domain.file, 2n);
    const left = old.leave();
    const { state, findings } = handedOver(left);
    expect(findings).toEqual([]);
    expect(state.iommus.map(({ refCount }) => refCount)).toEqual([2]);
    expect(state.devices.map((record) => [record.devid, isDeleted(record)])).toEqual([
      [0x28, true],
      [0x30, false],
      [0x28, false],
    ]);
    const next = Machine.arrive(left, { release: "7.3" });
    next.device(nic).write(base, someBytes(16, 1));
    next.device(disk).write(base, someBytes(16, 2));
    expect(read(retrievedGuest(next, disk).guest, 16, 0n)).toEqual(someBytes(16, 2));
    const restored = next.iommu.domainOf(next.liveupdate.retrieveSession("again").retrieve(2n));
    expect(restored.table.root).toBe(one.domain.table.root);
    expect(restored.devices).toEqual([nic]);
  });

  test("one departure can be tried by several kernels, and none disturbs the other", () => {
    const old = bootWith(vendor);
    preservedGuest(old);
    const left = old.leave();
    const [one, other] = [Machine.arrive(left, { release: "7.3" }), Machine.arrive(left, { release: "7.3" })];
    one.device(nic).write(base, someBytes(4));
    one.iommu.domainOf(retrievedGuest(one).session.retrieve(2n)).detach(nic);
    expect(other.device(nic).read(base, 4)).toEqual(new Uint8Array(4));
    expect(deviceOf(left, nic).read(base, 4)).toEqual(new Uint8Array(4));
    expect(whyOf(() => one.device(nic).read(base, 4))).toBe("blocked");
  });
});

describe("a restored domain", () => {
  const arrived = () => {
    const old = bootWith("vtd");
    preservedGuest(old);
    const next = old.kexec({ release: "7.3" });
    const { session, guest } = retrievedGuest(next);
    return { next, session, guest };
  };

  test("stays as it was left", () => {
    const { next, session, guest } = arrived();
    const restored = next.iommu.domainOf(session.retrieve(2n));
    expect(whyOf(() => restored.map(0n, guest, readWrite))).toBe("EPERM");
    expect(whyOf(() => restored.unmap(base, 4n << 20n))).toBe("EPERM");
    expect(whyOf(() => restored.attach(disk))).toBe("EPERM");
    const outgoing = next.liveupdate.createSession("again");
    expect(whyOf(() => outgoing.preserve(restored.file, 1n))).toBe("EBUSY");
    restored.detach(nic);
    session.finish();
    expect(whyOf(() => outgoing.preserve(restored.file, 1n))).toBe("EINVAL");
  });

  test("has to be asked for before its session can be finished", () => {
    const { next, session } = arrived();
    expect(whyOf(() => session.finish())).toBe("EBUSY");
    next.init.exit();
    expect(next.log.at(-1)).toContain("held until the reboot");
    expect(next.device(nic).read(base, 1)).toEqual(Uint8Array.of(0));
  });

  test("is one, however often it is asked for", () => {
    const { next, session } = arrived();
    const [one, two] = [session.retrieve(2n), session.retrieve(2n)];
    expect(next.iommu.domainOf(one)).toBe(next.iommu.domainOf(two));
    expect(whyOf(() => next.iommu.domainOf(session.retrieve(1n)))).toBe("EINVAL");
  });

  test("tags caches with the number that it had, which no other domain gets meanwhile", () => {
    const { next, session, guest } = arrived();
    const restored = next.iommu.domainOf(session.retrieve(2n));
    const fresh = next.iommu.domain();
    fresh.map(base, guest, readWrite);
    fresh.attach(disk);
    const unit = openIommu(newReading(next.memory), "vtd", next.iommu.registers);
    const ids = [...unit.devices()].map(({ device, domain }) => [device, domain!.id]);
    expect(ids).toEqual([
      [0x28, 2],
      [0x30, 3],
    ]);
    restored.detach(nic);
    const third = next.iommu.domain();
    third.attach(nic);
    expect(unit.device(0x28)!.domain!.id).toBe(2);
  });
});

/** Series by the makers that they have a place for. */
const places = iommuSeries.flatMap(({ name, drivers }) =>
  persistent.map((vendor) => ({
    vendor,
    name,
    has: vendor === "vtd" ? drivers.intel !== undefined : drivers.smmuv3 !== undefined,
  })),
);
test.each(places)("series $name, $vendor: $has", ({ vendor, name, has }) => {
  const series = { iommu: { series: name } };
  const machine = bootWith(vendor, series);
  if (!has) {
    expect(whyOf(() => preservedGuest(machine))).toBe("EOPNOTSUPP");
    return;
  }
  const { domain } = preservedGuest(machine);
  const before = domain.tables();
  const left = machine.leave();
  expect(handedOver(left, name).findings).toEqual([]);
  const next = Machine.arrive(left, { release: "7.3", ...series });
  next.device(nic).write(base, someBytes(4));
  const { session, guest } = retrievedGuest(next);
  expect(read(guest, 4, 0n)).toEqual(someBytes(4));
  expect(next.iommu.domainOf(session.retrieve(2n)).tables()).toEqual(before);
});

test.each([16384, 65536])("an SMMUv3 of kernels with pages of %i bytes", (pageSize) => {
  const machine = bootWith("smmuv3", { pageSize });
  const { domain } = preservedGuest(machine);
  const before = domain.tables();
  const next = machine.kexec({ release: "7.3" });
  next.device(nic).write(base, someBytes(100));
  const { session, guest } = retrievedGuest(next);
  expect(read(guest, 100, 0n)).toEqual(someBytes(100));
  expect(next.iommu.domainOf(session.retrieve(2n)).tables()).toEqual(before);
  expect(next.device(nic).incidents).toEqual([]);
});
