import { describe, expect, it } from "vitest";
import { defaultLimits } from "../../../formats/context.js";
import { decodeTable, encodeTable } from "../../../formats/iommu/content.js";
import { domainOf, tableOf } from "../../../formats/iommu/domain.js";
import { itemLg2 } from "../../../formats/iommu/format.js";
import { decodeMappings, type IommuContext } from "../../../formats/iommu/walk.js";
import { physAddr, sparseMemory } from "../../../src/memory/index.js";
import { contentOf, newStore } from "./store.js";
import { optionsOf, type Vector, vectors } from "./vectors.js";

/** The tables of a vector in memory, as it says they are. */
function memoryOf(vector: Vector) {
  const memory = sparseMemory();
  for (const [pa, entries] of Object.entries(vector.tables)) {
    const table = physAddr(BigInt(pa));
    // The top table can be several in a row.
    const isTop = pa === vector.root;
    const top = vector.config.vaBits - itemLg2(vector.config, vector.rootLevels - 1);
    const room =
      isTop && vector.format !== "amdv1" ? Math.max(4096, 8 * 2 ** top) : 2 ** vector.config.granuleLg2;
    memory.cover(table, room);
    for (const [index, word] of Object.entries(entries)) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, BigInt(word), true);
      memory.write(physAddr(table + BigInt(8 * Number(index))), bytes);
    }
  }
  return memory;
}

describe.each(vectors)("$name", (vector) => {
  const memory = memoryOf(vector);
  const findings: string[] = [];
  const ctx: IommuContext = {
    memory,
    limits: defaultLimits,
    report: (_, code, message) => findings.push(`${code}: ${message}`),
  };
  const place = { root: physAddr(BigInt(vector.root)), levels: vector.rootLevels };
  const table = tableOf(domainOf(optionsOf(vector), place, newStore()));

  it("is read without findings, and written again as it was", () => {
    const content = decodeTable(ctx, table, "table");
    expect(findings).toEqual([]);
    const tables = new Map<bigint, number>();
    const written = sparseMemory();
    encodeTable(content, (pa, bytes) => {
      tables.set(pa, bytes.length);
      written.write(pa, bytes);
    });
    const store = { ...newStore(), memory: written, tables };
    expect(contentOf(store)).toEqual(vector.tables);
  });

  it("maps as many bytes as it has leaves for", () => {
    const { leaves } = decodeTable(ctx, table, "table");
    let bytes = 0n;
    for (let i = 0; i < leaves.length; i++) bytes += BigInt(leaves.count[i]!) << BigInt(leaves.lg2[i]!);
    const runs = decodeMappings(ctx, table, "table");
    const mapped = runs.frames.reduce((sum, frames) => sum + BigInt(frames), 0n) << 12n;
    expect(mapped).toBe(bytes);
  });
});
