/** A walk of a page table and the lookup of single addresses say the same. */
import type { PageTable } from "../../formats/iommu/format.js";
import { type MappingRuns, mappingAt } from "../../formats/iommu/mappings.js";
import { translate } from "../../formats/iommu/translate.js";
import { fail } from "../../src/fuzz/finding.js";
import { endOfMemory, type Memory } from "../../src/memory/index.js";

/** Runs that are looked at. */
const mostRuns = 32;

/** Looks up the ends of runs, and what is beside them. */
export function checkLookups(memory: Memory, table: PageTable, runs: MappingRuns): void {
  const step = Math.max(1, Math.floor(runs.length / mostRuns));
  for (let i = 0; i < runs.length; i += step) {
    const { iova, pa, size, read, write } = mappingAt(runs, i);
    for (const into of [0n, size / 2n, size - 1n]) {
      const found = translate(memory, table, iova + into);
      if (found.pa !== pa + into)
        fail(
          "invariant",
          `${iova + into} is walked to ${pa + into}, and looked up as ${found.pa} (${found.fault})`,
        );
      if (((found.access & 1) !== 0) !== read || ((found.access & 2) !== 0) !== write)
        fail("invariant", `the rights of ${iova + into} differ`);
    }
    const next = i + 1 < runs.length ? mappingAt(runs, i + 1).iova : undefined;
    const behind = iova + size;
    if (behind < endOfMemory && behind !== next) {
      const found = translate(memory, table, behind);
      if (found.pa !== undefined)
        fail("invariant", `${behind} is not walked to, and looked up as ${found.pa}`);
    }
  }
}
