import type { Limits } from "../../formats/context.js";
import { hasFdtMagic } from "../../formats/fdt/index.js";
import {
  bootParamsSize,
  followSetupData,
  type HandoffRecord,
  handoffOfNode,
  setupDataHead,
} from "../../formats/kho/handoff.js";
import type { Image } from "../image/image.js";
import { type Memory, type PhysAddr, physAddr } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import type { Candidate } from "./candidate.js";
import type { Meta } from "./meta.js";
import type { FoundBy, Handoff } from "./model.js";
import { judgeTree, scan } from "./scan.js";

/** Where to begin, if the caller knows. */
export interface RootHints {
  /** Physical address of the root tree. */
  readonly fdt?: bigint;
  /**
   * Physical address of what leads to it: an x86 hand-off record, any node of the setup_data list, the zero page, or
   * the machine's device tree.
   */
  readonly handoff?: bigint;
  readonly meta?: Meta;
}

/** A root that was found, and what else could have been one. */
export interface FoundRoot {
  readonly handoff: Handoff;
  /** Everything that a scan came across, best first; empty if there was no need to scan. */
  readonly candidates: readonly Candidate[];
  readonly ambiguous: boolean;
  /** Why a hint was not followed, where another one was. */
  readonly notes: readonly string[];
}

const none = physAddr(0);

/**
 * Finds the root tree: by the hints, or by a scan of every page.
 * @throws KhoError `not-a-handover`, or `handoff-malformed` and `handoff-cycle` for a hint that leads nowhere
 */
export function findRoot(
  image: Image,
  hints: RootHints,
  limits: Limits,
  progress?: (phase: string, done: number, total: number) => void,
): FoundRoot {
  const { memory } = image;
  const { fdt, handoff, meta } = hints;
  const found = (result: Handoff): FoundRoot => ({
    handoff: result,
    candidates: [],
    ambiguous: false,
    notes: [],
  });
  const notes: string[] = [];

  if (handoff !== undefined) {
    const { record, by } = followHandoff(memory, physAddr(handoff));
    return found(handoffFrom(fdt === undefined ? record : { ...record, fdtPa: physAddr(fdt) }, by));
  }
  if (fdt !== undefined) return found(handoffFrom(argumentRecord(fdt, meta), "argument"));
  if (meta) {
    let failure: unknown;
    // The list's other nodes are no part of the handover, so that a capture may have the record alone.
    for (const at of [meta.setupDataHead, meta.setupDataPhys]) {
      if (at === undefined || at === 0n) continue;
      try {
        const { record, by } = followHandoff(memory, physAddr(at));
        return found(handoffFrom(record, by));
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) {
      if (meta.fdtPhys === undefined) throw failure;
      notes.push(`the setup_data list of the side file leads nowhere: ${(failure as Error).message}`);
    }
    if (meta.fdtPhys !== undefined)
      return { ...found(handoffFrom(argumentRecord(meta.fdtPhys, meta), "argument")), notes };
  }
  if (image.debugfs)
    return found({
      foundBy: "debugfs",
      recordPa: none,
      fdtPa: none,
      fdtSize: 0n,
      scratchPa: none,
      scratchSize: 0n,
    });
  if (image.blob)
    return found({
      foundBy: "argument",
      recordPa: none,
      fdtPa: none,
      fdtSize: 0n,
      scratchPa: none,
      scratchSize: 0n,
    });

  const looked = (done: number, total: number): void => progress?.("looking for the root", done, total);
  const { candidates, ambiguous } = scan(memory, looked, limits);
  const best = candidates.find((candidate) => candidate.usable);
  if (!best) throw nothingFound(candidates);
  const record = best.record ?? argumentRecord(best.pa);
  return { handoff: handoffFrom(record, "scan"), candidates, ambiguous, notes };
}

function nothingFound(candidates: readonly Candidate[]): KhoError {
  const seen = candidates.slice(0, 5).map(({ pa, verdict }) => `${hex(pa)}: ${verdict}`);
  const message =
    candidates.length === 0
      ? "no page of this file begins with a KHO root tree, and there is no hand-off record in it"
      : `no usable KHO root tree. Seen: ${seen.join("; ")}${candidates.length > 5 ? `; and ${candidates.length - 5} more` : ""}`;
  return new KhoError("not-a-handover", message);
}

const argumentRecord = (fdt: bigint, meta?: Meta): HandoffRecord => ({
  recordPa: none,
  fdtPa: physAddr(fdt),
  fdtSize: meta?.fdtSize ?? 0n,
  scratchPa: physAddr(meta?.scratchPhys ?? 0n),
  scratchSize: meta?.scratchSize ?? 0n,
});

const handoffFrom = (record: HandoffRecord, foundBy: FoundBy): Handoff => ({ foundBy, ...record });

/** The record that an address leads to, whichever of the four things is there. */
function followHandoff(memory: Memory, pa: PhysAddr): { record: HandoffRecord; by: FoundBy } {
  const page = memory.has(pa, bootParamsSize) ? memory.read(pa, bootParamsSize) : memory.read(pa, 16);
  if (hasFdtMagic(page)) {
    const tree = judgeTree(memory, pa);
    if (tree?.record) return { record: tree.record, by: "chosen" };
    throw new KhoError("handoff-malformed", `the tree at ${hex(pa)} has no hand-off in /chosen`, { pa });
  }
  const head = setupDataHead(page) ?? pa;
  if (head === 0n)
    throw new KhoError("handoff-malformed", `the zero page at ${hex(pa)} has no setup_data list`, { pa });
  const { nodes, ended } = followSetupData(memory, head);
  for (const node of nodes) {
    const record = handoffOfNode(memory, node);
    if (record) return { record, by: "setup_data" };
  }
  if (ended === "cycle")
    throw new KhoError("handoff-cycle", `the setup_data list at ${hex(head)} does not end`, { pa: head });
  throw new KhoError(
    "handoff-malformed",
    `the setup_data list at ${hex(head)} has ${nodes.length} nodes and no hand-off record${ended === "absent" ? "; it leaves the capture" : ""}`,
    {
      pa: head,
      expected: "a node of type 10",
      actual: nodes
        .map(({ type }) => type)
        .slice(0, 16)
        .join(", "),
    },
  );
}
