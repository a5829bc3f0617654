/** What can be mapped for devices, and whose its pages are then. */
import { describe, expect, test } from "vitest";
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  fallocate,
  IOMMU_READ,
  read,
  truncate,
  write,
} from "../../src/machine/index.js";
import { holdings } from "./departures.js";
import { base, bootWith, nic, readWrite, someBytes, whyOf } from "./iommu-support.js";

const page = 4096;
const pages = (count: number): bigint => BigInt(count * page);

describe("mapping", () => {
  const open = () => {
    const machine = bootWith("vtd");
    const file = machine.memfd({ size: 4 * page });
    return { machine, file, domain: machine.iommu.domain() };
  };

  test.each<[string, bigint, number, { offset?: bigint; length?: bigint }, string]>([
    ["no rights", base, 0, {}, "EINVAL"],
    ["an address within a page", base + 1n, readWrite, {}, "EINVAL"],
    ["a place within a page of the file", base, readWrite, { offset: 1n, length: pages(1) }, "EINVAL"],
    ["nothing", base, readWrite, { length: 0n }, "EINVAL"],
    ["a part of a page", base, readWrite, { length: pages(1) + 1n }, "EINVAL"],
    ["less than nothing", base, readWrite, { offset: -pages(1) }, "EINVAL"],
    ["behind the end of the file", base, readWrite, { offset: pages(2), length: pages(3) }, "EINVAL"],
    ["behind the last address", (1n << 64n) - pages(1), readWrite, { length: pages(2) }, "EOVERFLOW"],
    ["beyond the bits of the tables", 1n << 48n, readWrite, {}, "ERANGE"],
    ["where something is", 0x1000n, readWrite, { length: pages(1) }, "EEXIST"],
  ])("of %s is refused", (_, iova, prot, range, errno) => {
    const { machine, file, domain } = open();
    domain.map(0n, file, IOMMU_READ);
    const before = [holdings(machine), file.inode.pins, domain.tables()];
    expect(whyOf(() => domain.map(iova, file, prot, range))).toBe(errno);
    expect([holdings(machine), file.inode.pins, domain.tables()]).toEqual(before);
  });

  test("takes the last page of a file as a whole", () => {
    const { machine, domain } = open();
    const file = machine.memfd({ size: page + 1 });
    domain.map(base, file, readWrite);
    domain.attach(nic);
    machine.device(nic).write(base + pages(1), someBytes(page));
    expect(machine.device(nic).read(base + pages(1), page)).toEqual(someBytes(page));
    expect(read(file, page, pages(1))).toEqual(someBytes(1));
  });

  test("is taken back as a whole", () => {
    const { file, domain } = open();
    domain.map(base, file, readWrite);
    expect(whyOf(() => domain.unmap(base, pages(3)))).toBe("ENOENT");
    expect(whyOf(() => domain.unmap(base + pages(4), pages(4)))).toBe("ENOENT");
    expect(domain.mappings().length).toBeGreaterThan(0);
    domain.unmap(base - pages(1), pages(6));
    expect(domain.mappings().length).toBe(0);
    expect(file.inode.pins).toBe(0);
  });

  test("takes one call for each stretch of memory: large pages where folios are large", () => {
    const { machine, domain } = open();
    const large = machine.memfd({ size: 4 << 20, folioOrder: 9 });
    domain.map(base, large, readWrite);
    // Two folios of 2 MiB, adjacent in memory: leaves of 2 MiB in one table, and no table of 4 KiB leaves.
    expect(domain.tables()).toHaveLength(3);
  });

  test("is coherent with the caches, as iommufd wants it", () => {
    const machine = bootWith("smmuv3");
    const domain = machine.iommu.domain();
    const file = machine.memfd({ size: 2 * page });
    domain.map(base, file, readWrite, { length: pages(1) });
    domain.map(base + pages(1), file, IOMMU_READ, { length: pages(1) });
    const { bytes } = domain.tables().at(-1)!;
    const words = new BigUint64Array(bytes.buffer, bytes.byteOffset, 2);
    // Leaves of 4 KiB with READ, WRITE and CACHE, and without WRITE.
    expect([...words].map((word) => word & 0xfffn)).toEqual([0xf47n, 0xfc7n]);
  });

  test("that fails half-way leaves nothing mapped", () => {
    let left = Number.POSITIVE_INFINITY;
    const machine = bootWith("vtd", { faults: { allocation: () => left-- <= 0 } });
    const [file, other] = ["one", "other"].map((name) => machine.memfd({ size: 8 * page, name }));
    // Pages of two files by turns: none of either has its neighbour.
    for (let i = 0; i < 8; i++) for (const each of [file!, other!]) write(each, someBytes(page, i), pages(i));
    const domain = machine.iommu.domain();
    domain.map(base - pages(8), other!, readWrite, { length: pages(1) });
    // There is a table for the addresses below `base`, and none for those from there on.
    left = 0;
    expect(whyOf(() => domain.map(base - pages(4), file!, readWrite))).toBe("ENOMEM");
    left = Number.POSITIVE_INFINITY;
    expect(file!.inode.pins).toBe(0);
    expect(domain.mappings()).toMatchObject({
      length: 1,
      iova: Float64Array.of(Number((base - pages(8)) >> 12n)),
    });
    domain.map(base - pages(4), file!, readWrite);
    domain.attach(nic);
    expect(machine.device(nic).read(base - pages(4), page)).toEqual(someBytes(page, 0));
    expect(machine.device(nic).read(base + pages(3), page)).toEqual(someBytes(page, 7));
  });

  test("of a file whose pages were reserved and never written shows zeros", () => {
    const { machine, domain } = open();
    const dirty = machine.memfd({ size: 4 * page });
    write(dirty, someBytes(4 * page), 0n);
    truncate(dirty, 0n);
    const reserved = machine.memfd({ size: 4 * page });
    fallocate(reserved, FALLOC_FL_KEEP_SIZE, 0n, pages(4));
    domain.map(base, reserved, readWrite);
    domain.attach(nic);
    expect(machine.device(nic).read(base, 4 * page)).toEqual(new Uint8Array(4 * page));
    machine.device(nic).write(base, someBytes(8));
    expect(read(reserved, 8, 0n)).toEqual(someBytes(8));
  });

  test("of a file that is closed and gone is refused", () => {
    const { machine, file, domain } = open();
    const [fd] = machine.init.fds;
    machine.init.close(fd!);
    expect(file.refs).toBe(0);
    expect(whyOf(() => domain.map(base, file, readWrite))).toBe("EBADF");
  });
});

