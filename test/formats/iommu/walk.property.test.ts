/** Random calls on domains of every kind of table, against a model without tables. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Domain, newDomain, tableOf } from "../../../formats/iommu/domain.js";
import { newFrameSet } from "../../../formats/iommu/frames.js";
import { iommuMap, mapTable, unmapTable } from "../../../formats/iommu/map.js";
import { mappingsOf } from "../../../formats/iommu/mappings.js";
import { translate } from "../../../formats/iommu/translate.js";
import { decodeMappings } from "../../../formats/iommu/walk.js";
import { contextOver } from "./context.js";
import { type Model, newModel } from "./model.js";
import { newStore, type Store } from "./store.js";
import { optionsOf, type Vector, vectors } from "./vectors.js";

/** Every configuration that vectors have, once. */
const configurations = [
  ...new Map(
    vectors.map(({ name, format, config }) => [JSON.stringify([format, config]), { name, format, config }]),
  ).values(),
];

type Op =
  | {
      readonly kind: "map" | "core map";
      readonly iova: bigint;
      readonly pa: bigint;
      readonly size: bigint;
      readonly prot: number;
    }
  | { readonly kind: "unmap"; readonly iova: bigint; readonly size: bigint }
  /** From here on so many tables are left. */
  | { readonly kind: "memory"; readonly tables: number };

/** Calls that meet: few places, of which some are at the ends of what the domain has, with lengths around its page sizes. */
function opsFor({ config }: Pick<Vector, "format" | "config">): fc.Arbitrary<readonly Op[]> {
  const { vaBits, paBits, granuleLg2, signExtend } = config;
  const granule = 1n << BigInt(granuleLg2);
  const end = 1n << BigInt(vaBits - (signExtend ? 1 : 0));
  const sizes = Array.from({ length: 52 }, (_, bit) => 1n << BigInt(bit)).filter(
    (size) => BigInt(config.pgsizeBitmap) & size,
  );
  const large = sizes.filter((size) => size > granule);
  /** Bases that the largest leaves fit to; some of the first lead AMD's tables to grow. */
  const bases = [0n, 1n << 30n, 1n << 39n, 1n << 47n, end / 2n, end - (1n << 30n), end]
    .concat(signExtend ? [(1n << 64n) - end, (1n << 64n) - (1n << 30n)] : [])
    .filter((base) => base <= end || signExtend);
  const encrypted = BigInt(config.smeMask);
  const memory = encrypted || 1n << BigInt(paBits);

  const shift = fc.oneof(
    { weight: 3, arbitrary: fc.constant(0n) },
    { weight: 2, arbitrary: fc.nat({ max: 40 }).map((n) => BigInt(n) * granule) },
    // Around the smallest large page, where sizes change.
    {
      weight: 2,
      arbitrary: fc.integer({ min: -3, max: 3 }).map((n) => (large[0] ?? granule) + BigInt(n) * granule),
    },
    { weight: 1, arbitrary: fc.constantFrom(...sizes) },
  );
  const place = fc.tuple(fc.constantFrom(...bases), shift).map(([base, by]) => BigInt.asUintN(64, base + by));
  const size = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 20 }).map((n) => BigInt(n) * granule) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom(...sizes), fc.integer({ min: 1, max: 3 }))
        .map(([s, n]) => s * BigInt(n)),
    },
    // Across a boundary of large pages, with rests on both sides.
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom(large[0] ?? granule), fc.integer({ min: 1, max: 3 }))
        .map(([s, n]) => s + BigInt(n) * granule),
    },
  );
  /** Memory that is aligned as the input address is, or a little off. */
  const off = fc.oneof(
    { weight: 4, arbitrary: fc.constant(0n) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 9 }).map((n) => BigInt(n) * granule) },
  );
  const block = fc.constantFrom(0n, 1n << 30n, 1n << 31n, memory / 2n, memory - (1n << 31n));
  const prot = fc.constantFrom(1, 2, 3, 3, 7, 11, 0x12, 0x23);
  const map = fc
    .tuple(fc.constantFrom("map" as const, "core map" as const), place, block, off, size, prot)
    .map(([kind, iova, base, by, length, rights]) => {
      const pa = base + (iova % (base === 0n ? memory / 2n : 1n << 30n)) + by;
      // A call of too many small pages takes long and shows nothing.
      const usable = 600n * sizes.findLast((one) => BigInt.asUintN(64, pa - iova) % one === 0n)!;
      const few = length < usable ? length : usable;
      // There is no memory whose address has the bit that says that it is encrypted.
      const most = encrypted && pa + few > memory ? memory - pa : few;
      return { kind, iova, pa, size: most, prot: rights };
    })
    .filter((op) => op.size > 0n);
  const unmap = fc
    .tuple(place, size)
    .map(([iova, length]) => ({ kind: "unmap" as const, iova, size: length }));
  const wrong = fc.oneof(
    map.map((op) => ({ ...op, iova: op.iova % (1n << 30n), prot: 0 })),
    map.map((op) => ({ ...op, pa: (1n << BigInt(paBits)) - granule, size: 2n * granule })),
    map.map((op) => ({ ...op, iova: op.iova ^ 0x800n })),
    map.map((op) => ({ ...op, size: op.size + 0x800n })),
    map.map((op) => ({ ...op, pa: op.pa + 0x800n })),
  );
  const run = fc
    .tuple(map, fc.constantFrom(0, 1, 2))
    .map(([op, more]) =>
      more === 0
        ? [op]
        : more === 1
          ? [op, { kind: "unmap" as const, iova: op.iova, size: op.size }]
          : [op, op],
    );
  const op: fc.Arbitrary<readonly Op[]> = fc.oneof(
    { weight: 8, arbitrary: run },
    { weight: 4, arbitrary: unmap.map((one) => [one]) },
    { weight: 1, arbitrary: wrong.map((one) => [one]) },
    { weight: 1, arbitrary: fc.nat({ max: 6 }).map((tables) => [{ kind: "memory" as const, tables }]) },
  );
  return fc.array(op, { minLength: 1, maxLength: 14 }).map((all) => all.flat());
}

