import { describe, expect, it } from "vitest";
import { newDomain } from "../../../formats/iommu/domain.js";
import { mapTable, unmapTable } from "../../../formats/iommu/map.js";
import { contentOf, newStore } from "./store.js";
import { optionsOf, vectors } from "./vectors.js";

const errnos: Readonly<Record<number, string>> = { [-34]: "ERANGE", [-98]: "EADDRINUSE" };

it("there are 59 of them", () => expect(vectors).toHaveLength(59));

describe.each(vectors)("$name", (vector) => {
  const store = newStore();
  const domain = newDomain(optionsOf(vector), store)!;

  it("every call returns what the kernel's code does, and the tables are the same", () => {
    for (const [i, op] of vector.ops.entries()) {
      const result = vector.results[i]!;
      if (op[0] === "map") {
        const [errno, mapped] = result as [number, string];
        const [, iova, pa, size, prot] = op;
        expect(mapTable(domain, BigInt(iova), BigInt(pa), BigInt(size), prot), op.join(" ")).toEqual({
          ...(errno !== 0 && { errno: errnos[errno] }),
          mapped: BigInt(mapped),
        });
      } else
        expect(unmapTable(domain, BigInt(op[1]), BigInt(op[2])), op.join(" ")).toBe(BigInt(result as string));
    }
    expect(domain.root).toBe(BigInt(vector.root));
    expect(domain.levels).toBe(vector.rootLevels);
    expect(contentOf(store)).toEqual(vector.tables);
  });
});
