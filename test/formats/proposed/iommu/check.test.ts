import { describe, expect, it } from "vitest";
import { decodeIommuState } from "../../../../formats/proposed/iommu/decode.js";
import { seriesOf } from "../../../../formats/proposed/iommu/series.js";
import { failure } from "../../../layout/support.js";
import { Sample } from "./sample.js";
import { arrayHead, seriesNames } from "./spec.js";
import { reading } from "./support.js";

/** Reads a sample, and says of each finding what matters: severity, code, path, what it does to whom. */
function read(sample: Sample, strict = false) {
  const { ctx, findings } = reading(sample.memory, { strict });
  const state = decodeIommuState(ctx, seriesOf(sample.name), sample.places.root)!;
  const told = findings.map(({ severity, code, path, consequence }) =>
    [severity, code, path, consequence?.outcome].filter((part) => part !== undefined).join(" "),
  );
  return { state, findings, told };
}

it.each(seriesNames)("nothing is wrong with a state of series %s that has deleted records", (name) => {
  const { state, told } = read(new Sample(name));
  expect(told).toEqual([]);
  expect([state.iommus.length, state.domains.length, state.devices.length]).toEqual([2, 3, 3]);
  expect(state.devices.map(({ domain, iommu }) => [domain, iommu])).toEqual([
    [0, 0],
    [undefined, undefined],
    [2, 0],
  ]);
});

/** What is written wrong, and what is found then. */
type Case = readonly [what: string, series: string, damage: (sample: Sample) => void, ...told: string[]];

