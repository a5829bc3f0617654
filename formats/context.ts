import type { Abi } from "../src/layout/index.js";
import type { Memory, PhysAddr } from "../src/memory/index.js";
import type { Code } from "../src/report/codes.js";
import { isKhoError, KhoError } from "../src/report/error.js";
import type { Consequence, Finding, Severity } from "../src/report/finding.js";
import { hex } from "../src/report/hex.js";
import type { Claims } from "./claims.js";
import type { Kernel } from "./kernels.js";

/** Bounds on the work that a handover can ask for. What runs into one ends in a finding, not in a crash. */
export interface Limits {
  /** Nodes of the radix tree, or chunks and bitmaps of the chunk list. Default 1,048,576: 32 TiB of order-0 pages. */
  readonly maxMapNodes: number;
  /**
   * Runs of adjacent preserved blocks, and of adjacent folios of all memfds together. Default 33,554,432. They are what the
   * memory of decoding follows: 17 bytes for each of the first and 27 for each of the second are kept.
   */
  readonly maxRuns: number;
  /** Sessions, and files of all sessions together. Default 700,000: more than any machine has. */
  readonly maxRecords: number;
  /** Entries of the folio lists of all memfds together. Default 2^29: 2 TiB of 4K folios. */
  readonly maxFolios: number;
  /** Places that structures take up: pages, and blocks of vmalloc areas. Default 4,194,304: 16 GiB of 4K pages. */
  readonly maxClaims: number;
  /** Tables of one IOMMU page table. Default 4,194,304: 8 TiB of 4K pages. */
  readonly maxTables: number;
  /** How often tables of one IOMMU page table may be reached again. Default 4,096; kernels never do that. */
  readonly maxSharedTables: number;
  /** Findings that are kept; the rest is counted only. Default 10,000. */
  readonly maxFindings: number;
}

export const defaultLimits: Limits = {
  maxMapNodes: 1 << 20,
  maxRuns: 1 << 25,
  maxRecords: 700_000,
  maxFolios: 2 ** 29,
  maxClaims: 1 << 22,
  maxTables: 1 << 22,
  maxSharedTables: 4096,
  maxFindings: 10_000,
};

/** Where and how a problem shows; what {@link Context.report} takes beside severity, code and sentence. */
export interface Place {
  readonly path: string;
  readonly pa?: bigint;
  readonly length?: number;
  readonly expected?: string;
  readonly actual?: string;
  readonly consequence?: Consequence | undefined;
}

/** Everything that belongs to one run of decoding. Formats get it and keep nothing else. */
export interface Context {
  readonly memory: Memory;
  readonly abi: Abi;
  /** The release whose reader judges; formats that are not its own are still read. */
  readonly kernel: Kernel;
  /** True if nothing but version strings tells the release, so that the kernel at hand may be between two of them. */
  readonly releaseOpen?: boolean;
  readonly limits: Limits;
  /** Which pages the structures occupy. */
  readonly claims: Claims;
  /** Reports a problem. In strict mode it throws where the kernel would stop. */
  report(severity: Severity, code: Code, message: string, place: Place): void;
  /** Told how far a long step has come; `total` is 0 where unknown. */
  progress?(phase: string, done: number, total: number): void;
}

/** Characters of one text in a finding. Names can be as long as a blob, and ten thousand findings can hold the same one. */
const maxText = 1000;
const cut = (text: string): string => (text.length > maxText ? `${text.slice(0, maxText)}...` : text);

/** Makes `report` of a {@link Context}: collects findings, and in strict mode throws what stops the named kernel. */
export function reporter(findings: Finding[], strict: boolean, maxFindings: number): Context["report"] {
  /** 1 once it was said that not all are listed. */
  let noted = 0;
  return (severity, code, sentence, { path, pa = 0n, length = 0, expected, actual, consequence }) => {
    const message = cut(sentence);
    const detail = {
      path: cut(path),
      pa,
      length,
      ...(expected !== undefined && { expected: cut(expected) }),
      ...(actual !== undefined && { actual: cut(actual) }),
      ...(consequence && { consequence }),
    };
    const stops = consequence?.all && consequence.outcome !== "misread";
    if (strict && stops) throw new KhoError(code, message, detail);
    // The last quarter is kept for what matters most.
    const room = severity === "error" ? maxFindings : Math.ceil(maxFindings * 0.75);
    if (findings.length - noted < room) findings.push({ severity, code, message, ...detail });
    else if (noted === 0) {
      noted = 1;
      findings.push({
        severity: "warning",
        code: "limit-exceeded",
        message: `more than ${room} findings; from here on not all are listed`,
        path: "",
        pa: 0n,
        length: 0,
      });
    }
  };
}

/** Reads memory; where it is absent reports that, with what the kernel would do, and returns undefined. */
export function readMemory(
  ctx: Pick<Context, "memory" | "report">,
  pa: PhysAddr,
  length: number,
  path: string,
  consequence?: Consequence,
): Uint8Array | undefined {
  try {
    return ctx.memory.read(pa, length);
  } catch (error) {
    if (!isKhoError(error, "memory-absent")) throw error;
    ctx.report("error", "memory-absent", `${path}: ${error.message}`, {
      path,
      pa: error.pa ?? pa,
      length,
      expected: `${length} bytes at ${hex(pa)}`,
      actual: "not captured",
      consequence,
    });
    return undefined;
  }
}
