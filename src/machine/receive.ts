/** What a kernel makes of the memory that it finds: its decoders, its consequences, and what it overwrites meanwhile. */
import type { Claim } from "../../formats/claims.js";
import { bootStops } from "../../formats/consequence.js";
import { isAtLeast, type Kernel } from "../../formats/kernels.js";
import { PROP_PRESERVED_MEMORY_MAP } from "../../formats/kho/root.js";
import { newRuns, type Runs } from "../../formats/kho/runs.js";
import { luoPath } from "../../formats/paths.js";
import { type Decoded, type DecodeOptions, decodeHandover, type Handover } from "../handover/index.js";
import type { Image } from "../image/image.js";
import { type Abi, pageShift } from "../layout/index.js";
import { type PhysAddr, pfnOf } from "../memory/index.js";
import { isKhoError } from "../report/error.js";
import type { Consequence, Finding } from "../report/finding.js";
import { banksOf, type Hardware } from "./firmware.js";
import { common, merged, type Stretch, stretchesOf, without } from "./kho/blocks.js";
import type { Ram } from "./ram.js";

/** Why a kernel did something: the fault that it ran into. */
export type Reason = Pick<
  Finding,
  "code" | "message" | "path" | "pa" | "expected" | "actual" | "consequence"
>;

/** What became of a handover at boot. */
export type Reception =
  /** Nothing was handed over, or it was ignored for a reason. */
  | { readonly kind: "cold"; readonly reason?: Reason; readonly findings: readonly Finding[] }
  /** The boot stopped. */
  | { readonly kind: "panic"; readonly reason: Reason; readonly findings: readonly Finding[] }
  | {
      readonly kind: "received";
      /** As the kernel reads it once everything that is not preserved was overwritten. */
      readonly handover: Handover;
      readonly structures: readonly Claim[];
      /** What is wrong with the bytes as they arrived. */
      readonly findings: readonly Finding[];
      /** What is wrong with what is left of them: faults of live update show here. */
      readonly later: readonly Finding[];
      /** Pages that stay as they are, ascending and merged. */
      readonly kept: readonly Stretch[];
    };

/** Where the hand-off is, and what the kernel that reads it is like. */
export interface Arrival {
  readonly ram: Ram;
  readonly hardware: Hardware;
  readonly kernel: Kernel;
  /** The setup_data node or the device tree that tells of the handover. */
  readonly handoff: PhysAddr;
}

/**
 * Receives what is in memory at the first instruction of the new kernel. Everything but preserved pages is poisoned:
 * early boot works in scratch alone and reads the memory map before anything is freed, but nothing else is safe.
 */
