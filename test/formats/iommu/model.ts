/**
 * What a domain maps, without tables: a list of leaves in ascending order, and the rules of the specification by which calls
 * change it. Slow and plain; addresses are bytes.
 */
import type { FormatName } from "../../../formats/iommu/format.js";
import type { Vector } from "./vectors.js";

export interface ModelLeaf {
  readonly iova: bigint;
  readonly pa: bigint;
  readonly size: bigint;
  readonly read: boolean;
  readonly write: boolean;
}

/** A merged run, and the sizes of its leaves. */
export interface ModelRun extends ModelLeaf {
  readonly pageSizes: readonly bigint[];
}

export interface ModelResult {
  readonly errno?: string;
  readonly mapped: bigint;
}

type Config = Pick<
  Vector["config"],
  "vaBits" | "paBits" | "levels" | "granuleLg2" | "signExtend" | "pgsizeBitmap" | "smeMask"
>;

export interface Model {
  /** `room` says where memory ends: of ARM after so many tables, of the others, whose tables are not modelled, in bytes. */
  map(
    iova: bigint,
    pa: bigint,
    size: bigint,
    prot: number,
    room?: { readonly tables?: number; readonly until?: bigint },
  ): ModelResult;
  unmap(iova: bigint, size: bigint): bigint;
  /** The leaf that an address is in. */
  at(address: bigint): ModelLeaf | undefined;
  readonly leaves: readonly ModelLeaf[];
  readonly runs: readonly ModelRun[];
}

const READ = 1;
const WRITE = 2;

/** Formats that cannot let a device write what it must not read. */
const writeImpliesRead: ReadonlySet<FormatName> = new Set(["x86_64", "arm_s1", "riscv64"]);

/** Largest size that both addresses are aligned to and that fits, as the specification writes it down. */
export function greedySize(iova: bigint, pa: bigint, left: bigint, pgsizeBitmap: bigint): bigint {
  const highestPowerOfTwo = 1n << BigInt(left.toString(2).length - 1);
  const limit = iova | pa | highestPowerOfTwo;
  const most = limit & -limit;
  let best = 0n;
  for (let size = 4096n; size <= most; size <<= 1n) if (pgsizeBitmap & size) best = size;
  return best;
}

