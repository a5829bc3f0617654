/** Page tables that no kernel writes. Work is counted in reads of memory, not in time. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { frameOf } from "../../../formats/iommu/entry.js";
import { itemLg2, type PageTable, rootEntries, type TableFormat } from "../../../formats/iommu/format.js";
import { mappingsOf } from "../../../formats/iommu/mappings.js";
import { throughParent } from "../../../formats/iommu/nested.js";
import { translate } from "../../../formats/iommu/translate.js";
import { decodeMappings } from "../../../formats/iommu/walk.js";
import { type Memory, type PhysAddr, physAddr, sparseMemory } from "../../../src/memory/index.js";
import { isKhoError } from "../../../src/report/error.js";
import { codesOf, contextOver } from "./context.js";
import { optionsOf, type Vector, vectors } from "./vectors.js";

/** One configuration of each shape of tables: format, levels, granule, and how many tables are the top. */
const shapes = [
  ...new Map(
    vectors.map((vector) => {
      const { levels, granuleLg2, vaBits } = vector.config;
      return [
        [vector.format, levels, granuleLg2, vector.format === "amdv1" ? 0 : vaBits].join(),
        vector,
      ] as const;
    }),
  ).values(),
];

/** Tables that follow each other may be read together. */
const together = 2 ** 16;

/** Counts reads, and refuses any that no table justifies. */
function counting(memory: Memory, most: number): Memory & { reads: number } {
  const counted = {
    reads: 0,
    ranges: memory.ranges,
    has: (pa: PhysAddr, length: number) => memory.has(pa, length),
    read: (pa: PhysAddr, length: number) => {
      counted.reads++;
      if (length > Math.max(most, together) || length < 1 || pa < 0n)
        throw new Error(`a read of ${length} bytes at ${pa}`);
      return memory.read(pa, length);
    },
  };
  return counted;
}

/** A page table of a shape in memory of its own, with tables that are filled as asked. */
function tablesOf({ format: name, config }: Vector) {
  const { format, levels, vaBits, signExtend = false } = optionsOf({ format: name, config });
  const memory = sparseMemory();
  // AMD's first table is as low as a domain begins with.
  const reach = Math.min(vaBits, itemLg2(format, levels));
  const shape = { format, levels, vaBits: name === "amdv1" ? reach : vaBits, signExtend };
  const entries = 2 ** (config.granuleLg2 - 3);
  let next = 0x100000000n;
  const place = (bytes: number): PhysAddr => {
    const size = BigInt(Math.max(bytes, 4096));
    next = ((next + size - 1n) / size) * size;
    const pa = physAddr(next);
    next += size;
    memory.cover(pa, Number(size));
    return pa;
  };
  const fill = (pa: PhysAddr, count: number, wordAt: (index: number) => bigint): void => {
    const words = BigUint64Array.from({ length: count }, (_, index) => wordAt(index));
    memory.write(pa, new Uint8Array(words.buffer));
  };
  const topEntries = rootEntries(shape);
  return {
    memory,
    format,
    levels,
    entries,
    topEntries,
    /** Entries of a table of a level. */
    countAt: (level: number) => (level === levels - 1 ? topEntries : entries),
    add: (level: number) => place(8 * (level === levels - 1 ? topEntries : entries)),
    fill,
    table: (root: PhysAddr): PageTable => ({ ...shape, root }),
    /** Most bytes that are read at once. */
    widest: Math.max(8 * topEntries, 8 * entries),
  };
}

/** A leaf for the smallest page. */
const leaf = (format: TableFormat, pa: bigint): bigint => format.leafWord(frameOf(pa), format.granuleLg2, 3);

