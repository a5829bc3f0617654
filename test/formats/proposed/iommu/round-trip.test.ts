import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeIommuState } from "../../../../formats/proposed/iommu/decode.js";
import {
  encodeIommuState,
  type IommuStateSource,
  pagesFor,
} from "../../../../formats/proposed/iommu/encode.js";
import { seriesOf } from "../../../../formats/proposed/iommu/series.js";
import type { IommuPlaces } from "../../../../formats/proposed/iommu/state.js";
import { physAddr } from "../../../../src/memory/index.js";
import { targetOf } from "../../target.js";
import { anyState } from "./arbitrary.js";
import { kinds, type SeriesSpec, seriesNames, spec } from "./spec.js";
import { differences, placeOf, placesFor, reading, specMemory } from "./support.js";

const countsOf = (state: IommuStateSource) => ({
  iommus: state.iommus.length,
  domains: state.domains.length,
  devices: state.devices.length,
});

/** What reading a state gives beside what was written: addresses, and numbers in the root. */
function asRead(spec: SeriesSpec, places: IommuPlaces, state: IommuStateSource, pageSize: number) {
  const placed = <R extends object>(kind: "iommus" | "domains" | "devices", records: readonly R[]) =>
    records.map((record, i) => ({ ...record, pa: placeOf(spec, places, kind, i, pageSize) }));
  const devices = state.devices.map((device) => ({
    domainPa: device.domain !== undefined ? placeOf(spec, places, "domains", device.domain, pageSize) : 0n,
    iommuPa: device.iommu !== undefined ? placeOf(spec, places, "iommus", device.iommu, pageSize) : 0n,
    ...device,
  }));
  const counts = Object.fromEntries(kinds.map((kind) => [kind, BigInt(state[kind].length)]));
  return {
    places,
    ...(spec.root.counts && { counts }),
    iommus: placed("iommus", state.iommus),
    domains: placed("domains", state.domains),
    devices: placed("devices", devices),
  };
}

describe.each(seriesNames)("series %s", (name) => {
  const series = seriesOf(name);
  const expected = spec[name]!;

  it.each([4096, 65536])(
    "any state comes back, and is the specification's bytes, with pages of %i",
    (pageSize) => {
      fc.assert(
        fc.property(anyState(expected, 8), (state) => {
          const places = placesFor(expected, countsOf(state), pageSize);
          const target = targetOf("7.3", pageSize);
          encodeIommuState(target, series, places, state);
          expect(target.left).toEqual([]);
          expect(differences(target.memory, specMemory(expected, places, state, pageSize))).toEqual([]);

          const { ctx } = reading(target.memory, { pageSize });
          const read = decodeIommuState(ctx, series, places.root)!;
          expect(read).toEqual(asRead(expected, places, state, pageSize));

          const again = targetOf("7.3", pageSize);
          encodeIommuState(again, series, read.places, read);
          expect(differences(again.memory, target.memory)).toEqual([]);
        }),
        { numRuns: pageSize === 4096 ? 60 : 5 },
      );
    },
  );

  it("a state of several pages is linked, and every page but the last is full", () => {
    const count = 2 * expected.domains.perPage + 1;
    const domains = Array.from({ length: count }, (_, i) => ({
      refCount: 1,
      flags: 0,
      topTablePa: physAddr(0x1000 * (i + 1)),
      topLevel: 2n,
      vaBits: 48,
      signExtend: false,
    }));
    const state = { iommus: [], devices: [], domains };
    const places = placesFor(expected, countsOf(state));
    expect(places.domains.length).toBe(3);
    const target = targetOf();
    encodeIommuState(target, series, places, state);
    const [first, second, third] = places.domains.map((pa) => target.at(Number(pa), 16));
    const head = (next: bigint, records: number) => {
      const bytes = new Uint8Array(16);
      new DataView(bytes.buffer).setBigUint64(0, next, true);
      new DataView(bytes.buffer).setBigUint64(8, BigInt(records), true);
      return bytes;
    };
    expect(first).toEqual(head(places.domains[1]!, expected.domains.perPage));
    expect(second).toEqual(head(places.domains[2]!, expected.domains.perPage));
    expect(third).toEqual(head(0n, 1));
    const { ctx, findings } = reading(target.memory);
    const read = decodeIommuState(ctx, series, places.root)!;
    expect(read.domains.map(({ topTablePa }) => topTablePa)).toEqual(
      domains.map(({ topTablePa }) => topTablePa),
    );
    expect(read.domains.at(-1)!.pa).toBe(places.domains[2]! + 16n);
    expect(findings).toEqual([]);
  });

  it.each([0, 1, -1])("pages for one more or less than full ones (%i)", (more) => {
    for (const kind of kinds) {
      const { perPage } = expected[kind];
      const pages = pagesFor(series, kind, 3 * perPage + more, {
        abi: { byteOrder: "little", pageSize: 4096 },
      });
      expect(pages).toBe(more > 0 ? 4 : 3);
    }
  });
});

it("kinds without a record have a page all the same", () => {
  for (const name of seriesNames) {
    const none = { iommus: [], domains: [], devices: [] };
    const places = placesFor(spec[name]!, countsOf(none));
    expect(kinds.map((kind) => places[kind].length)).toEqual([1, 1, 1]);
    const target = targetOf();
    encodeIommuState(target, seriesOf(name), places, none);
    const { ctx, findings } = reading(target.memory);
    expect(decodeIommuState(ctx, seriesOf(name), places.root)).toMatchObject(none);
    expect(findings).toEqual([]);
  }
});

it("pages are claimed as blocks of order 0 that have to be preserved", () => {
  const none = { iommus: [], domains: [], devices: [] };
  const places = placesFor(spec.d!, countsOf(none));
  const target = targetOf();
  encodeIommuState(target, seriesOf("d"), places, none);
  const { ctx } = reading(target.memory);
  decodeIommuState(ctx, seriesOf("d"), places.root);
  expect(
    ctx.claims.all.map(({ pa, pages, keeping, path, lost }) => ({
      pa,
      pages,
      keeping,
      path,
      lost: lost.detail,
    })),
  ).toEqual(
    [
      [places.root, "iommu.root"],
      [places.iommus[0], "iommu.iommus.pages[0]"],
      [places.domains[0], "iommu.domains.pages[0]"],
      [places.devices[0], "iommu.devices.pages[0]"],
    ].map(([pa, path]) => ({
      pa,
      pages: 1,
      keeping: 0,
      path,
      lost: "BUG: a page of the IOMMU state cannot be restored",
    })),
  );
});