export function newModel(format: FormatName, config: Config): Model {
  const isArm = format === "arm_s1" || format === "arm_s2";
  const granule = 1n << BigInt(config.granuleLg2);
  const bitmap = BigInt(config.pgsizeBitmap);
  // Leaves are read without this bit, also where the address of the call brought it along.
  const encrypted = BigInt(config.smeMask);
  const leaves: ModelLeaf[] = [];

  /** First leaf that ends behind an address. */
  const behind = (address: bigint): number => {
    let from = 0;
    let to = leaves.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (leaves[middle]!.iova + leaves[middle]!.size <= address) from = middle + 1;
      else to = middle;
    }
    return from;
  };
  const within = (from: bigint, size: bigint): ModelLeaf[] => {
    const found: ModelLeaf[] = [];
    for (let i = behind(from); i < leaves.length && leaves[i]!.iova < from + size; i++)
      found.push(leaves[i]!);
    return found;
  };
  const drop = (from: bigint, size: bigint): void => {
    leaves.splice(behind(from), within(from, size).length);
  };
  const add = (leaf: ModelLeaf): void => {
    leaves.splice(behind(leaf.iova), 0, leaf);
  };

  const outside = (iova: bigint, size: bigint): boolean => {
    const last = iova + size - 1n;
    if (last >= 1n << 64n) return true;
    const limit = 1n << BigInt(config.vaBits - (config.signExtend ? 1 : 0));
    if (last < limit) return false;
    return !config.signExtend || iova < (1n << 64n) - limit;
  };

  const tables = isArm ? newTables(config) : undefined;

  const map: Model["map"] = (
    iova,
    pa,
    size,
    prot,
    { tables: most = Number.POSITIVE_INFINITY, until = size } = {},
  ) => {
    let left = most;
    if ((iova | pa | size) % granule !== 0n) return { errno: isArm ? "EINVAL" : "ENXIO", mapped: 0n };
    if ((prot & (READ | WRITE)) === 0) return { errno: "EINVAL", mapped: 0n };
    if (outside(iova, size) || pa + size > 1n << BigInt(config.paBits))
      return { errno: "ERANGE", mapped: 0n };
    const write = (prot & WRITE) !== 0;
    const read = (prot & READ) !== 0 || writeImpliesRead.has(format);
    let done = 0n;
    /** Up to here ARM's leaves were looked at: all of one size in one table, before any is written. */
    let checked = 0n;
    while (done < until) {
      const a = iova + done;
      const leaf = greedySize(a, pa + done, size - done, bitmap);
      if (!isArm && within(a, leaf).length > 0) return { errno: "EADDRINUSE", mapped: done };
      if (isArm && done >= checked) {
        const table = leaf << BigInt(config.granuleLg2 - 3);
        if (within(a, leaf).some((other) => other.size > leaf)) return { errno: "EEXIST", mapped: done };
        const made = tables!.make(a, leaf, left);
        if (made === undefined) return { errno: "ENOMEM", mapped: done };
        left -= made;
        for (let at = a; at < iova + size && at / table === a / table; at += leaf) {
          if (greedySize(at, at + pa - iova, iova + size - at, bitmap) !== leaf) break;
          if (within(at, leaf).some((other) => other.size >= leaf)) return { errno: "EEXIST", mapped: done };
          // What is in a table goes with it, even if a leaf behind it ends the call.
          tables!.dropBelow(at, leaf);
          drop(at, leaf);
          checked = at + leaf - iova;
        }
      }
      add({ iova: a, pa: (pa + done) & ~encrypted, size: leaf, read, write });
      done += leaf;
    }
    return { mapped: done };
  };

  /** generic_pt's: leaf by leaf, up to a hole or into the middle of a leaf. */
  const unmapGeneric = (iova: bigint, size: bigint): bigint => {
    let at = iova;
    while (at < iova + size) {
      const [leaf] = within(at, 1n);
      if (leaf?.iova !== at) break;
      drop(at, 1n);
      at += leaf.size;
    }
    return at - iova;
  };

  /** ARM's: in the steps that a mapping of the address to itself would have; what is in a table goes with it. */
  const unmapArm = (iova: bigint, size: bigint): bigint => {
    let at = iova;
    while (at < iova + size && !outside(at, granule)) {
      const step = greedySize(at, at, iova + size - at, bitmap);
      const inside = within(at, step);
      const isLeaf = inside[0]?.size === step;
      if (inside.some((leaf) => leaf.size > step) || !(isLeaf || tables!.has(at, step))) break;
      tables!.dropBelow(at, step);
      drop(at, step);
      at += step;
    }
    return at - iova;
  };

  return {
    leaves,
    map,
    unmap: (iova, size) => {
      if (size === 0n || (iova | size) % granule !== 0n || iova + size > 1n << 64n) return 0n;
      if (isArm) return unmapArm(iova, size);
      return outside(iova, size) ? 0n : unmapGeneric(iova, size);
    },
    at: (address) => within(address, 1n)[0],
    get runs() {
      const runs: ModelRun[] = [];
      for (const leaf of leaves) {
        const last = runs.at(-1);
        if (
          last &&
          last.iova + last.size === leaf.iova &&
          last.pa + last.size === leaf.pa &&
          last.read === leaf.read &&
          last.write === leaf.write
        )
          runs[runs.length - 1] = {
            ...last,
            size: last.size + leaf.size,
            pageSizes: [...new Set([...last.pageSizes, leaf.size])].sort((a, b) => (a < b ? -1 : 1)),
          };
        else runs.push({ ...leaf, pageSizes: [leaf.size] });
      }
      return runs;
    },
  };
}

/** Which tables there are: ARM's unmap takes an empty one for something that was mapped. */
function newTables({ granuleLg2, levels }: Config) {
  /** Names of tables: the size that they decide over, and which one of these it is. */
  const there = new Map<bigint, Set<bigint>>();
  /** Largest first. */
  const spans = Array.from(
    { length: levels - 1 },
    (_, below) => 1n << BigInt(granuleLg2 + (granuleLg2 - 3) * (levels - 1 - below)),
  );
  for (const span of spans) there.set(span, new Set());
  return {
    /** Makes the tables above a leaf, but for the top one, from there down; undefined if there is no memory for one. */
    make(iova: bigint, leaf: bigint, left: number): number | undefined {
      let made = 0;
      for (const span of spans) {
        const set = there.get(span)!;
        if (span <= leaf || set.has(iova / span)) continue;
        if (made === left) return undefined;
        set.add(iova / span);
        made++;
      }
      return made;
    },
    /** True if there is a table in place of a leaf. */
    has: (iova: bigint, leaf: bigint) => there.get(leaf)?.has(iova / leaf) ?? false,
    dropBelow(iova: bigint, leaf: bigint) {
      for (const [span, set] of there)
        if (span <= leaf)
          for (const index of set) if ((index * span) / leaf === iova / leaf) set.delete(index);
    },
  };
}