describe.each(shapes)("$format as in $name", (vector) => {
  const levelsAbove = Array.from({ length: vector.config.levels - 1 }, (_, i) => i + 1);

  it.each(levelsAbove)("a table at level %i that leads to itself in every entry", (level) => {
    const { memory, format, levels, add, fill, table, countAt, widest } = tablesOf(vector);
    const root = add(levels - 1);
    let above = root;
    for (let at = levels - 1; at > level; at--) {
      const child = add(at - 1);
      fill(above, 1, () => format.tableWord(frameOf(child), at));
      above = child;
    }
    fill(above, countAt(level), () => format.tableWord(frameOf(above), level));
    const counted = counting(memory, widest);
    const { ctx, findings } = contextOver(counted);
    expect(decodeMappings(ctx, table(root), "table").length).toBe(0);
    // Of tables in a row the first one only is the table itself: the others are tables of their own.
    if (countAt(level) <= 2 ** (vector.config.granuleLg2 - 3))
      expect(codesOf(findings)).toEqual(["iommu-table-cycle"]);
    expect(codesOf(findings)).toContain("iommu-table-cycle");
    expect(counted.reads).toBeLessThan(levels + ctx.limits.maxSharedTables + 10);
    // Looking up an address goes down as many levels as there are.
    const found = translate(counted, table(root), 0n);
    expect(found.steps.length).toBeLessThanOrEqual(levels);
    expect(found.pa === undefined || found.steps.length === levels).toBe(true);
  });

  it("a lower table that leads back to the top", () => {
    if (vector.config.levels < 3) return;
    const { memory, format, levels, add, fill, table, entries, widest } = tablesOf(vector);
    const root = add(levels - 1);
    const child = add(levels - 2);
    fill(root, 1, () => format.tableWord(frameOf(child), levels - 1));
    fill(child, entries, () => format.tableWord(frameOf(root), levels - 2));
    const counted = counting(memory, widest);
    const { ctx, findings } = contextOver(counted);
    decodeMappings(ctx, table(root), "table");
    expect(codesOf(findings)).toEqual(["iommu-table-cycle"]);
    expect(counted.reads).toBe(2);
  });

  it("one table a level, reached from every entry above: the walk ends, and keeps little", () => {
    const { memory, format, levels, add, fill, table, countAt, entries, widest } = tablesOf(vector);
    const chain = Array.from({ length: levels }, (_, level) => add(level));
    for (let level = levels - 1; level > 0; level--)
      fill(chain[level]!, countAt(level), () => format.tableWord(frameOf(chain[level - 1]!), level));
    const granule = BigInt(2 ** format.granuleLg2);
    // Every other leaf leads elsewhere, so that nothing is merged.
    fill(chain[0]!, entries, (i) => leaf(format, BigInt(entries - i) * 2n * granule));
    const limits = { maxSharedTables: 300, maxRuns: 1_000_000 };
    const counted = counting(memory, widest);
    const { ctx, findings } = contextOver(counted, limits);
    const runs = decodeMappings(ctx, table(chain[levels - 1]!), "table");
    expect(counted.reads).toBeLessThanOrEqual(levels + limits.maxSharedTables + 1);
    expect(runs.length).toBeLessThanOrEqual((limits.maxSharedTables + 2) * entries);
    expect(codesOf(findings)).toContain("iommu-table-shared");
    const reached = levelsAbove.reduce((all, level) => all * countAt(level), 1);
    if (reached > limits.maxSharedTables + levels) expect(codesOf(findings)).toContain("limit-exceeded");
    // Each that is reported is reported once.
    expect(findings.length).toBeLessThanOrEqual(2);
  });

  it("more tables than the limit", () => {
    const { memory, format, levels, add, fill, table, entries, widest } = tablesOf(vector);
    if (levels < 3) return;
    const root = add(levels - 1);
    const child = add(levels - 2);
    fill(root, 1, () => format.tableWord(frameOf(child), levels - 1));
    fill(child, entries, () => format.tableWord(frameOf(add(levels - 3)), levels - 2));
    const counted = counting(memory, widest);
    const { ctx, findings } = contextOver(counted, { maxTables: 20 });
    decodeMappings(ctx, table(root), "table");
    expect(counted.reads).toBeLessThanOrEqual(20);
    expect(codesOf(findings)).toEqual(["limit-exceeded"]);
    expect(findings).toHaveLength(1);
  });

  it("more runs than the limit", () => {
    const { memory, format, levels, add, fill, table, entries, widest } = tablesOf(vector);
    const chain = Array.from({ length: levels }, (_, level) => add(level));
    for (let level = levels - 1; level > 1; level--)
      fill(chain[level]!, 1, () => format.tableWord(frameOf(chain[level - 1]!), level));
    const granule = BigInt(2 ** format.granuleLg2);
    // Two tables, of which the second goes on where the first ends, but is not read any more.
    const second = add(0);
    fill(chain[1]!, 2, (i) => format.tableWord(frameOf(i === 0 ? chain[0]! : second), 1));
    for (const pa of [chain[0]!, second])
      fill(pa, entries, (i) => leaf(format, BigInt(entries - i) * 2n * granule));
    const { ctx, findings } = contextOver(counting(memory, widest), { maxRuns: 10 });
    const runs = decodeMappings(ctx, table(chain[levels - 1]!), "table");
    expect(runs.length).toBeGreaterThan(10);
    expect(runs.length).toBeLessThanOrEqual(entries);
    expect(codesOf(findings)).toEqual(["limit-exceeded"]);
  });

  it("tables that are absent are reported, and the others are read", () => {
    const { memory, format, levels, add, fill, table } = tablesOf(vector);
    const chain = Array.from({ length: levels }, (_, level) => add(level));
    for (let level = levels - 1; level > 1; level--)
      fill(chain[level]!, 1, () => format.tableWord(frameOf(chain[level - 1]!), level));
    const absent = 0x500000000n;
    fill(chain[1]!, 2, (i) => format.tableWord(frameOf(i === 0 ? absent : chain[0]!), 1));
    fill(chain[0]!, 1, () => leaf(format, 0n));
    const { ctx, findings } = contextOver(memory);
    const runs = [...mappingsOf(decodeMappings(ctx, table(chain[levels - 1]!), "table"))];
    expect(runs).toMatchObject([{ iova: 1n << BigInt(itemLg2(format, 1)), pa: 0n }]);
    expect(findings).toMatchObject([{ severity: "error", code: "memory-absent" }]);
    // The entry that leads there is named, if not the table.
    expect([absent, chain[1]]).toContain(findings[0]!.pa);
    expect(translate(memory, table(chain[levels - 1]!), 0n).fault).toBe("table-absent");
  });

  it("a root that is absent", () => {
    const { memory, table } = tablesOf(vector);
    for (const root of [0x500000000n, (1n << 64n) - 4096n, 0n]) {
      const { ctx, findings } = contextOver(memory);
      expect(decodeMappings(ctx, table(physAddr(root)), "table").length).toBe(0);
      expect(codesOf(findings)).toEqual(["memory-absent"]);
    }
  });
});

