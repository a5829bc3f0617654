/** Vectors hold what the kernel's code made of calls. A plain model of the calls has to map the same. */
import { describe, expect, it } from "vitest";
import { newFrameSet } from "../../../formats/iommu/frames.js";
import { mappingsOf } from "../../../formats/iommu/mappings.js";
import { decodeMappings } from "../../../formats/iommu/walk.js";
import { physAddr, sparseMemory } from "../../../src/memory/index.js";
import { contextOver } from "./context.js";
import { newModel } from "./model.js";
import { optionsOf, type Vector, vectors } from "./vectors.js";

const errnos: Readonly<Record<number, string>> = { [-34]: "ERANGE", [-98]: "EADDRINUSE" };

/** Bytes of the top table, which can be less or more than those of the others. */
const rootBytes = ({ config: { vaBits, granuleLg2 }, format, rootLevels }: Vector): number =>
  format === "amdv1"
    ? 4096
    : Math.max(4096, 8 * 2 ** (vaBits - granuleLg2 - (granuleLg2 - 3) * (rootLevels - 1)));

/** The tables of a vector, where it has them. */
function memoryOf(vector: Vector) {
  const memory = sparseMemory();
  for (const [at, entries] of Object.entries(vector.tables)) {
    const pa = BigInt(at);
    memory.cover(physAddr(pa), at === vector.root ? rootBytes(vector) : 2 ** vector.config.granuleLg2);
    for (const [index, word] of Object.entries(entries)) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, BigInt(word), true);
      memory.write(physAddr(pa + BigInt(index) * 8n), bytes);
    }
  }
  return memory;
}

describe.each(vectors)("$name", (vector) => {
  const model = newModel(vector.format, vector.config);

  it("the model returns what the kernel's code does", () => {
    for (const [i, op] of vector.ops.entries()) {
      const result = vector.results[i]!;
      if (op[0] === "map") {
        const [errno, mapped] = result as [number, string];
        const [, iova, pa, size, prot] = op;
        expect(model.map(BigInt(iova), BigInt(pa), BigInt(size), prot), op.join(" ")).toEqual({
          ...(errno !== 0 && { errno: errnos[errno] }),
          mapped: BigInt(mapped),
        });
      } else expect(model.unmap(BigInt(op[1]), BigInt(op[2])), op.join(" ")).toBe(BigInt(result as string));
    }
  });

  it("its tables map what the model does", () => {
    const { format, vaBits, signExtend = false } = optionsOf(vector);
    const levels = vector.rootLevels;
    const reach = vector.format === "amdv1" ? Math.min(vaBits, 12 + 9 * levels) : vaBits;
    const table = { format, root: physAddr(BigInt(vector.root)), levels, vaBits: reach, signExtend };
    const { ctx, findings } = contextOver(memoryOf(vector));
    const tables = newFrameSet();
    expect([...mappingsOf(decodeMappings(ctx, table, "table", tables))]).toEqual(model.runs);
    expect(findings).toEqual([]);
    // Every table of the vector is reached.
    for (const at of Object.keys(vector.tables)) expect(tables.has(Number(BigInt(at) >> 12n)), at).toBe(true);
  });
});
