import type { Limits } from "../../formats/context.js";
import { readFdt } from "../../formats/fdt/index.js";
import { khoKexecMetadata } from "../../formats/kho/layout.js";
import { KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import { decode, sizeOf } from "../layout/index.js";
import type { Memory, PhysAddr } from "../memory/index.js";
import { isKhoError } from "../report/error.js";
import { readings } from "./abi.js";
import { memoryBlob } from "./blobs.js";
import type { Candidate } from "./candidate.js";
import { treeBytes } from "./tree-bytes.js";

/** What a root has going for it. */
interface Standing {
  /** Its memory map keeps the page of the root itself: a copy's does not, nor one whose memory is in use again. */
  readonly keepsRoot: boolean;
  /** How many records lead to it. */
  readonly records: number;
  /** Kexecs since the machine booted cold, by its metadata; of two whole handovers the one with more is the later. */
  readonly kexecs: number;
  readonly score: number;
}

/** Roots that are looked into; a machine has a handful of old ones at most. */
const most = 16;

/** The root that a candidate is or leads to. */
const rootOf = (candidate: Candidate): PhysAddr => candidate.record?.fdtPa ?? candidate.pa;

/**
 * Sorts candidates, best first, and tells whether two different roots are equally good. Usable ones come first; of one
 * root the records come before the root itself.
 */
export function rank(
  memory: Memory,
  limits: Limits,
  found: readonly Candidate[],
): { candidates: Candidate[]; ambiguous: boolean } {
  const standings = new Map<PhysAddr, Standing>();
  const usable = found.filter((candidate) => candidate.usable);
  for (const candidate of usable) {
    const root = rootOf(candidate);
    if (standings.has(root)) continue;
    const same = usable.filter((other) => rootOf(other) === root);
    const records = same.filter(({ record }) => record).length;
    const looked = standings.size < most ? lookInto(memory, limits, root) : { keepsRoot: false, kexecs: 0 };
    standings.set(root, { ...looked, records, score: Math.max(...same.map(({ score }) => score)) });
  }
  const roots = [...standings].sort(([a, one], [b, other]) => better(one, other) || (a < b ? -1 : 1));
  const place = new Map(roots.map(([root], i) => [root, i]));
  const placeOf = (candidate: Candidate): number =>
    candidate.usable ? place.get(rootOf(candidate))! : Number.POSITIVE_INFINITY;
  const candidates = found
    .map((candidate) => ({
      ...candidate,
      verdict: candidate.verdict + remark(standings.get(rootOf(candidate))),
    }))
    .sort((a, b) => {
      const [one, other] = [placeOf(a), placeOf(b)];
      if (one !== other) return one - other;
      return Number(b.record !== undefined) - Number(a.record !== undefined) || (a.pa < b.pa ? -1 : 1);
    });
  const [first, second] = roots;
  return { candidates, ambiguous: second !== undefined && equal(first![1], second[1]) };
}

/** Negative if `one` is better. */
const better = (one: Standing, other: Standing): number =>
  Number(other.keepsRoot) - Number(one.keepsRoot) ||
  Number(other.records > 0) - Number(one.records > 0) ||
  other.kexecs - one.kexecs ||
  other.score - one.score ||
  other.records - one.records;

const equal = (one: Standing, other: Standing): boolean =>
  one.keepsRoot === other.keepsRoot &&
  one.records > 0 === other.records > 0 &&
  one.kexecs === other.kexecs &&
  one.score === other.score;

const remark = (standing: Standing | undefined): string => {
  if (!standing) return "";
  const age = standing.kexecs > 0 ? `, kexec ${standing.kexecs}` : "";
  return `${age}${standing.keepsRoot ? "" : "; the memory map does not keep the root: a copy, or used for something else since"}`;
};

function lookInto(memory: Memory, limits: Limits, pa: PhysAddr): Pick<Standing, "keepsRoot" | "kexecs"> {
  try {
    const fdt = readFdt(treeBytes(memory, pa), { lenient: true });
    const [reading] = readings(memory, limits, fdt, pa);
    const abi = { byteOrder: "little", pageSize: reading!.pageSize } as const;
    const metadata = memoryBlob(memory, fdt, KHO_METADATA_NODE_NAME, abi);
    const whole = metadata !== undefined && metadata.length >= sizeOf(khoKexecMetadata, abi);
    const kexecs = whole ? decode(khoKexecMetadata, metadata, 0, abi).kexec_count : 0;
    return { keepsRoot: reading!.keepsRoot, kexecs };
  } catch (error) {
    if (isKhoError(error)) return { keepsRoot: false, kexecs: 0 };
    throw error;
  }
}