export function receive({ ram, hardware, kernel, handoff }: Arrival): Reception {
  const { pageSize } = hardware.abi;
  const image: Image = { kind: "raw", memory: ram, arch: hardware.arch, findings: [] };
  const read = (limits: DecodeOptions["limits"] = {}): Decoded =>
    decodeHandover(image, { handoff, release: kernel.release, pageSize, mode: "forensic", limits });
  let first: Decoded;
  try {
    first = read();
  } catch (error) {
    // Without a readable root there is nothing to go by, which is what kernels say, too.
    if (!isKhoError(error)) throw error;
    const { code, message, path = "", pa = 0n, consequence } = error;
    const reason: Reason = { code, message, path, pa, ...(consequence && { consequence }) };
    return { kind: "cold", reason, findings: [] };
  }
  const { findings } = first;
  const ignored = fatal(findings, "ignored", kernel);
  if (ignored) return { kind: "cold", reason: ignored, findings };

  const { preserved } = first.handover;
  const blocks = preserved ? stretchesOf(preserved.runs) : [];
  const banks = banksOf(hardware);
  const end = banks.at(-1)!.end;
  const stopped =
    fatal(findings, "panic", kernel) ??
    scratchLost(findings) ??
    ((blocks.at(-1)?.end ?? 0) > end && outsideRam(end, pageSize));
  if (stopped) return { kind: "panic", reason: stopped, findings };
  const kept = preserved ? stretchesOf(keptOf(preserved.runs, kernel, hardware.abi)) : [];

  const map = first.structures
    .filter(({ keeping }) => keeping === "not-preserved")
    .map(({ pa, pages }) => ({ start: pfnOf(pa, pageSize), end: pfnOf(pa, pageSize) + pages }));
  const touched = (pa: bigint, size: bigint): Stretch => ({
    start: Number(pa / BigInt(pageSize)),
    end: Number((pa + size - 1n) / BigInt(pageSize)) + 1,
  });
  // What the boot protocol itself brings is copied before anything is overwritten, too.
  const { scratchPa, scratchSize } = first.handover.handoff;
  const brought = [touched(handoff, 1n), touched(scratchPa, scratchSize > 0n ? scratchSize : 1n)];
  const needed = merged([...kept, ...map, ...brought]);
  for (const { start, end: until } of without(banks, needed)) ram.poison(start, until - start);
  let second: Decoded | undefined;
  try {
    // Nobody looks at lists of folios, which are long, before a file is retrieved.
    second = read({ maxFolios: 0 });
  } catch (error) {
    if (!isKhoError(error)) throw error;
  }
  for (const { start, end: until } of common(banks, without(merged(map), kept)))
    ram.poison(start, until - start);
  const later = second?.findings ?? [];
  const panic = fatal(later, "panic", kernel);
  if (panic) return { kind: "panic", reason: panic, findings };
  // The root tree itself is read again after everything else was overwritten.
  const lost = { subtrees: [], reserveMem: [] };
  const { luo: _luo, kexecMetadata: _metadata, khoTest: _test, ...bare } = first.handover;
  const handover: Handover =
    second?.handover.compatible === first.handover.compatible ? second.handover : { ...bare, ...lost };
  return {
    kind: "received",
    handover: preserved ? { ...handover, preserved } : handover,
    structures: (second ?? first).structures,
    findings,
    later,
    kept,
  };
}

/** Blocks that stay as they are: until 7.1 the size of one is worked out in 32 bits, and what comes out is useless. */
function keptOf(runs: Runs, kernel: Kernel, abi: Abi): Runs {
  if (isAtLeast(kernel, "7.2")) return runs;
  const kept = newRuns();
  for (let i = 0; i < runs.length; i++)
    if (runs.order[i]! + pageShift(abi) < 31) kept.push(runs.order[i]!, runs.pfn[i]!, runs.count[i]!);
  return kept.finish();
}

/** The first finding that decides over the whole boot. */
function fatal(
  findings: readonly Finding[],
  outcome: Consequence["outcome"],
  kernel: Kernel,
): Finding | undefined {
  return findings.find(
    ({ consequence, path }) =>
      consequence?.all &&
      consequence.outcome === outcome &&
      consequence.phase === "boot" &&
      // What a release has no code for, it does not look at.
      (kernel.luo !== undefined || !path.startsWith(luoPath)) &&
      // Without a usable map 6.16 to 6.18 keep nothing, and go on all the same.
      (isAtLeast(kernel, "6.19") || path !== PROP_PRESERVED_MEMORY_MAP),
  );
}

function outsideRam(end: number, pageSize: number): Reason {
  return {
    code: "bad-address",
    message: "a preserved block reaches beyond the end of RAM",
    path: "preserved",
    pa: BigInt(end) * BigInt(pageSize),
    consequence: bootStops("unhandled fault while the map is read"),
  };
}

/** Where there is no memory there are ones, or zeros, and neither is an area. A decoder of a capture cannot tell. */
function scratchLost(findings: readonly Finding[]): Reason | undefined {
  const found = findings.find(({ code, path }) => code === "memory-absent" && path === "scratch");
  return found && { ...found, consequence: bootStops("the first early allocation finds no memory") };
}
