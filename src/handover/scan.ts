import { defaultLimits, type Limits } from "../../formats/context.js";
import { FDT_MAGIC, nativeU64, property, readFdt } from "../../formats/fdt/index.js";
import {
  bootParamsSize,
  followSetupData,
  type HandoffRecord,
  handoffOfChosen,
  handoffOfNode,
  setupDataHead,
  x86Abi,
} from "../../formats/kho/handoff.js";
import {
  BOOT_PARAMS_MAGIC,
  bootParams,
  khoData,
  SETUP_KEXEC_KHO,
  setupData,
} from "../../formats/kho/layout.js";
import { knownVersion, PROP_PRESERVED_MEMORY_MAP, rootVersions } from "../../formats/kho/root.js";
import { littleWords, offsetOf, sizeOf } from "../layout/index.js";
import { type Memory, type PhysAddr, physAddr, storedBytes } from "../memory/index.js";
import { mergedRanges, rangesIn, wholePages } from "../memory/ranges.js";
import { isKhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import type { Candidate } from "./candidate.js";
import { rank } from "./rank.js";
import { headerSize, treeBytes } from "./tree-bytes.js";

/** Bytes read at once while scanning; a multiple of every page size. */
const stride = 1 << 20;
/** Candidates that are kept: hostile memory can look like a million roots. */
const maxCandidates = 1000;
const scanPage = 4096;
/** Largest tree that is looked at; a machine's own device tree is at most 2 MiB. */
const maxTree = 2 << 20;
/** Bytes of trees that are read beyond once the memory: every page can be the beginning of one of 2 MiB. */
const treeBudget = 64 << 20;
/** Trees that are remembered. */
const maxKnown = 1 << 20;
/** Characters of a verdict: names in a tree can be as long as the tree. */
const maxVerdict = 500;
const magicAt = offsetOf(bootParams, "header", x86Abi);

/** Everything in a memory that could be the beginning of a handover. */
export interface Scanned {
  /** Best first. */
  readonly candidates: readonly Candidate[];
  /** True if two different roots are equally good, so that taking the first is a guess. */
  readonly ambiguous: boolean;
}

/**
 * Looks at every page start of a memory for root trees, device trees with a hand-off in /chosen and x86 zero pages,
 * and in every page for x86 hand-off records. Reads everything once, in address order, and then what the roots lead to.
 */
export function scan(
  memory: Memory,
  progress?: (done: number, total: number) => void,
  limits: Limits = defaultLimits,
): Scanned {
  const found: Candidate[] = [];
  // Nothing is in pages of zeros alone, of which a capture can claim any amount. In other pages segments may end anywhere.
  const stored = rangesIn(
    mergedRanges(
      memory.ranges.filter(({ zeros }) => !zeros).map((range) => wholePages(range, BigInt(scanPage))),
    ),
    mergedRanges(memory.ranges),
  );
  const total = storedBytes({ ranges: stored });
  const judge = treeJudge(memory, treeBudget + total);
  let done = 0;
  for (const { pa, size } of stored)
    for (let at = 0n; at < size && found.length < maxCandidates; at += BigInt(stride)) {
      const length = Number(size - at < BigInt(stride) ? size - at : BigInt(stride));
      scanBytes(memory, readable(memory, physAddr(pa + at), length), physAddr(pa + at), found, judge);
      progress?.((done += length), total);
    }
  return rank(memory, limits, found);
}

type Judge = (pa: PhysAddr) => Candidate | undefined;

/** {@link judgeTree}, each address once and no more than `budget` bytes in all. */
function treeJudge(memory: Memory, budget: number): Judge {
  const known = new Map<PhysAddr, Candidate | undefined>();
  let left = budget;
  return (pa) => {
    if (known.has(pa)) return known.get(pa);
    if (left <= 0) return undefined;
    const candidate = judgeTree(memory, pa, (length) => {
      left -= length;
    });
    if (known.size < maxKnown) known.set(pa, candidate);
    return candidate;
  };
}

/** A file that ends early lacks the end of its last segment. */
function readable(memory: Memory, pa: PhysAddr, length: number): Uint8Array {
  try {
    return memory.read(pa, length);
  } catch (error) {
    if (!isKhoError(error, "memory-absent") || error.pa === undefined || error.pa <= pa)
      return new Uint8Array(0);
    return memory.read(pa, Number(error.pa - pa));
  }
}

function scanBytes(
  memory: Memory,
  bytes: Uint8Array,
  base: PhysAddr,
  found: Candidate[],
  judge: Judge,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const push = (candidate: Candidate | undefined): void => {
    if (candidate) found.push({ ...candidate, verdict: candidate.verdict.slice(0, maxVerdict) });
  };
  const firstPage = Number((BigInt(scanPage) - (base % BigInt(scanPage))) % BigInt(scanPage));
  for (let at = firstPage; at + headerSize <= bytes.length && found.length < maxCandidates; at += scanPage) {
    const pa = physAddr(base + BigInt(at));
    if (view.getUint32(at) === FDT_MAGIC) push(judge(pa));
    if (at + bootParamsSize > bytes.length || view.getUint32(at + magicAt, true) !== BOOT_PARAMS_MAGIC)
      continue;
    const head = setupDataHead(bytes.subarray(at, at + bootParamsSize));
    if (head !== undefined) push(judgeBootParams(memory, pa, head, judge));
  }
  // A record is 8-byte aligned: type and len follow each other, and no other type is followed by the same len. What is
  // before and behind the two can be in other pages.
  const typeAt = offsetOf(setupData, "type", x86Abi);
  const lenBehind = (offsetOf(setupData, "len", x86Abi) - typeAt) / 4;
  const payload = sizeOf(khoData, x86Abi);
  const firstWord = Number((8n - (base % 8n)) % 8n);
  const words = littleWords(bytes.subarray(firstWord));
  const end = words.length - lenBehind;
  for (let i = 0; i < end; i += 2) {
    if (words[i] !== SETUP_KEXEC_KHO || words[i + lenBehind] !== payload) continue;
    if (found.length >= maxCandidates) break;
    push(judgeRecord(memory, physAddr(base + BigInt(firstWord + i * 4 - typeAt)), judge));
  }
}

/** A root tree, or a device tree that leads to one; undefined for any other tree. `read` is told how long it is. */
export function judgeTree(
  memory: Memory,
  pa: PhysAddr,
  read?: (length: number) => void,
): Candidate | undefined {
  const bad = (verdict: string): Candidate => ({ pa, kind: "root", verdict, usable: false, score: 0 });
  try {
    const faults: string[] = [];
    const bytes = treeBytes(memory, pa, maxTree);
    read?.(bytes.length);
    const fdt = readFdt(bytes, {
      lenient: true,
      report: ({ message }) => faults.push(message),
      maxNodes: 100_000,
    });
    const versions = rootVersions(fdt);
    const record = handoffOfChosen(fdt);
    if (record) {
      const usable = memory.has(record.fdtPa, 4);
      const verdict = `a machine's device tree that hands off a root at ${hex(record.fdtPa)}${usable ? "" : ", which is not in the capture"}`;
      return { pa, kind: "device-tree", verdict, usable, record, score: 0 };
    }
    const version = versions.find((candidate) => candidate.startsWith("kho-v"));
    if (version === undefined) {
      const chosen = fdt.root.children.some((node) => node.name === "chosen");
      if (faults.length > 0 && versions.length === 0) return bad(`a damaged tree: ${faults[0]}`);
      return chosen
        ? { ...bad("a machine's device tree without a hand-off"), kind: "device-tree" }
        : undefined;
    }
    if (faults.length > 0) return { ...bad(`${version}, damaged: ${faults[0]}`), usable: true, score: 1 };
    const map = property(fdt.root, PROP_PRESERVED_MEMORY_MAP);
    const mapPa = map && nativeU64(map.value, x86Abi);
    const known = knownVersion(versions) !== undefined;
    const names = fdt.root.children.map((node) => node.name);
    if (!mapPa) return { ...bad(`${version}, without a memory map: not finalized`), usable: true, score: 2 };
    const mapThere = memory.has(physAddr(mapPa), 8);
    const blobs = fdt.root.children.filter((node) =>
      node.properties.some(({ value }) => {
        const address = nativeU64(value, x86Abi);
        return address !== undefined && address >= 4096n && memory.has(physAddr(address), 8);
      }),
    ).length;
    return {
      pa,
      kind: "root",
      verdict: `${version}${known ? "" : " (unknown version)"}, ${mapThere ? "memory map present" : "memory map not in the capture"}, subtrees: ${names.length > 0 ? names.join(", ") : "none"}`,
      usable: true,
      score: 10 + (mapThere ? 20 : 0) + blobs,
    };
  } catch (error) {
    if (isKhoError(error)) return bad(`not a tree that can be read: ${error.message}`);
    throw error;
  }
}

function judgeRecord(memory: Memory, pa: PhysAddr, judge: Judge): Candidate | undefined {
  const [node] = followSetupData(memory, pa, 1).nodes;
  const record = node && handoffOfNode(memory, node);
  // Chance finds: the tree is page aligned and exactly a page is handed off, whole areas of 16 bytes.
  if (!record || record.fdtPa % 4096n !== 0n || record.fdtPa === 0n || record.scratchSize % 16n !== 0n)
    return undefined;
  return judgedRecord(memory, pa, "setup_data", record, judge);
}

function judgeBootParams(memory: Memory, pa: PhysAddr, head: PhysAddr, judge: Judge): Candidate {
  const { nodes, ended } = followSetupData(memory, head);
  for (const node of nodes) {
    const record = handoffOfNode(memory, node);
    if (record) return judgedRecord(memory, pa, "boot_params", record, judge);
  }
  const verdict = `an x86 zero page, its setup_data list of ${nodes.length} nodes has no hand-off record${ended === "at-end" ? "" : ` (${ended === "cycle" ? "it runs in a circle" : "it leaves the capture"})`}`;
  return { pa, kind: "boot_params", verdict, usable: false, score: 0 };
}

function judgedRecord(
  memory: Memory,
  pa: PhysAddr,
  kind: Candidate["kind"],
  record: HandoffRecord,
  judge: Judge,
): Candidate {
  const there = memory.has(record.fdtPa, headerSize);
  const tree = there ? judge(record.fdtPa) : undefined;
  const usable = tree?.kind === "root" && tree.usable;
  const verdict = `${kind === "boot_params" ? "an x86 zero page that leads to a" : "a"} hand-off record for a root at ${hex(record.fdtPa)}${usable ? "" : there ? ", where there is no root" : ", which is not in the capture"}`;
  return { pa, kind, verdict, usable, record, score: tree?.score ?? 0 };
}
