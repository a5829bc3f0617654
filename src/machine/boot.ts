/** Boots one kernel on a machine's memory: cold, or with what the kernel before it left. */
import { isAtLeast, type Kernel, kernelOf } from "../../formats/kernels.js";
import { KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import { encodeKexecMetadata, kexecMetadataSize } from "../../formats/kho/metadata-encode.js";
import { newRuns } from "../../formats/kho/runs.js";
import { LUO_KHO_ENTRY_NAME } from "../../formats/luo/luo.js";
import { encodeReserveMem } from "../../formats/memblock/encode.js";
import { MEMBLOCK_KHO_FDT } from "../../formats/memblock/memblock.js";
import type { MemoryRange, PhysAddr } from "../memory/index.js";
import type { Code } from "../report/codes.js";
import type { Finding } from "../report/finding.js";
import { allocateZeroed } from "./allocate.js";
import { errnoOf } from "./errno.js";
import type { Faults } from "./faults.js";
import { areasInRam, banksOf, type Hardware } from "./firmware.js";
import { incomingLuo, incomingMetadata, incomingRegions, incomingSubtrees } from "./incoming.js";
import type { IommuKernelOptions } from "./iommu/iommu.js";
import { type KernelCore, pageOf, paOf } from "./kernel.js";
import { common, merged, type Stretch } from "./kho/blocks.js";
import { type KhoState, newKho } from "./kho/kho.js";
import { newReceived } from "./kho/received.js";
import type { Kho } from "./kho/types.js";
import { type Luo, newLuo } from "./luo/luo.js";
import { newPageAllocator, type PageAllocator } from "./pages.js";
import type { Ram } from "./ram.js";
import { type Reason, type Reception, receive } from "./receive.js";
import { type ReservedRegion, type ReserveMemOption, reserveRegions } from "./reserve-mem.js";
import { defaultScratch, placeScratch, type ScratchSizes } from "./scratch.js";
import { targetOf } from "./target.js";

/** What a kernel is booted with: its version and what its command line would say. */
export interface KernelOptions {
  /** `7.3`, `6.17.8`, or a whole `uname -r`. */
  readonly release: string;
  /** `kho=on`; true unless given. */
  readonly kho?: boolean;
  /** `liveupdate=on`; true unless given, where the release has it. */
  readonly liveupdate?: boolean;
  /** `reserve_mem=` */
  readonly reserveMem?: readonly ReserveMemOption[];
  /** What this kernel makes of an IOMMU, on a machine that has one. */
  readonly iommu?: IommuKernelOptions;
  /** `kho_scratch=`, of a cold boot: with a handover the areas are those of the predecessor. */
  readonly scratch?: Partial<ScratchSizes>;
  /** Where this kernel is to go wrong. */
  readonly faults?: Faults;
}

/** How a boot went. */
export type Outcome =
  /** Without anything to receive. */
  | { readonly kind: "cold" }
  /** As if cold: what was there was not taken. */
  | { readonly kind: "ignored"; readonly reason: Reason }
  /** The boot stopped. */
  | { readonly kind: "panic"; readonly reason: Reason }
  /** With a handover. */
  | { readonly kind: "received" };

/** A kernel that is up. */
export interface Running {
  readonly core: KernelCore;
  readonly kho: KhoState;
  /** Absent where the release has no live update. */
  readonly luo: Luo | undefined;
  readonly scratch: readonly MemoryRange[];
  readonly regions: readonly ReservedRegion[];
}

/** A boot and what came of it. */
export interface Booted {
  readonly outcome: Outcome;
  /** What is wrong with the handover as it arrived, by the decoder; empty for a cold boot. */
  readonly findings: readonly Finding[];
  readonly log: string[];
  /** Absent after a panic. */
  readonly running?: Running;
}

type Received = Extract<Reception, { kind: "received" }>;

/** Faults of the hand-off for which it is ignored. */
const unmappable: ReadonlySet<Code> = new Set(["handoff-malformed", "scratch-malformed"]);
/** Where a cold kernel lies: 16 MiB into memory. */
const kernelImage = { offset: 2 ** 24, size: 2 ** 24 };
/** Longest `uname -r`. */
const longestRelease = 64;
/** x86 kernels keep all memory below 1 MiB to themselves, whatever firmware says of it. */
const lowReserve = 2 ** 20;

/**
 * Boots a kernel. `handoff` is what the machine's boot protocol says of a handover, if it says anything; `used` tells
 * that another kernel ran in this memory before.
 * @throws KhoError `unknown-release`; `usage` for what there is no room for
 */
export function bootKernel(
  hardware: Hardware,
  ram: Ram,
  options: KernelOptions,
  handoff: PhysAddr | undefined,
  used: boolean,
): Booted {
  const kernel = kernelOf(options.release);
  const log: string[] = [];
  const reception: Reception =
    handoff === undefined || !(options.kho ?? true)
      ? { kind: "cold", findings: [] }
      : receive({ ram, hardware, kernel, handoff });
  const { findings } = reception;
  const reason = reception.kind === "received" ? undefined : reception.reason;
  // What is said to have no bytes cannot be mapped, which the kernel takes for a mistake of its own.
  if (reason && unmappable.has(reason.code)) log.push(`WARNING: early_ioremap: ${reason.message}`);
  if (reason) log.push(`KHO: ${reason.message}`);
  if (reception.kind === "panic")
    return { outcome: { kind: "panic", reason: reception.reason }, findings, log };
  const received = reception.kind === "received" ? reception : undefined;
  log.push(received ? "KHO: found kexec handover data" : "KHO: cold boot");
  if (!received && used) for (const { start, end } of banksOf(hardware)) ram.poison(start, end - start);
  const running = up(hardware, ram, kernel, options, received, (line) => log.push(line));
  const outcome: Outcome = received
    ? { kind: "received" }
    : reason
      ? { kind: "ignored", reason }
      : { kind: "cold" };
  return { outcome, findings, log, running };
}

function up(
  hardware: Hardware,
  ram: Ram,
  kernel: Kernel,
  options: KernelOptions,
  received: Received | undefined,
  log: (line: string) => void,
): Running {
  const { abi } = hardware;
  const khoOn = options.kho ?? true;
  const banks = banksOf(hardware);
  const pages = newPageAllocator({
    ranges: banks.map(({ start, end, node }) => ({ pfn: start, pages: end - start, node })),
    pageSize: abi.pageSize,
  });
  if (hardware.arch === "x86_64") holdFree(pages, [{ start: 0, end: lowReserve / abi.pageSize }], "firmware");

  const { scratch, regions } = received
    ? takeOver(hardware, pages, options, received, log)
    : layOut(hardware, pages, options, log);
  const kho = newKho({
    ram,
    pages,
    faults: options.faults ?? {},
    kernel,
    abi,
    enabled: khoOn,
    log,
    ...(received && {
      received: newReceived(received.handover.preserved?.runs ?? newRuns().finish(), kernel, pages),
      incoming: incomingSubtrees(received),
    }),
    setUp(kho) {
      if (kernel.metadata === undefined) return;
      const before = received && incomingMetadata(received);
      if (before) log(`KHO: exec from: ${before.previousRelease} (count ${before.kexecCount})`);
      writeMetadata({ ram, abi, kernel }, kho, options.release, before?.kexecCount ?? 0);
    },
  });
  // A kernel that cannot set KHO up does without, and has the memory for itself.
  if (khoOn && !kho.enabled)
    for (const { start, end } of areasInRam(scratch, hardware)) releaseOwned(pages, start, end, "scratch");
  const core: KernelCore = {
    release: options.release,
    kernel,
    abi,
    ram,
    pages,
    kho,
    faults: options.faults ?? {},
    log,
  };
  const incoming = received && incomingLuo(received);
  if (incoming && isAtLeast(kernel, "7.2")) freeLuoRoot(core);
  const luo = kernel.luo
    ? newLuo(core, { enabled: options.liveupdate ?? true, ...(incoming && { incoming }) })
    : undefined;
  if (kho.enabled) handOnRegions(core, regions);
  return { core, kho, luo, scratch: kho.enabled ? scratch : [], regions };
}

/** What early boot decides over: which areas are scratch, and where the regions are. */
type Layout = Pick<Running, "scratch" | "regions">;

/** Early boot on a handover: it has scratch alone until it knows what is preserved. */
function takeOver(
  hardware: Hardware,
  pages: PageAllocator,
  { reserveMem = [] }: KernelOptions,
  received: Received,
  log: (line: string) => void,
): Layout {
  const { scratch } = received.handover;
  const areas = areasInRam(scratch, hardware);
  holdFree(pages, areas, "scratch");
  holdFree(pages, received.kept, "received");
  holdFree(pages, [earlyBoot(hardware, pages)], "kernel");
  const handed = incomingRegions(received);
  const regions = reserveRegions(reserveMem, { abi: hardware.abi, pages, handed, scratch: areas, log });
  return { scratch, regions };
}

/** Early boot in empty memory. */
function layOut(
  hardware: Hardware,
  pages: PageAllocator,
  options: KernelOptions,
  log: (line: string) => void,
): Layout {
  const { abi } = hardware;
  const { pageSize } = abi;
  const image = Number(hardware.banks[0]!.pa) + kernelImage.offset;
  holdFree(pages, [earlyBoot(hardware, pages)], "kernel");
  holdFree(pages, [{ start: image / pageSize, end: (image + kernelImage.size) / pageSize }], "kernel");
  const { reserveMem = [] } = options;
  const regions = reserveRegions(reserveMem, { abi, pages, handed: new Map(), scratch: undefined, log });
  if (!(options.kho ?? true)) return { scratch: [], regions };
  const occupied = pages
    .holdings()
    .map(({ pfn, pages: count }) => ({ start: pfn * pageSize, end: (pfn + count) * pageSize }));
  const sizes = { ...defaultScratch, ...options.scratch };
  const scratch = placeScratch(hardware, sizes, 2 ** pages.largestOrder * pageSize, occupied);
  holdFree(pages, areasInRam(scratch, hardware), "scratch");
  return { scratch, regions };
}

/** Early boot allocates from the end of memory down: what is there behind the last largest block stays with it. */
function earlyBoot(hardware: Hardware, { largestOrder }: PageAllocator): Stretch {
  const { end } = banksOf(hardware).at(-1)!;
  return { start: end - (end % 2 ** largestOrder), end };
}

/** Holds what of these stretches is free: they may reach outside of RAM, or into what is held already. */
function holdFree(pages: PageAllocator, stretches: readonly Stretch[], owner: string): void {
  const free = pages.vacancies().map(({ pfn, pages: count }) => ({ start: pfn as number, end: pfn + count }));
  for (const { start, end } of common(free, merged(stretches))) pages.reserve(start, end - start, owner);
}

/** Gives back what `owner` still has of a stretch. */
function releaseOwned(pages: PageAllocator, start: number, end: number, owner: string): void {
  const held = pages.holdings().filter((holding) => holding.owner === owner);
  const owned = held.map(({ pfn, pages: count }) => ({ start: pfn as number, end: pfn + count }));
  for (const part of common(owned, [{ start, end }])) pages.release(part.start, part.end - part.start);
}

/** Since 7.2 the structure that the predecessor's live-update state begins with is read once, and its page given back. */
function freeLuoRoot({ kho, pages, abi }: KernelCore): void {
  const pfn = pageOf(kho.retrieveSubtree(LUO_KHO_ENTRY_NAME).pa, abi);
  const order = kho.restoreFolio(pfn, "received luo");
  if (order >= 0) pages.free(pfn, order);
}

/** Says who this kernel is, and how many kexecs there will have been. include/linux/kho/abi/kexec_metadata.h, since 7.1. */
function writeMetadata(
  core: Pick<KernelCore, "kernel" | "abi" | "ram">,
  kho: Kho,
  release: string,
  before: number,
): void {
  const { kernel, abi } = core;
  const size = kexecMetadataSize(abi);
  const pa = kho.allocPreserve(size, KHO_METADATA_NODE_NAME);
  encodeKexecMetadata(targetOf(core), pa, {
    version: kernel.metadata!,
    previousRelease: release.slice(0, longestRelease),
    kexecCount: (before + 1) % 2 ** 32,
  });
  try {
    kho.addSubtree(KHO_METADATA_NODE_NAME, pa, size);
  } catch (error) {
    kho.unpreserveFree(pa, size);
    throw error;
  }
}

/** Preserves the regions and hands on where they are; 6.16 to 6.18 do so while they finalize. */
function handOnRegions(core: KernelCore, regions: readonly ReservedRegion[]): void {
  if (regions.length === 0) return;
  const { kho, abi, kernel, pages, log } = core;
  const undo: (() => void)[] = [];
  try {
    const pfn = allocateZeroed(core, 0, "memblock fdt");
    undo.push(() => pages.free(pfn, 0));
    const pa = paOf(pfn, abi);
    const size = encodeReserveMem(targetOf(core), pa, regions);
    if (!isAtLeast(kernel, "6.19")) {
      kho.onFinalize(() => {
        kho.preserveFolio(pfn, 0);
        for (const region of regions) preserveRegion(core, region);
        kho.addSubtree(MEMBLOCK_KHO_FDT, pa, size);
      });
      return;
    }
    kho.preserveFolio(pfn, 0);
    undo.push(() => kho.unpreserveFolio(pfn, 0));
    for (const region of regions) preserveRegion(core, region);
    kho.addSubtree(MEMBLOCK_KHO_FDT, pa, size);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    // Regions stay preserved, without anybody who could find them.
    for (const step of undo.reverse()) step();
    log(`memblock: failed to prepare the memblock tree: ${errno}`);
  }
}

const preserveRegion = ({ kho, abi }: KernelCore, { start, size }: ReservedRegion): void =>
  kho.preservePages(pageOf(start, abi), Number(size / BigInt(abi.pageSize)));
