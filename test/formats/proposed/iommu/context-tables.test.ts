import fc from "fast-check";
import { expect, it } from "vitest";
import {
  type ContextTable,
  contextTableOf,
  contextTables,
  contextTablesBitmap,
} from "../../../../formats/proposed/iommu/context-tables.js";
import { failure } from "../../../layout/support.js";

/** Words of the bitmap with these bits. */
const bitmap = (...bits: number[]): BigUint64Array => {
  const words = new BigUint64Array(8);
  for (const bit of bits) words[Math.floor(bit / 64)]! += 2n ** BigInt(bit % 64);
  return words;
};

it.each<[number, ContextTable]>([
  [0, { bus: 0, half: "lower" }],
  [1, { bus: 0, half: "upper" }],
  [6, { bus: 3, half: "lower" }],
  [63, { bus: 31, half: "upper" }],
  [64, { bus: 32, half: "lower" }],
  [511, { bus: 255, half: "upper" }],
])("bit %i is of one table", (bit, table) => {
  expect(contextTables(bitmap(bit))).toEqual([table]);
  expect(contextTablesBitmap([table])).toEqual(bitmap(bit));
});

it.each<[string, number, ContextTable]>([
  ["00:00.0", 0x0000, { bus: 0, half: "lower" }],
  ["03:0f.7", 0x037f, { bus: 3, half: "lower" }],
  ["03:10.0", 0x0380, { bus: 3, half: "upper" }],
  ["ff:1f.7", 0xffff, { bus: 255, half: "upper" }],
])("the table of %s", (_, devid, table) => {
  expect(contextTableOf(devid)).toEqual(table);
});

it("tables come in order, and give their bitmap back", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(511)), (bits) => {
      const tables = contextTables(bitmap(...bits));
      expect(tables.map(({ bus, half }) => 2 * bus + (half === "upper" ? 1 : 0))).toEqual(
        bits.sort((a, b) => a - b),
      );
      expect(contextTablesBitmap([...tables].reverse())).toEqual(bitmap(...bits));
    }),
  );
});

it.each([-1, 256, 0.5, Number.NaN])("there is no bus %d", (bus) => {
  expect(failure(() => contextTablesBitmap([{ bus, half: "lower" }])).code).toBe("value-range");
});