describe("pages that a device uses", () => {
  const open = () => {
    const machine = bootWith("vtd");
    const file = machine.memfd({ size: 8 * page, folioOrder: 2 });
    const domain = machine.iommu.domain();
    domain.map(base, file, readWrite);
    domain.attach(nic);
    return { machine, file, domain, device: machine.device(nic) };
  };

  test("stay the device's when a hole is punched into the file", () => {
    const { machine, file, domain, device } = open();
    const before = holdings(machine).memfd;
    fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, pages(1), pages(2));
    expect(holdings(machine).memfd).toBe(before);
    device.write(base + pages(1), someBytes(page));
    expect(device.read(base + pages(1), page)).toEqual(someBytes(page));
    expect(read(file, page, pages(1))).toEqual(new Uint8Array(page));
    domain.unmap(base, pages(8));
    expect(holdings(machine).memfd).toBe(before! - 2);
  });

  test("stay when the file is cut and when its last descriptor is closed", () => {
    const { machine, file, domain, device } = open();
    truncate(file, 0n);
    machine.init.close(machine.init.fds.find((fd) => machine.init.file(fd) === file)!);
    device.write(base, someBytes(8 * page));
    expect(device.read(base, 8 * page)).toEqual(someBytes(8 * page));
    domain.unmap(base, pages(8));
    expect(holdings(machine).memfd).toBeUndefined();
  });

  test("stay until the last of several mappings is gone", () => {
    const { machine, file, domain } = open();
    const other = machine.iommu.domain();
    other.map(0n, file, IOMMU_READ, { offset: pages(1), length: pages(2) });
    truncate(file, 0n);
    domain.unmap(base, pages(8));
    expect(holdings(machine).memfd).toBe(2);
    other.unmap(0n, pages(2));
    expect(holdings(machine).memfd).toBeUndefined();
  });
});
