/** IOMMU state that the next kernel takes for something else, or that is damaged. Its only answer is to stop. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { radixShape } from "../../formats/kho/map-radix.js";
import { radixEditor } from "../../formats/kho/radix-editor.js";
import {
  iommuDeviceSer,
  iommuDomainSer,
  iommuFlbSer,
  iommuHwSer,
} from "../../formats/proposed/iommu/layout.js";
import { seriesOf } from "../../formats/proposed/iommu/series.js";
import { newReading, openIommu } from "../../src/iommu/open.js";
import { readPersisted } from "../../src/iommu/persisted.js";
import { memberOf, type Struct } from "../../src/layout/index.js";
import { type Departure, deviceOf, Machine } from "../../src/machine/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import { isKhoError } from "../../src/report/error.js";
import { decoded } from "./departures.js";
import {
  base,
  bootWith,
  nic,
  persistent,
  preservedGuest,
  retrievedGuest,
  someBytes,
  whyOf,
} from "./iommu-support.js";

const release = "7.3";
const abi = { byteOrder: "little", pageSize: 4096 } as const;

function leftBy(series = "d", vendor: "vtd" | "smmuv3" = "vtd") {
  const old = bootWith(vendor, { iommu: { series } });
  const { domain } = preservedGuest(old);
  const left = old.leave();
  const { state } = readPersisted(newReading(left.memory).ctx, decoded(left).handover, seriesOf(series))!;
  return { left, state, domain };
}

const arrive = (left: Departure, series = "d"): Machine =>
  Machine.arrive(left, { release, iommu: { series } });

const reasonOf = ({ outcome }: Machine) => (outcome.kind === "panic" ? outcome.reason : undefined);

/** The same departure with other bytes in a member of a structure. */
function changed(left: Departure, pa: PhysAddr, layout: Struct, member: string, value: bigint): Departure {
  const memory = left.memory.snapshot();
  const { offset, size } = memberOf(layout, member, abi);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  memory.write(physAddr(pa + BigInt(offset)), bytes.subarray(0, Math.min(size, 8)));
  return { ...left, memory };
}

/** The same departure without one page in its memory map. */
function withoutPage(left: Departure, pa: PhysAddr): Departure {
  const memory = left.memory.snapshot();
  const map = decoded(left).handover.preserved!;
  if (map.kind !== "radix") throw new Error("the map is no radix tree");
  const none = (): never => {
    throw new Error("nothing is added");
  };
  const editor = radixEditor(memory, map.rootPa, radixShape(abi), abi, none);
  expect(editor.has(0, Number(pa >> 12n))).toBe(true);
  editor.remove(0, Number(pa >> 12n), 1);
  return { ...left, memory };
}

describe("a reader of another series with the same name", () => {
  test.each([
    ["d", "c-prime"],
    ["c-prime", "d"],
  ])("%s read as %s stops the kernel", (written, readAs) => {
    const next = arrive(leftBy(written).left, readAs);
    expect(reasonOf(next)).toMatchObject({
      code: "iommu-state-value",
      consequence: { outcome: "panic", phase: "boot" },
    });
    expect(next.findings.map(({ code }) => code)).toContain("iommu-state-link");
    expect(next.log.at(-1)).toContain("IOMMU: ");
    expect(whyOf(() => next.iommu)).toBe("machine-misuse");
  });

  test.each([
    ["a0", "a"],
    ["a", "a0"],
    ["a-intel", "a0"],
  ])("%s read as %s does not find the IOMMU, and DMA ends", (written, readAs) => {
    const next = arrive(leftBy(written).left, readAs);
    expect(next.outcome.kind).toBe("received");
    expect(next.findings.map(({ code }) => code)).toContain("iommu-state-value");
    expect(whyOf(() => next.device(nic).read(base, 1))).toBe("blocked");
  });

  test.each([
    ["a", "a-intel"],
    ["a-intel", "a"],
  ])(
    "%s read as %s goes well with one device, whose additions are behind all that is read",
    (written, readAs) => {
      const next = arrive(leftBy(written).left, readAs);
      next.device(nic).write(base, someBytes(4));
      expect(next.device(nic).read(base, 4)).toEqual(someBytes(4));
    },
  );
});