/** Applies a call to both, and compares what they return. */
function apply(domain: Domain, model: Model, store: Store, op: Op): void {
  if (op.kind === "memory") {
    store.left = op.tables;
    return;
  }
  if (op.kind === "unmap") {
    expect(unmapTable(domain, op.iova, op.size)).toBe(model.unmap(op.iova, op.size));
    return;
  }
  const { kind, iova, pa, size, prot } = op;
  const tables = Math.max(0, store.left);
  if (kind === "map") {
    const result = mapTable(domain, iova, pa, size, prot);
    const ranOut = result.errno === "ENOMEM" && store.left <= 0 && !isArm(domain);
    const expected = model.map(iova, pa, size, prot, ranOut ? { tables, until: result.mapped } : { tables });
    expect(result).toEqual(ranOut ? { ...expected, errno: "ENOMEM" } : expected);
    return;
  }
  const errno = iommuMap(domain, iova, pa, size, prot);
  // Which tables there are is known of ARM's alone; where others run out of memory, nothing stays mapped all the same.
  if (errno === "ENOMEM" && store.left <= 0 && !isArm(domain)) return;
  const expected = model.map(iova, pa, size, prot, { tables });
  expect(errno).toBe(expected.errno);
  if (errno && expected.mapped > 0n) model.unmap(iova, expected.mapped);
}

const isArm = ({ format: { name } }: Domain): boolean => name === "arm_s1" || name === "arm_s2";

/** What the tables map, and what each of some addresses leads to, is what the model says. */
function compare(domain: Domain, model: Model, store: Store, addresses: readonly bigint[]): void {
  const { ctx, findings } = contextOver(store.memory);
  const table = tableOf(domain);
  const tables = newFrameSet();
  expect([...mappingsOf(decodeMappings(ctx, table, "table", tables))]).toEqual(model.runs);
  expect(findings).toEqual([]);
  // No table is lost, and none is used that was given back.
  const frames = [...store.tables.values()].reduce((sum, bytes) => sum + Math.max(1, bytes / 4096), 0);
  expect(tables.size).toBe(frames);

  for (const address of addresses) {
    const leaf = model.at(address);
    const found = translate(store.memory, table, address);
    const access = leaf ? (leaf.read ? 1 : 0) + (leaf.write ? 2 : 0) : 0;
    expect({ pa: found.pa, size: found.size, access: found.access }).toEqual({
      pa: leaf && leaf.pa + address - leaf.iova,
      size: leaf?.size,
      access,
    });
  }
}

const anyAddress = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

describe.each(configurations)("$format as in $name", (configuration) => {
  const { format, config } = configuration;
  it("maps, unmaps, decodes and translates as the model does", () =>
    fc.assert(
      fc.property(opsFor(configuration), fc.array(anyAddress, { maxLength: 5 }), (ops, random) => {
        const store = newStore();
        const domain = newDomain(optionsOf(configuration), store)!;
        const model = newModel(format, config);
        for (const op of ops) apply(domain, model, store, op);
        const edges = model.leaves
          .slice(0, 50)
          .flatMap(({ iova, size }) => [
            iova - 1n,
            iova,
            iova + size / 2n + 5n,
            iova + size - 1n,
            iova + size,
          ])
          .filter((address) => address >= 0n && address < 1n << 64n);
        compare(domain, model, store, [...edges, ...random]);
      }),
      { numRuns: 25 },
    ));
});
