/** What calls leave where they fail half-way, by the rules of the specification. Values are worked out by hand. */
import { describe, expect, it } from "vitest";
import { type Domain, newDomain, tableOf } from "../../../formats/iommu/domain.js";
import { iommuMap, mapTable, unmapTable } from "../../../formats/iommu/map.js";
import { mappingsOf } from "../../../formats/iommu/mappings.js";
import { decodeMappings } from "../../../formats/iommu/walk.js";
import { contextOver } from "./context.js";
import { newStore, type Store } from "./store.js";
import { optionsOf, vectors } from "./vectors.js";

const KiB = 2n ** 10n;
const MiB = 2n ** 20n;
const GiB = 2n ** 30n;
const page = 4n * KiB;

function domainOf(name: string): { readonly domain: Domain; readonly store: Store } {
  const store = newStore();
  const vector = vectors.find((each) => each.name === name)!;
  return { store, domain: newDomain(optionsOf(vector), store)! };
}

const mapped = (domain: Domain, store: Store) =>
  [...mappingsOf(decodeMappings(contextOver(store.memory).ctx, tableOf(domain), ""))].map(
    ({ iova, size }) => [iova, size],
  );

describe("AMD's tables that are to grow by two levels", () => {
  const { domain, store } = domainOf("amd-v1-64-basic");
  const { root } = domain;

  it("stay as they are, and nothing is lost, if there is memory for one alone", () => {
    store.left = 1;
    expect(mapTable(domain, 2n ** 56n, 0n, page, 3)).toEqual({ errno: "ENOMEM", mapped: 0n });
    expect([domain.levels, domain.root, store.tables.size]).toEqual([3, root, 1]);
  });

  it("grow once there is more", () => {
    store.left = Number.POSITIVE_INFINITY;
    expect(mapTable(domain, 2n ** 56n, 0n, page, 3)).toEqual({ mapped: page });
    // Two on top, and four on the way down to the page.
    expect([domain.levels, store.tables.size]).toEqual([5, 1 + 2 + 4]);
    expect(domain.root).not.toBe(root);
    expect(mapped(domain, store)).toEqual([[2n ** 56n, page]]);
  });
});

describe("ARM looks at all leaves of one size in one table before it writes any", () => {
  it("nothing is written where one of them is taken", () => {
    const { domain, store } = domainOf("arm-s2-4k-40");
    mapTable(domain, 510n * GiB, 0n, GiB, 3);
    expect(mapTable(domain, 509n * GiB, 2n * GiB, 2n * GiB, 3)).toEqual({ errno: "EEXIST", mapped: 0n });
    expect(mapped(domain, store)).toEqual([[510n * GiB, GiB]]);
  });

  it("of two tables in a row that are the top, each is one", () => {
    const { domain, store } = domainOf("arm-s2-4k-40");
    mapTable(domain, 512n * GiB, 0n, GiB, 3);
    expect(mapTable(domain, 511n * GiB, 2n * GiB, 2n * GiB, 3)).toEqual({ errno: "EEXIST", mapped: GiB });
    expect(mapped(domain, store)).toEqual([
      [511n * GiB, GiB],
      [512n * GiB, GiB],
    ]);
  });
});

describe("a call of the core that fails", () => {
  // The second page is in another table, for which there is no memory: what the first one took stays, empty.
  it.each([
    ["vtd-ss-39-basic", 3],
    ["arm-s1-4k-39-noncoherent", 3],
    ["riscv-sv39-basic", 3],
  ])("%s: leaves tables, and no mapping", (name, tables) => {
    const { domain, store } = domainOf(name);
    store.left = 2;
    expect(iommuMap(domain, 2n * MiB - page, page, 2n * page, 3)).toBe("ENOMEM");
    expect(mapped(domain, store)).toEqual([]);
    expect(store.tables.size).toBe(tables);
  });

  it.each([
    ["vtd-ss-39-basic", "EADDRINUSE"],
    ["arm-s1-4k-39-noncoherent", "EEXIST"],
  ])("%s: what was there before stays", (name, errno) => {
    const { domain, store } = domainOf(name);
    mapTable(domain, 4n * MiB, 0n, 2n * MiB, 3);
    expect(iommuMap(domain, 2n * MiB, 2n * MiB, 2n * MiB + page, 3)).toBe(errno);
    expect(mapped(domain, store)).toEqual([[4n * MiB, 2n * MiB]]);
  });
});

describe("tables that are left after 512 pages are unmapped", () => {
  /** In one call, and page by page. The root, the table below it, and the one of the pages. */
  it.each([
    ["vtd-ss-39-basic", 2, 3],
    ["amd-v1-48-basic", 2, 3],
    ["riscv-sv39-basic", 2, 3],
    ["arm-s1-4k-39-noncoherent", 2, 3],
  ])("%s: %i and %i", (name, atOnce, onePerCall) => {
    for (const [step, tables] of [
      [2n * MiB, atOnce],
      [page, onePerCall],
    ] as const) {
      const { domain, store } = domainOf(name);
      // Not aligned alike, so that there are small pages alone.
      expect(mapTable(domain, 2n * MiB, page, 2n * MiB, 3)).toEqual({ mapped: 2n * MiB });
      for (let at = 0n; at < 2n * MiB; at += step) expect(unmapTable(domain, 2n * MiB + at, step)).toBe(step);
      expect(store.tables.size).toBe(tables);
      expect(mapped(domain, store)).toEqual([]);
    }
  });
});