test("DMA goes on when the kernel that should receive it has stopped", () => {
  const { left } = leftBy();
  const next = arrive(left, "c-prime");
  const device = next.device(nic);
  device.write(base, someBytes(4));
  expect(device.read(base, 4)).toEqual(someBytes(4));
  expect(device.incidents).toEqual([]);
});

describe("damage", () => {
  test.each(persistent)("%s: a page that was not preserved", (vendor) => {
    const { left, state, domain } = leftBy("d", vendor);
    const pages = [...Object.values(state.places).flat(), ...domain.tables().map(({ pa }) => pa)];
    for (const pa of pages) {
      const next = Machine.arrive(withoutPage(left, pa), { release });
      expect(reasonOf(next)?.code).toBe("page-not-preserved");
    }
  });

  const { left, state } = leftBy();
  const [iommu, domain, device] = [state.iommus[0]!.pa, state.domains[0]!.pa, state.devices[0]!.pa];
  test.each<[string, PhysAddr, Struct, string, bigint, string | undefined]>([
    ["another version of the root", state.places.root, iommuFlbSer, "version", 2n, "iommu-state-version"],
    ["no page of domains", state.places.root, iommuFlbSer, "iommu_domain_array_phys", 0n, "bad-address"],
    [
      "records at an odd address",
      state.places.root,
      iommuFlbSer,
      "device_array_phys",
      0x1001n,
      "page-not-preserved",
    ],
    ["a page table at 0", domain, iommuDomainSer, "top_table_phys", 0n, "page-not-preserved"],
    ["a page table beyond memory", domain, iommuDomainSer, "top_table_phys", 1n << 60n, "memory-absent"],
    [
      "a page table that begins one level lower",
      domain,
      iommuDomainSer,
      "top_level",
      2n,
      "iommu-state-value",
    ],
    ["a page table of seven levels", domain, iommuDomainSer, "top_level", 6n, "iommu-state-value"],
    ["addresses of four billion bits", domain, iommuDomainSer, "vasz", 0xffff_ffffn, "iommu-state-value"],
    ["another IOMMU's registers", iommu, iommuHwSer, "token", 0x1000n, undefined],
    ["another maker's record", iommu, iommuHwSer, "type", 2n, undefined],
    ["a dead record of the IOMMU", iommu, iommuHwSer, "hdr", 0x1_0000_0001n, undefined],
    ["another device", device, iommuDeviceSer, "devid", 0x99n, undefined],
  ])("%s", (_, pa, layout, member, value, code) => {
    const next = arrive(changed(left, pa, layout, member, value));
    expect(reasonOf(next)?.code).toBe(code);
    if (!code) expect(next.outcome.kind).toBe("received");
  });

  test("a device's tag that the record has wrong stays as hardware has it", () => {
    const next = arrive(changed(left, device, iommuDeviceSer, "domain_iommu_ser", 77n));
    expect(next.outcome.kind).toBe("received");
    const unit = openIommu(newReading(next.memory), "vtd", next.iommu.registers);
    expect(unit.device(0x28)!.domain).toEqual({ name: "DID", id: 2 });
  });

  test("whatever is changed, a kernel receives it or stops, and devices fault or go on", () => {
    const targets = [state.places.root, ...Object.values(state.places).flat(), iommu, domain, device];
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            pa: fc.constantFrom(...targets),
            at: fc.nat({ max: 511 }),
            bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
          }),
          { minLength: 1, maxLength: 4 },
        ),
        (changes) => {
          const memory = left.memory.snapshot();
          for (const { pa, at, bytes } of changes) memory.write(physAddr(pa + BigInt(at)), bytes);
          const next = arrive({ ...left, memory });
          expect(["received", "panic"]).toContain(next.outcome.kind);
          try {
            next.device(nic).read(base, 16);
          } catch (error) {
            if (!isKhoError(error)) throw error;
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

test("a device whose file is damaged keeps its domain, and its file cannot be had", () => {
  const { left } = leftBy();
  const data = decoded(left).handover.luo!.sessions[0]!.files[1]!.data;
  const memory = left.memory.snapshot();
  memory.write(physAddr(data), new Uint8Array(8));
  const next = arrive({ ...left, memory });
  const { session } = retrievedGuest(next);
  expect(whyOf(() => session.retrieve(2n))).toBe("EINVAL");
  deviceOf(left, nic).write(base, someBytes(1));
  expect(next.device(nic).read(base, 1)).toEqual(Uint8Array.of(0));
});
