import { describe, expect, it } from "vitest";
import {
  iommuLayoutsOf,
  iommuSeries,
  recordsPerPage,
  seriesOf,
  seriesWithCompatible,
} from "../../../../formats/proposed/iommu/series.js";
import { memberOf, printLayout, type Struct, sizeOf } from "../../../../src/layout/index.js";
import { failure, little } from "../../../layout/support.js";
import { kinds, seriesNames, spec } from "./spec.js";

it("every series of the specification, by name", () => {
  expect(iommuSeries.map(({ name }) => name)).toEqual(seriesNames);
  for (const name of seriesNames) expect(seriesOf(name).name).toBe(name);
});

it.each(["", "A", "e", "constructor", "__proto__", "x".repeat(1000)])("there is no series %j", (name) => {
  expect(failure(() => seriesOf(name))).toMatchObject({
    code: "unknown-series",
    expected: "a0, a, a-intel, b, c, c-prime, d",
    actual: name.slice(0, 80),
  });
});

it.each([
  ["iommu-v1", ["a0", "a", "a-intel"]],
  ["iommu-liveupdate-v1", ["b", "c"]],
  ["iommu-liveupdate", ["c-prime", "d"]],
  ["iommu-v2", []],
])("the string %s is of series %j", (compatible, names) => {
  expect(seriesWithCompatible(compatible).map(({ name }) => name)).toEqual(names);
});

describe.each(seriesNames)("series %s", (name) => {
  const series = seriesOf(name);
  const expected = spec[name]!;

  it("has the sizes of the specification", () => {
    expect(sizeOf(series.root, little)).toBe(expected.root.size);
    expect(sizeOf(series.array, little)).toBe(16);
    for (const kind of kinds) {
      expect([kind, sizeOf(series.records[kind], little)]).toEqual([kind, expected[kind].size]);
      expect([kind, recordsPerPage(series, kind, little)]).toEqual([kind, expected[kind].perPage]);
    }
  });

  it("has its unions where the specification has them", () => {
    for (const kind of kinds) {
      const layout: Struct = series.records[kind];
      const { union } = expected[kind];
      expect("union" in layout.fields).toBe(union !== undefined);
      if (!union) continue;
      const { offset, size } = memberOf(layout, "union", little);
      expect([offset, size]).toEqual(union);
    }
  });

  it("prints its layouts, which have one size whatever the page size and byte order", () => {
    for (const layout of iommuLayoutsOf(series)) {
      const size = sizeOf(layout, little);
      expect(printLayout(layout, little)).toContain(`struct ${layout.name}`);
      for (const pageSize of [16384, 65536])
        expect(sizeOf(layout, { byteOrder: "big", pageSize })).toBe(size);
    }
  });
});

it.each([
  ["a0", [341, 399, 308]],
  ["b", [779, 481, 442]],
  ["d", [146, 409, 227]],
])("in pages of 16 KiB, more records of series %s", (name, expected) => {
  // 16384 - 16 bytes, divided by the sizes of the specification and rounded down.
  expect(
    kinds.map((kind) => recordsPerPage(seriesOf(name), kind, { byteOrder: "little", pageSize: 16384 })),
  ).toEqual(expected);
});