const cases: readonly Case[] = [
  [
    "another version",
    "d",
    (s) => s.put(s.places.root, s.spec.root.version!, 2n),
    "error iommu-state-version iommu.root.version panic",
  ],
  [
    "no page of domains, where readers check",
    "c-prime",
    (s) => s.put(s.places.root, s.spec.root.domains, 0n),
    "error bad-address iommu.domains panic",
    "error iommu-state-link iommu.devices[0].domain misread",
    "error iommu-state-link iommu.devices[2].domain misread",
  ],
  [
    "no page of devices, where readers do not check",
    "c",
    (s) => s.put(s.places.root, s.spec.root.devices, 0n),
    "error bad-address iommu.devices ignored",
    "info iommu-state-count iommu.iommus[0].refCount",
  ],
  [
    "no page of devices, where readers go by the root",
    "a",
    (s) => s.put(s.places.root, s.spec.root.devices, 0n),
    "error bad-address iommu.devices misread",
    "warning iommu-state-count iommu.root.nr_devices misread",
    "info iommu-state-count iommu.iommus[0].refCount",
  ],
  [
    "a number in the root that is too small",
    "a",
    (s) => s.put(s.places.root, s.spec.root.counts!.devices, 0n),
    "warning iommu-state-count iommu.root.nr_devices ignored",
  ],
  [
    "a number in the root that is too large",
    "a0",
    (s) => s.put(s.places.root, s.spec.root.counts!.domains, 4n),
    "warning iommu-state-count iommu.root.nr_domains misread",
  ],
  [
    "a page that holds more than fit",
    "d",
    (s) => {
      s.put(s.places.iommus[0]!, arrayHead.count, 37);
      // The rest is deleted, not to be reported as well.
      for (let i = 2; i < 36; i++) s.set("iommus", i, "flags", 1);
    },
    "error iommu-state-count iommu.iommus.pages[0] misread",
  ],
  [
    "a pointer that belongs to the reading kernel",
    "b",
    (s) => s.set("domains", 0, "restoredDomain", 0xffff888100000000n),
    "warning iommu-state-value iommu.domains[0].restored_domain misread",
  ],
  [
    "a sign extension of more than a bit",
    "d",
    (s) => s.set("domains", 0, "signExtend", 2),
    "warning iommu-state-value iommu.domains[0].sign_extend",
  ],
  [
    "bits beside the sign extension",
    "c",
    (s) => s.set("domains", 0, "signExtend", 0x81),
    "warning iommu-state-value iommu.domains[0].sign_extend",
  ],
  [
    "flags that nobody knows",
    "a",
    (s) => s.set("domains", 0, "flags", 0x84),
    "warning iommu-state-value iommu.domains[0].flags",
  ],
  [
    "the same in 32 bits",
    "d",
    (s) => s.set("devices", 0, "flags", 0x80000000),
    "warning iommu-state-value iommu.devices[0].flags",
  ],
  [
    "a record that was taken over",
    "c",
    (s) => s.set("devices", 2, "flags", 2),
    "info iommu-state-value iommu.devices[2].flags",
  ],
  [
    "an IOMMU that was restored",
    "d",
    (s) => s.setUnion("iommus", 0, "restored", 1),
    "info iommu-state-value iommu.iommus[0].flags",
  ],
  [
    "a device that was restored",
    "d",
    (s) => s.setUnion("devices", 0, "restored", 1),
    "info iommu-state-value iommu.devices[0].flags",
  ],
  [
    "a record with another's number",
    "a",
    (s) => s.set("domains", 2, "index", 1),
    "warning iommu-state-value iommu.domains[2].index",
  ],
  [
    "a domain without a page table",
    "d",
    (s) => s.set("domains", 0, "topTablePa", 0n),
    "error bad-address iommu.domains[0].topTablePa",
  ],
  [
    "addresses wider than there are",
    "d",
    (s) => s.set("domains", 0, "vaBits", 65),
    "warning iommu-state-value iommu.domains[0].vaBits",
  ],
  [
    "a type that is no driver's",
    "c",
    (s) => s.set("iommus", 0, "type", 2n),
    "error iommu-state-value iommu.iommus[0].type ignored",
  ],
  [
    "a token that is not the register base",
    "d",
    (s) => s.set("iommus", 0, "token", 1n),
    "warning iommu-state-value iommu.iommus[0].token",
  ],
  [
    "a root table within a page",
    "a",
    (s) => s.setUnion("iommus", 0, "rootTable", 0x15800n),
    "error bad-address iommu.iommus[0].rootTable",
  ],
  [
    "a count of devices that is not theirs",
    "d",
    (s) => s.set("iommus", 0, "refCount", 3),
    "info iommu-state-count iommu.iommus[0].refCount",
  ],
  [
    "a devid with more than bus, device and function",
    "d",
    (s) => s.set("devices", 0, "devid", 0x10310),
    "warning iommu-state-value iommu.devices[0].devid",
  ],
  [
    "two records of one device",
    "d",
    (s) => s.set("devices", 2, "devid", 0x310),
    "error iommu-state-duplicate iommu.devices[2] ignored",
  ],
  [
    "two records of one IOMMU",
    "b",
    (s) => {
      s.set("iommus", 1, "flags", 0);
      s.set("iommus", 1, "token", 0xfed90000n);
      s.set("iommus", 1, "type", 1n);
    },
    "error iommu-state-duplicate iommu.iommus[1] ignored",
  ],
  [
    "a link into the middle of a record",
    "d",
    (s) => s.set("devices", 0, "domainPa", s.addressOf("domains", 0) + 1n),
    "error iommu-state-link iommu.devices[0].domain misread",
  ],
  [
    "a link to a record of another kind",
    "b",
    (s) => s.set("devices", 0, "domainPa", s.addressOf("iommus", 0)),
    "error iommu-state-link iommu.devices[0].domain misread",
  ],
  [
    "a link to a deleted domain",
    "a",
    (s) => s.set("devices", 2, "domainPa", s.addressOf("domains", 1)),
    "error iommu-state-link iommu.devices[2].domain misread",
  ],
  [
    "a link to no IOMMU",
    "d",
    (s) => s.set("devices", 2, "iommuPa", 0n),
    "info iommu-state-count iommu.iommus[0].refCount",
    "error iommu-state-link iommu.devices[2].iommu misread",
  ],
  ["a deleted device that leads nowhere", "d", (s) => s.set("devices", 1, "domainPa", 0x123n)],
  ["a deleted domain without a page table", "d", (s) => s.set("domains", 1, "topTablePa", 0n)],
];

describe("what is found, and what it does", () => {
  for (const [what, name, damage, ...told] of cases)
    it(`${what} (series ${name})`, () => {
      const sample = new Sample(name);
      damage(sample);
      expect(read(sample).told).toEqual(told);
    });
});

it("a page that is followed though it has room", () => {
  for (const [name, outcome] of [
    ["a", " misread"],
    ["d", ""],
  ] as const) {
    const sample = new Sample(name);
    const next = sample.places.root + 0x100000n;
    sample.put(next, arrayHead.count, 0);
    sample.put(sample.places.domains[0]!, arrayHead.next, next);
    const { state, told } = read(sample);
    expect(told).toEqual([`warning iommu-state-count iommu.domains.pages[0]${outcome}`]);
    expect(state.places.domains).toEqual([sample.places.domains[0], next]);
  }
});

it("the state of an IOMMU of a type that nobody has is bytes", () => {
  const sample = new Sample("c");
  sample.set("iommus", 0, "type", 2n);
  const [iommu] = read(sample).state.iommus;
  expect(iommu!.intel).toBeUndefined();
  expect(iommu!.union?.length).toBe(88);
});

it("strict reading stops where the kernel does", () => {
  const sample = new Sample("d");
  sample.put(sample.places.root, sample.spec.root.version!, 7n);
  expect(failure(() => read(sample, true))).toMatchObject({
    code: "iommu-state-version",
    expected: "1",
    actual: "7",
    consequence: { outcome: "panic", phase: "boot", all: true },
  });
});
