import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newDomain, tableOf } from "../../../formats/iommu/domain.js";
import { mapTable } from "../../../formats/iommu/map.js";
import { mappingsOf, newMappings } from "../../../formats/iommu/mappings.js";
import { compose, throughParent } from "../../../formats/iommu/nested.js";
import { decodeMappings } from "../../../formats/iommu/walk.js";
import { physAddr } from "../../../src/memory/index.js";
import { isKhoError } from "../../../src/report/error.js";
import { contextOver } from "./context.js";
import { newModel } from "./model.js";
import { newStore } from "./store.js";
import { optionsOf, vectors } from "./vectors.js";

/** The shapes that parents have: second stages of VT-d and SMMUv3, and AMD's v1. */
const parents = ["vtd-ss-39-basic", "arm-s2-4k-40", "arm-s2-16k-40", "amd-v1-48-basic"].map(
  (name) => vectors.find((vector) => vector.name === name)!,
);

/** A few pieces of a guest's first megabytes, in granules. */
const pieces = fc.array(
  fc.record({ at: fc.nat({ max: 40 }), to: fc.nat({ max: 40 }), count: fc.integer({ min: 1, max: 12 }) }),
  {
    maxLength: 5,
  },
);

describe.each(parents)("memory behind $format as in $name", (vector) => {
  const granule = BigInt(2 ** vector.config.granuleLg2);
  it("is what the parent leads to, piece by piece", () =>
    fc.assert(
      fc.property(pieces, fc.nat({ max: 200_000 }), fc.nat({ max: 40_000 }), (mapped, from, length) => {
        const store = newStore();
        const domain = newDomain(optionsOf(vector), store)!;
        const model = newModel(vector.format, vector.config);
        const base = 0x2000_0000n;
        for (const { at, to, count } of mapped) {
          const [iova, pa, size] = [
            BigInt(at) * granule,
            base + BigInt(to) * granule,
            BigInt(count) * granule,
          ];
          expect(mapTable(domain, iova, pa, size, 3)).toEqual(model.map(iova, pa, size, 3));
        }
        // Each byte of memory tells where it is; half of it is not there.
        const valueAt = (pa: number): number => (pa ^ (pa >> 8) ^ (pa >> 16)) & 0xff;
        const end = base + 26n * granule;
        for (let pa = base; pa < end; pa += 4096n)
          store.write(
            physAddr(pa),
            Uint8Array.from({ length: 4096 }, (_, i) => valueAt(Number(pa) + i)),
          );
        const view = throughParent(store.memory, tableOf(domain));

        let missing: bigint | undefined;
        const expected = new Uint8Array(length);
        for (let i = 0; i < length && missing === undefined; i++) {
          const at = BigInt(from + i);
          const leaf = model.at(at);
          const pa = leaf && leaf.pa + at - leaf.iova;
          if (pa === undefined || pa >= end) missing = at;
          else expected[i] = valueAt(Number(pa));
        }
        expect(view.has(physAddr(from), length)).toBe(missing === undefined);
        try {
          expect(Buffer.compare(view.read(physAddr(from), length), expected)).toBe(0);
          expect(missing).toBeUndefined();
        } catch (error) {
          if (!isKhoError(error, "memory-absent")) throw error;
          expect(missing).toBeDefined();
          // The first page of it that is not there.
          expect(error.pa! / 4096n).toBe(missing! / 4096n);
        }
      }),
      // A page of four granules of which the last two are not there.
      { numRuns: 40, examples: [[[{ at: 3, to: 23, count: 5 }], 12288, 12289]] },
    ));

  it("a guest's own table in it is walked", () => {
    const store = newStore();
    const parent = newDomain(optionsOf(vector), store)!;
    // The guest has its tables from 2^30 on, which is elsewhere in memory.
    const guest = newStore(1n << 30n);
    const domain = newDomain(optionsOf(vector), guest)!;
    mapTable(domain, 0x40_0000n, 0x2000_0000n, 8n * granule, 3);
    const size = 64n * granule;
    expect(mapTable(parent, 1n << 30n, 3n << 30n, size, 3)).toEqual({ mapped: size });
    for (const [pa, bytes] of guest.tables)
      store.write(physAddr(pa + (2n << 30n)), guest.read(physAddr(pa), Math.max(bytes, 4096)));
    const { ctx, findings } = contextOver(throughParent(store.memory, tableOf(parent)));
    const runs = [...mappingsOf(decodeMappings(ctx, tableOf(domain), "guest"))];
    expect(runs).toMatchObject([{ iova: 0x40_0000n, pa: 0x2000_0000n, size: 8n * granule }]);
    expect(findings).toEqual([]);
  });
});

describe("two tables put together", () => {
  const run = fc.record({
    gap: fc.nat({ max: 4 }),
    pa: fc.nat({ max: 30 }),
    frames: fc.integer({ min: 1, max: 8 }),
    access: fc.integer({ min: 1, max: 3 }),
    lg2: fc.constantFrom(12, 16, 21, 30, 45),
  });
  const table = fc.array(run, { maxLength: 6 }).map((runs) => {
    const built = newMappings();
    let iova = 0;
    for (const { gap, pa, frames, access, lg2 } of runs) {
      iova += gap;
      built.push(iova, pa, frames, access, lg2);
      iova += frames;
    }
    return built.finish();
  });

  it("lead where one after the other does, frame by frame", () =>
    fc.assert(
      fc.property(table, table, (first, second) => {
        const through = new Map<number, { readonly pa: number; readonly access: number }>();
        const lookUp = (runs: typeof first, frame: number) => {
          for (let i = 0; i < runs.length; i++) {
            const into = frame - runs.iova[i]!;
            if (into >= 0 && into < runs.frames[i]!)
              return { pa: runs.pa[i]! + into, access: runs.access[i]! };
          }
          return undefined;
        };
        const both = compose(first, second, 1000);
        for (let i = 0; i < both.length; i++)
          for (let frame = 0; frame < both.frames[i]!; frame++) {
            expect(through.has(both.iova[i]! + frame)).toBe(false);
            through.set(both.iova[i]! + frame, { pa: both.pa[i]! + frame, access: both.access[i]! });
          }
        for (let frame = 0; frame < 100; frame++) {
          const one = lookUp(first, frame);
          const two = one && lookUp(second, one.pa);
          // What one of them forbids is not reached.
          const access = two ? one.access & two.access : 0;
          expect(through.get(frame)).toEqual(access === 0 ? undefined : { pa: two!.pa, access });
        }
      }),
    ));

  it("end at a limit", () => {
    const first = newMappings();
    const second = newMappings();
    for (let i = 0; i < 100; i++) {
      // Each of the first leads to all of the second.
      first.push(i * 1000, 0, 200, 3, 12);
      second.push(2 * i, 1000 * i, 1, 3, 12);
    }
    const both = compose(first.finish(), second.finish(), 50);
    expect(both.length).toBeGreaterThan(50);
    expect(both.length).toBeLessThan(60);
  });

  it("the smaller of two pages is what is left", () => {
    const first = newMappings();
    const second = newMappings();
    first.push(0, 0, 2 ** 18, 3, 30);
    second.push(0, 512, 2 ** 18, 3, 21);
    const [both] = mappingsOf(compose(first.finish(), second.finish(), 10));
    expect(both?.pageSizes).toEqual([1n << 21n]);
  });
});
