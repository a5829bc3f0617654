import type { LeafSink } from "./batch.js";
import type { PageTable } from "./format.js";
import type { FrameSet } from "./frames.js";
import { type MappingRuns, newMappings } from "./mappings.js";
import type { IommuContext } from "./table-reader.js";
import { walkTable } from "./traverse.js";

export type { LeafBatch, LeafSink } from "./batch.js";
export type { IommuContext } from "./table-reader.js";
export { walkTable } from "./traverse.js";

/**
 * Everything that a page table lets a device reach, as merged runs. More than `limits.maxRuns` end in a finding.
 * @param tables collects the frames that the tables themselves lie in
 */
export function decodeMappings(
  ctx: IommuContext,
  table: PageTable,
  path: string,
  tables?: FrameSet,
): MappingRuns {
  const runs = newMappings();
  const sink: LeafSink = {
    leaves: runs.append,
    get full() {
      return runs.length > ctx.limits.maxRuns;
    },
  };
  walkTable(ctx, table, sink, path, tables);
  if (sink.full)
    ctx.report("error", "limit-exceeded", `the page table has more than ${ctx.limits.maxRuns} runs`, {
      path,
    });
  return runs.finish();
}
