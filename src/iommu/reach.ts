import type { DeviceEntry } from "../../formats/iommu/device.js";
import { frameLg2 } from "../../formats/iommu/entry.js";
import type { PageTable } from "../../formats/iommu/format.js";
import { type FrameSet, newFrameSet } from "../../formats/iommu/frames.js";
import { type MappingRuns, newMappings } from "../../formats/iommu/mappings.js";
import { compose, throughParent } from "../../formats/iommu/nested.js";
import { readWrite } from "../../formats/iommu/prot.js";
import { decodeMappings, type IommuContext } from "../../formats/iommu/walk.js";

/** What a device can reach. */
export interface Reach {
  /** Empty for a device that is blocked, and for one that addresses memory as it is. */
  readonly runs: MappingRuns;
  /** Frames of the page tables themselves. A nested first stage lies wherever its guest has put it, and is not among them. */
  readonly tables: FrameSet;
}

/** Walks the tables of a device. */
export function reachOf(
  ctx: IommuContext,
  { table, parent, path }: Pick<DeviceEntry, "table" | "parent" | "path">,
): Reach {
  const tables = newFrameSet();
  if (!table) return { runs: newMappings().finish(), tables };
  if (!parent) return { runs: decodeMappings(ctx, table, `${path}.table`, tables), tables };
  const second = decodeMappings(ctx, parent, `${path}.parent`, tables);
  const seen = { ...ctx, memory: throughParent(ctx.memory, parent) };
  const first = decodeMappings(seen, table, `${path}.table`);
  return { runs: compose(first, second, ctx.limits.maxRuns), tables };
}

/**
 * What a device reaches that addresses memory as it is: all of it, as one range. No machine has physical addresses of more
 * than 52 bits.
 */
export function allOfMemory(): MappingRuns {
  const runs = newMappings();
  runs.push(0, 0, 2 ** (52 - frameLg2), readWrite, frameLg2);
  return runs.finish();
}

/** A cache of {@link reachOf}: devices of one domain share its tables, and findings of these are not reported again. */
export function newReaches(ctx: IommuContext): (entry: DeviceEntry) => Reach {
  const known = new Map<string, Reach>();
  const keyOf = (table: PageTable | undefined): string =>
    table
      ? `${table.format.name} ${table.format.granuleLg2} ${table.root} ${table.levels} ${table.vaBits}`
      : "";
  return (entry) => {
    const key = `${keyOf(entry.table)} ${keyOf(entry.parent)}`;
    let reach = known.get(key);
    if (!reach) known.set(key, (reach = reachOf(ctx, entry)));
    return reach;
  };
}

/** Bytes of all runs together; what is mapped twice counts twice. */
export function mappedBytes({ frames }: MappingRuns): bigint {
  let sum = 0n;
  for (const count of frames) sum += BigInt(count);
  return sum << 12n;
}
