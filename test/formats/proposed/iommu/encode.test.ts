import { describe, expect, it } from "vitest";
import { encodeIommuState, type IommuStateSource } from "../../../../formats/proposed/iommu/encode.js";
import { seriesOf } from "../../../../formats/proposed/iommu/series.js";
import type { IommuPlaces } from "../../../../formats/proposed/iommu/state.js";
import { physAddr } from "../../../../src/memory/index.js";
import { failure } from "../../../layout/support.js";
import { targetOf } from "../../target.js";
import { faultless, Sample } from "./sample.js";
import { seriesNames } from "./spec.js";
import { differences } from "./support.js";

it.each(seriesNames)("a state of series %s with deleted records", (name) => {
  const sample = new Sample(name);
  const target = targetOf();
  encodeIommuState(target, seriesOf(name), sample.places, sample.state);
  expect(differences(target.memory, sample.memory)).toEqual([]);
});

it("numbers of the root that were read are written again", () => {
  const sample = new Sample("a", { ...faultless("a"), counts: { iommus: 0n, domains: 9n, devices: 3n } });
  const target = targetOf();
  encodeIommuState(target, seriesOf("a"), sample.places, sample.state);
  expect(differences(target.memory, sample.memory)).toEqual([]);
});

it("links follow the records to other pages", () => {
  const sample = new Sample("d");
  const moved: IommuPlaces = { ...sample.places, domains: [physAddr(0x9000)] };
  const target = targetOf();
  encodeIommuState(target, seriesOf("d"), moved, sample.state);
  const page = target.memory.read(sample.places.devices[0]!, 4096);
  const link = (i: number) => new DataView(page.buffer, page.byteOffset).getBigUint64(16 + 72 * i + 32, true);
  expect([0, 1, 2].map(link)).toEqual([0x9010n, 0n, 0x9010n + 80n]);
});

/** What is asked for, and the path of the error. */
type Case = readonly [
  what: string,
  series: string,
  state: (state: IommuStateSource) => IommuStateSource,
  path: string,
];
const first = <R>(records: readonly R[], change: object): R[] => [
  { ...records[0]!, ...change },
  ...records.slice(1),
];
const cases: readonly Case[] = [
  [
    "a link to no domain",
    "d",
    (s) => ({ ...s, devices: first(s.devices, { domain: 3 }) }),
    "iommu.devices[0].domains",
  ],
  [
    "a link to no IOMMU",
    "d",
    (s) => ({ ...s, devices: first(s.devices, { iommu: -1 }) }),
    "iommu.devices[0].iommus",
  ],
  [
    "a width that the series needs",
    "d",
    (s) => ({ ...s, domains: first(s.domains, { vaBits: undefined }) }),
    "iommu.domains[0].vasz",
  ],
  [
    "a number that does not fit",
    "a",
    (s) => ({ ...s, devices: first(s.devices, { attachmentId: 1n << 32n }) }),
    "iommu.devices[0].domain_iommu_ser.did",
  ],
  [
    "flags that do not fit",
    "b",
    (s) => ({ ...s, iommus: first(s.iommus, { flags: 256 }) }),
    "iommu.iommus[0].hdr.unused",
  ],
  [
    "a type that does not fit",
    "a0",
    (s) => ({ ...s, iommus: first(s.iommus, { type: 1n << 32n, intel: undefined }) }),
    "iommu.iommus[0].type",
  ],
  [
    "state of a driver that the series does not know",
    "c",
    (s) => ({
      ...s,
      iommus: first(s.iommus, {
        type: 2n,
        intel: undefined,
        smmuv3: { registerBase: 0n, strtabBaseCfg: 0n, l1StrtabState: 0n, l2StrtabStates: 0n },
      }),
    }),
    "iommu.iommus[0]",
  ],
  [
    "state of another driver than the type's",
    "d",
    (s) => ({ ...s, iommus: first(s.iommus, { type: 2n }) }),
    "iommu.iommus[0]",
  ],
  [
    "a PASID table in a series without",
    "a",
    (s) => ({ ...s, devices: first(s.devices, { intel: { pasidTable: 0n, maxPasid: 0n } }) }),
    "iommu.devices[0]",
  ],
  [
    "an IOMMU of a driver without that driver's state",
    "d",
    (s) => ({ ...s, iommus: first(s.iommus, { intel: undefined }) }),
    "iommu.iommus[0]",
  ],
  [
    "a device without the state of its IOMMU's driver",
    "d",
    (s) => ({ ...s, devices: first(s.devices, { intel: undefined }) }),
    "iommu.devices[0]",
  ],
  [
    "a union of another size",
    "d",
    (s) => ({ ...s, iommus: first(s.iommus, { type: 9n, intel: undefined, union: new Uint8Array(87) }) }),
    "iommu.iommus[0]",
  ],
  [
    "no bitmap where there has to be one",
    "c",
    (s) => ({
      ...s,
      iommus: first(s.iommus, { intel: { registerBase: 0n, rootTable: 0n, restored: 0 } }),
    }),
    "iommu.iommus[0].context_tables_bitmap",
  ],
];

describe("what cannot be written is refused, and nothing is written", () => {
  it.each(cases)("%s (series %s)", (_, name, change, path) => {
    const target = targetOf();
    const { places, state } = new Sample(name);
    const error = failure(() => encodeIommuState(target, seriesOf(name), places, change(state)));
    expect(error).toMatchObject({ code: "value-range", path });
    expect(target.memory.ranges).toEqual([]);
  });

  it.each<[string, (places: IommuPlaces) => IommuPlaces]>([
    ["too few pages", (places) => ({ ...places, devices: [] })],
    ["too many pages", (places) => ({ ...places, devices: [...places.devices, physAddr(0x5000)] })],
    ["a page that is not aligned", (places) => ({ ...places, root: physAddr(0x5008) })],
    ["a page at address 0", (places) => ({ ...places, iommus: [physAddr(0)] })],
    ["one page for two", (places) => ({ ...places, domains: places.devices })],
  ])("%s", (_, change) => {
    const target = targetOf();
    const { places, state } = new Sample("d");
    const error = failure(() => encodeIommuState(target, seriesOf("d"), change(places), state));
    expect(error.code).toBe("value-range");
    expect(target.memory.ranges).toEqual([]);
  });
});
