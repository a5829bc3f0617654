import { expect, it } from "vitest";
import { newReading } from "../../src/iommu/open.js";
import { reachOf } from "../../src/iommu/reach.js";
import { geometryOf } from "./shape.js";
import { firstFrame, makeTable, type TablePlan } from "./table.js";

const MiB = 2 ** 20;

it.each<TablePlan>([
  { bytes: 4096, mean: 64 },
  { bytes: 2 * MiB, mean: 1 },
  { bytes: 64 * MiB, mean: 8 },
  { bytes: 4096 * MiB, mean: 64 },
  { bytes: 4096 * MiB, mean: Number.POSITIVE_INFINITY },
])("a page table of $bytes bytes maps runs of $mean pages as planned", (plan) => {
  const { memory, table } = makeTable(plan);
  const { ctx, findings } = newReading(memory);
  const { runs, tables } = reachOf(ctx, { table, path: "table" });
  expect(findings).toEqual([]);
  const folios = plan.bytes / 4096;
  const { runAt, runs: count } = geometryOf({ folios, order: 0, mean: plan.mean });
  expect(runs.length).toBe(count);
  expect(tables.size).toBe([1, 2, 3, 4].reduce((sum, level) => sum + Math.ceil(folios / 512 ** level), 0));
  for (let i = 0, folio = 0; i < runs.length; i++) {
    const run = runAt(folio);
    const [iova, pa, frames] = [runs.iova[i], runs.pa[i], runs.frames[i]];
    if (iova !== folio || pa !== firstFrame + run.place || frames !== run.count)
      expect({ iova, pa, frames }).toEqual({ iova: folio, pa: firstFrame + run.place, frames: run.count });
    folio += run.count;
  }
});