describe("garbage", () => {
  const anyWord = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  const address = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

  it.each(shapes)("$format as in $name: nothing but findings, and lookups agree with the walk", (vector) => {
    const built = tablesOf(vector);
    const { format, levels, countAt } = built;
    /** Words that lead somewhere, some with a bit changed. */
    const sensible = fc.oneof(
      fc
        .tuple(fc.nat({ max: 7 }), fc.nat({ max: levels - 1 }))
        .map(([n, level]) =>
          format.tableWord(frameOf(0x100000000n) + n * 2 ** (format.granuleLg2 - 12), Math.max(1, level)),
        ),
      fc
        .tuple(fc.nat({ max: 7 }), fc.constantFrom(format.granuleLg2, itemLg2(format, 1)), fc.nat({ max: 3 }))
        .map(([n, lg2, prot]) => format.leafWord(n * 2 ** (lg2 - 12), lg2, prot || 1)),
    );
    const flipped = fc.tuple(sensible, fc.nat({ max: 63 })).map(([word, bit]) => word ^ (1n << BigInt(bit)));
    const word = fc.oneof(
      { weight: 2, arbitrary: fc.constant(0n) },
      { weight: 2, arbitrary: anyWord },
      { weight: 4, arbitrary: sensible },
      { weight: 2, arbitrary: flipped },
    );
    const few = fc.array(fc.tuple(fc.nat({ max: 40 }), word), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(
        fc.array(few, { minLength: 1, maxLength: 6 }),
        fc.array(address, { maxLength: 4 }),
        (pages, random) => {
          const { memory, add, fill, table, widest } = tablesOf(vector);
          const roots = pages.map((contents, i) => {
            const level = i === 0 ? levels - 1 : 0;
            const pa = add(level);
            const at = new Map(contents);
            fill(pa, Math.min(41, countAt(level)), (index) => at.get(index) ?? 0n);
            return pa;
          });
          const counted = counting(memory, widest);
          const limits = { maxSharedTables: 30, maxTables: 200, maxRuns: 3000, maxFindings: 200 };
          const { ctx, findings } = contextOver(counted, limits);
          const top = table(roots[0]!);
          const runs = [...mappingsOf(decodeMappings(ctx, top, "table"))];
          expect(counted.reads).toBeLessThanOrEqual(limits.maxTables + limits.maxSharedTables + 200);
          const complete =
            !codesOf(findings).includes("limit-exceeded") && !codesOf(findings).includes("iommu-table-cycle");
          const edges = runs.slice(0, 30).flatMap(({ iova, size }) => [iova, iova + size - 1n, iova + size]);
          for (const asked of [...edges, ...random].filter((one) => one < 1n << 64n)) {
            const found = translate(counted, top, asked);
            const run = runs.find(({ iova, size }) => asked >= iova && asked < iova + size);
            if (complete) expect(found.pa).toBe(run && physAddr(run.pa + asked - run.iova));
            else if (run) expect(found.pa).toBe(physAddr(run.pa + asked - run.iova));
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe("a parent that is hostile", () => {
  const { memory, format, levels, add, fill, table } = tablesOf(
    shapes.find(({ format: name, config }) => name === "vtdss" && config.levels === 3)!,
  );

  it("that leads to itself: what it says is at every address is read, and no more", () => {
    const root = add(levels - 1);
    fill(root, 512, () => format.tableWord(frameOf(root), 2));
    const counted = counting(memory, 2 ** 20);
    const view = throughParent(counted, table(root));
    // Three levels down the table is a page that is mapped to itself.
    expect(view.read(physAddr(0x123456000n), 4096)).toEqual(memory.read(root, 4096));
    expect(counted.reads).toBeLessThan(10);
    expect(view.has(physAddr(0n), 2 ** 16)).toBe(true);
    expect(counted.reads).toBeLessThan(10 + 3 * 17);
  });

  it("nothing is read beyond what it maps, nor what lies beyond 2^64", () => {
    const [root, middle, lowest, page] = [add(2), add(1), add(0), add(0)];
    fill(root, 1, () => format.tableWord(frameOf(middle), 2));
    fill(middle, 1, () => format.tableWord(frameOf(lowest), 1));
    fill(lowest, 1, () => leaf(format, page));
    const view = throughParent(memory, table(root));
    expect(view.read(physAddr(8n), 4088)).toHaveLength(4088);
    for (const [pa, length, missing] of [
      [8n, 4089, 4096n],
      [4096n, 1, 4096n],
      [(1n << 64n) - 1n, 2, (1n << 64n) - 1n],
      [1n << 40n, 8, 1n << 40n],
      [0n, 2 ** 30, 4096n],
    ] as const) {
      expect(view.has(physAddr(pa), length)).toBe(false);
      expect(() => view.read(physAddr(pa), length)).toThrow(
        expect.objectContaining({ code: "memory-absent", pa: missing }),
      );
    }
  });

  it("a mapping to memory that is absent is absent", () => {
    const [root, middle, lowest] = [add(2), add(1), add(0)];
    fill(root, 1, () => format.tableWord(frameOf(middle), 2));
    fill(middle, 1, () => format.tableWord(frameOf(lowest), 1));
    fill(lowest, 2, (i) => (i === 0 ? leaf(format, lowest) : leaf(format, 0x900000000n)));
    const view = throughParent(memory, table(root));
    expect(view.has(physAddr(0n), 4096)).toBe(true);
    expect(view.has(physAddr(0n), 4097)).toBe(false);
    expect(() => view.read(physAddr(0n), 8192)).toThrow(expect.objectContaining({ code: "memory-absent" }));
  });

  it("a guest's table behind it is walked within the limits", () => {
    const root = add(levels - 1);
    fill(root, 512, () => format.tableWord(frameOf(root), 2));
    const counted = counting(memory, 4096);
    const limits = { maxSharedTables: 50, maxTables: 100 };
    // Every address of the guest is the same page, which as a guest's table leads to other addresses of the guest.
    const { ctx, findings } = contextOver(throughParent(counted, table(root)), limits);
    decodeMappings(ctx, { ...table(physAddr(0x40000000n)) }, "guest");
    expect(codesOf(findings).every((code) => code.startsWith("iommu-") || code === "limit-exceeded")).toBe(
      true,
    );
    expect(counted.reads).toBeLessThan(200 * 10);
  });

  it("any words at all throw nothing but KhoErrors", () => {
    const word = fc.oneof(
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      fc.nat({ max: 5 }).map((n) => 0x100000003n + BigInt(n) * 4096n),
      fc.nat({ max: 5 }).map((n) => 0x100000083n + BigInt(n) * 0x40000000n),
    );
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 512, maxLength: 512 }),
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        fc.oneof(fc.nat({ max: 10_000 }), fc.constantFrom(2 ** 20, 2 ** 30, 2 ** 31, 2 ** 40)),
        (words, at, length) => {
          const own = sparseMemory();
          own.write(physAddr(0x100000000n), new Uint8Array(BigUint64Array.from(words).buffer));
          const view = throughParent(own, table(physAddr(0x100000000n)));
          const has = view.has(physAddr(at % 2n ** 40n), length);
          try {
            expect(view.read(physAddr(at % 2n ** 40n), length)).toHaveLength(length);
            expect(has).toBe(true);
          } catch (error) {
            if (!isKhoError(error, "memory-absent") && !isKhoError(error, "limit-exceeded")) throw error;
            expect(has).toBe(false);
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});
