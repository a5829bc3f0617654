import { describe, expect, it } from "vitest";
import { amdv1 } from "../../../formats/iommu/amd/v1.js";
import { armFormat } from "../../../formats/iommu/arm/table.js";
import { frameOf } from "../../../formats/iommu/entry.js";
import type { TableFormat } from "../../../formats/iommu/format.js";
import { newFrameSet } from "../../../formats/iommu/frames.js";
import { mappingsOf } from "../../../formats/iommu/mappings.js";
import { riscv64 } from "../../../formats/iommu/riscv/table.js";
import { translate } from "../../../formats/iommu/translate.js";
import { vtdss } from "../../../formats/iommu/vtd/second-stage.js";
import { decodeMappings } from "../../../formats/iommu/walk.js";
import { x86Format } from "../../../formats/iommu/x86.js";
import { physAddr } from "../../../src/memory/index.js";
import { codesOf, contextOver } from "./context.js";
import { newStore } from "./store.js";

const words = (...all: bigint[]) => new Uint8Array(BigUint64Array.from(all).buffer);

const leafOf = (format: TableFormat, pa: bigint) => format.leafWord(frameOf(pa), format.granuleLg2, 3);

/** Two neighbouring leaves in a table of two levels. */
function pair(format: TableFormat, first: bigint, second: bigint) {
  const store = newStore();
  const granule = 2 ** format.granuleLg2;
  const root = store.allocate(granule, 1)!;
  const leaves = store.allocate(granule, 0)!;
  store.write(root, words(format.tableWord(frameOf(leaves), 1)));
  store.write(leaves, words(first, second));
  const vaBits = 2 * format.granuleLg2 - 3;
  return { memory: store.memory, table: { format, root, levels: 2, vaBits, signExtend: false } };
}

describe("the address behind the last one that an entry can hold is none that a leaf leads to", () => {
  it.each([
    ["vtdss", vtdss(), 0xffffffffff000n, 0n],
    ["x86_64", x86Format(), 0xffffffffff000n, 0n],
    ["x86_64 with bit 51 for encryption", x86Format({ smeMask: 1n << 51n }), 0x7fffffffff000n, 0n],
    ["amdv1 with bit 47 for encryption", amdv1({ smeMask: 1n << 47n }), 0x7ffffffff000n, 1n << 48n],
  ])("%s: a leaf behind it that leads elsewhere is not its continuation", (_, format, first, second) => {
    const { memory, table } = pair(format, leafOf(format, first), leafOf(format, second));
    const runs = [...mappingsOf(decodeMappings(contextOver(memory).ctx, table, "table"))];
    expect(translate(memory, table, 0x1000n).pa).toBe(second);
    expect(runs.map(({ pa, size }) => [pa, size])).toEqual([
      [first, 0x1000n],
      [second, 0x1000n],
    ]);
  });

  it.each([
    ["amdv1", amdv1(), 0xffffffffff000n, 1n << 12n],
    ["riscv64", riscv64(), 0xfffffffffff000n, 1n << 10n],
    ["arm, 4K", armFormat({ stage: 1, granuleLg2: 12 }), 0xfffffffff000n, 1n << 12n],
    ["arm, 64K", armFormat({ stage: 1, granuleLg2: 16 }), 0xffffffff0000n, 1n << 16n],
  ])("%s: a carry into reserved bits is a fault of the entry", (_, format, first, step) => {
    const word = leafOf(format, first);
    const { memory, table } = pair(format, word, word + step);
    const { ctx, findings } = contextOver(memory);
    const runs = [...mappingsOf(decodeMappings(ctx, table, "table"))];
    expect(codesOf(findings)).toEqual(["iommu-reserved-bits"]);
    const second = translate(memory, table, BigInt(2 ** format.granuleLg2)).pa;
    expect(runs.map(({ pa }) => pa)).toEqual([first, second]);
  });
});

it("entries that lead back count as tables, too: work has an end", () => {
  const format = vtdss();
  const store = newStore();
  const root = store.allocate(4096, 2)!;
  const back = format.tableWord(frameOf(root), 1);
  const all = Array.from({ length: 512 }, () => {
    const middle = store.allocate(4096, 1)!;
    store.write(middle, words(...Array.from({ length: 512 }, () => back)));
    return format.tableWord(frameOf(middle), 2);
  });
  store.write(root, words(...all));
  const { ctx } = contextOver(store.memory, { maxTables: 1000 });
  let reports = 0;
  const counted = { ...ctx, report: () => void reports++ };
  decodeMappings(counted, { format, root, levels: 3, vaBits: 39, signExtend: false }, "table");
  expect(reports).toBeLessThanOrEqual(1001);
});

it("frames far from each other do not take a page of bits each", () => {
  const before = process.memoryUsage().arrayBuffers;
  const set = newFrameSet();
  for (let i = 0; i < 65536; i++) set.add(i * 2 ** 15);
  expect(set.size).toBe(65536);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 2 ** 20);
});

it("a leaf of 2^53 bytes has a page size", () => {
  const store = newStore();
  const root = store.allocate(4096, 4)!;
  // PR, NEXT_LEVEL 7, all ones for an address, IR and IW: in 32 entries of level 4.
  const word = 1n | (7n << 9n) | (0xffffffffffn << 12n) | (3n << 61n);
  store.write(root, words(...Array.from({ length: 32 }, () => word)));
  const table = { format: amdv1(), root: physAddr(root), levels: 5, vaBits: 57, signExtend: false };
  const [run] = mappingsOf(decodeMappings(contextOver(store.memory).ctx, table, "table"));
  expect(run).toMatchObject({ iova: 0n, pa: 0n, size: 1n << 53n, pageSizes: [1n << 53n] });
});

it("several tables of the smallest pages in a row are a top table, too: every leaf of them is found", () => {
  const format = armFormat({ stage: 2, granuleLg2: 12 });
  const store = newStore();
  const entries = 16 * 512;
  const root = store.allocate(8 * entries, 0)!;
  store.write(
    root,
    words(...Array.from({ length: entries }, (_, i) => leafOf(format, BigInt(entries - i) * 0x2000n))),
  );
  const table = { format, root, levels: 1, vaBits: 25, signExtend: false };
  const runs = [...mappingsOf(decodeMappings(contextOver(store.memory).ctx, table, "table"))];
  expect(runs.map(({ iova, pa }) => [iova, pa])).toEqual(
    Array.from({ length: entries }, (_, i) => [BigInt(i) * 0x1000n, BigInt(entries - i) * 0x2000n]),
  );
});

it("a leaf that allows nothing is not reached, and does not part what is", () => {
  const store = newStore();
  const root = store.allocate(4096, 0)!;
  const nothing = leafOf(amdv1(), 0x5000n) & ~(3n << 61n);
  store.write(root, words(leafOf(amdv1(), 0x1000n), nothing, leafOf(amdv1(), 0x2000n)));
  const table = { format: amdv1(), root, levels: 1, vaBits: 21, signExtend: false };
  const runs = [...mappingsOf(decodeMappings(contextOver(store.memory).ctx, table, "table"))];
  expect(runs.map(({ iova, pa }) => [iova, pa])).toEqual([
    [0n, 0x1000n],
    [0x2000n, 0x2000n],
  ]);
  expect(translate(store.memory, table, 0x1000n)).toMatchObject({ fault: "no-access", access: 0 });
});
