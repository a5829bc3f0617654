import { addressOfFrame } from "../../formats/iommu/entry.js";
import type { MappingRuns } from "../../formats/iommu/mappings.js";
import type { Access } from "../../formats/iommu/prot.js";
import type { PhysAddr } from "../memory/index.js";

/** Where a stretch of addresses leads, and what it allows. */
export interface Side {
  readonly pa: PhysAddr;
  readonly access: Access;
}

/** A stretch of a device's addresses that is not the same in two captures. */
export interface Change {
  /** `moved`: it leads elsewhere; `rights`: to the same memory with other rights. */
  readonly kind: "added" | "removed" | "moved" | "rights";
  readonly iova: bigint;
  /** Bytes. */
  readonly size: bigint;
  readonly before?: Side;
  readonly after?: Side;
}

/**
 * What changed between two walks, ascending by address. One pass over both, lazily; the same change of neighbouring
 * addresses is one.
 */
export function* diffMappings(before: MappingRuns, after: MappingRuns): Generator<Change> {
  let a = 0;
  let b = 0;
  let at = 0;
  let open: Change | undefined;
  while (a < before.length || b < after.length) {
    const inA = a < before.length && before.iova[a]! <= at;
    const inB = b < after.length && after.iova[b]! <= at;
    /** Where the next run of either begins or ends. */
    const next = Math.min(edge(before, a, inA), edge(after, b, inB));
    const change = changeOf(before, after, inA ? a : -1, inB ? b : -1, at, next);
    if (change) {
      const joined = open && join(open, change);
      if (open && !joined) yield open;
      open = joined ?? change;
    }
    at = next;
    if (inA && end(before, a) <= at) a++;
    if (inB && end(after, b) <= at) b++;
  }
  if (open) yield open;
}

const end = (runs: MappingRuns, i: number): number => runs.iova[i]! + runs.frames[i]!;
const edge = (runs: MappingRuns, i: number, inside: boolean): number =>
  i >= runs.length ? Number.POSITIVE_INFINITY : inside ? end(runs, i) : runs.iova[i]!;

const side = (runs: MappingRuns, i: number, at: number): Side => ({
  pa: addressOfFrame(runs.pa[i]! + at - runs.iova[i]!),
  access: runs.access[i]!,
});

function changeOf(
  before: MappingRuns,
  after: MappingRuns,
  a: number,
  b: number,
  at: number,
  next: number,
): Change | undefined {
  if (a < 0 && b < 0) return undefined;
  const place = { iova: addressOfFrame(at), size: addressOfFrame(next - at) };
  if (a < 0) return { kind: "added", ...place, after: side(after, b, at) };
  if (b < 0) return { kind: "removed", ...place, before: side(before, a, at) };
  const sides = { before: side(before, a, at), after: side(after, b, at) };
  if (sides.before.pa !== sides.after.pa) return { kind: "moved", ...place, ...sides };
  return sides.before.access === sides.after.access ? undefined : { kind: "rights", ...place, ...sides };
}

/** Two changes as one where the second continues the first. */
function join(first: Change, second: Change): Change | undefined {
  const continues = (one: Side | undefined, other: Side | undefined): boolean =>
    one === undefined
      ? other === undefined
      : other !== undefined && one.access === other.access && one.pa + first.size === other.pa;
  const joins =
    first.kind === second.kind &&
    first.iova + first.size === second.iova &&
    continues(first.before, second.before) &&
    continues(first.after, second.after);
  return joins ? { ...first, size: first.size + second.size } : undefined;
}
