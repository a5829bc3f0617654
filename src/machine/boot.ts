/** Boots one kernel on a machine's memory: cold, or with what the kernel before it left. */
import { isAtLeast, type Kernel, kernelOf } from "../../formats/kernels.js";
import { KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import { encodeKexecMetadata, kexecMetadataSize } from "../../formats/kho/metadata-encode.js";
import { newRuns } from "../../formats/kho/runs.js";
import { encodeReserveMem } from "../../formats/memblock/encode.js";
import { MEMBLOCK_KHO_FDT } from "../../formats/memblock/memblock.js";
import type { Target } from "../../formats/target.js";
import { type MemoryRange, type PhysAddr, pfnOf } from "../memory/index.js";
import type { Finding } from "../report/finding.js";
import { allocateZeroed } from "./allocate.js";
import { errnoOf } from "./errno.js";
import type { Faults } from "./faults.js";
import type { Hardware } from "./firmware.js";
import { incomingLuo, incomingMetadata, incomingRegions, incomingSubtrees } from "./incoming.js";
import { type KernelCore, pageOf, paOf } from "./kernel.js";
import { common, type Stretch } from "./kho/blocks.js";
import { type KhoState, newKho } from "./kho/kho.js";
import { newReceived } from "./kho/received.js";
import { type Luo, newLuo } from "./luo/luo.js";
import { newPageAllocator, type PageAllocator } from "./pages.js";
import type { Ram } from "./ram.js";
import { type Reason, type Reception, receive } from "./receive.js";
import { type ReservedRegion, type ReserveMemOption, reserveRegions } from "./reserve-mem.js";
import { defaultScratch, placeScratch, type ScratchSizes } from "./scratch.js";

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
  readonly log: readonly string[];
  /** Absent after a panic. */
  readonly running?: Running;
}

/** Where a cold kernel lies: 16 MiB into memory. */
const kernelImage = { offset: 2 ** 24, size: 2 ** 24 };
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
  const khoOn = options.kho ?? true;
  const log: string[] = [];
  const reception: Reception =
    handoff === undefined || !khoOn
      ? { kind: "cold", findings: [] }
      : receive({ ram, hardware, kernel, handoff });
  const { findings } = reception;
  if (reception.kind === "panic")
    return {
      outcome: { kind: "panic", reason: reception.reason },
      findings,
      log: [...log, reception.reason.message],
    };
  const received = reception.kind === "received" ? reception : undefined;
  log.push(received ? "KHO: found kexec handover data" : "KHO: cold boot");
  if (!received && used) for (const { start, end } of banksOf(hardware)) ram.poison(start, end - start);
  const running = up(hardware, ram, kernel, options, received, (line) => log.push(line));
  const reason = reception.kind === "cold" ? reception.reason : undefined;
  const outcome: Outcome = received
    ? { kind: "received" }
    : reason
      ? { kind: "ignored", reason }
      : { kind: "cold" };
  return { outcome, findings, log, running };
}

/** Banks as stretches of pages. */
const banksOf = ({ banks, abi }: Hardware): (Stretch & { readonly node: number })[] =>
  banks.map(({ pa, size, node }) => ({
    start: pfnOf(pa, abi.pageSize),
    end: Number((pa + size) / BigInt(abi.pageSize)),
    node,
  }));

function up(
  hardware: Hardware,
  ram: Ram,
  kernel: Kernel,
  options: KernelOptions,
  received: Extract<Reception, { kind: "received" }> | undefined,
  log: (line: string) => void,
): Running {
  const { abi } = hardware;
  const khoOn = options.kho ?? true;
  const faults = options.faults ?? {};
  const banks = banksOf(hardware);
  const pages = newPageAllocator({
    ranges: banks.map(({ start, end, node }) => ({ pfn: start, pages: end - start, node })),
    pageSize: abi.pageSize,
  });
  const blockSize = 2 ** pages.largestOrder * abi.pageSize;
  if (hardware.arch === "x86_64") holdFree(pages, [{ start: 0, end: lowReserve / abi.pageSize }], "firmware");

  const end = banks.at(-1)!.end;
  // Early boot allocates from the end of memory down: what is there behind the last largest block stays with it.
  const earlyBoot = { start: end - (end % 2 ** pages.largestOrder), end };
  let scratch: readonly MemoryRange[] = [];
  const holdScratch = (): void => {
    for (const area of scratch) holdFree(pages, [stretchOf(area, abi.pageSize)], "scratch");
  };
  const reserved = options.reserveMem ?? [];
  let regions: ReservedRegion[];
  if (received) {
    scratch = received.handover.scratch;
    holdScratch();
    holdFree(pages, received.kept, "received");
    holdFree(pages, [earlyBoot], "kernel");
    regions = reserveRegions(reserved, { abi, pages, handed: incomingRegions(received), scratch, log });
  } else {
    holdFree(pages, [earlyBoot], "kernel");
    const first = Number(hardware.banks[0]!.pa);
    const image = { start: first + kernelImage.offset, end: first + kernelImage.offset + kernelImage.size };
    holdFree(pages, [{ start: image.start / abi.pageSize, end: image.end / abi.pageSize }], "kernel");
    regions = reserveRegions(reserved, { abi, pages, handed: new Map(), scratch: undefined, log });
    if (khoOn) {
      const occupied = pages
        .holdings()
        .map(({ pfn, pages: count }) => ({ start: pfn * abi.pageSize, end: (pfn + count) * abi.pageSize }));
      scratch = placeScratch(hardware, { ...defaultScratch, ...options.scratch }, blockSize, occupied);
      holdScratch();
    }
  }

  const kho = newKho({
    ram,
    pages,
    faults,
    kernel,
    abi,
    enabled: khoOn,
    log,
    ...(received && {
      received: newReceived(received.handover.preserved?.runs ?? newRuns().finish(), kernel, pages),
      incoming: incomingSubtrees(received),
    }),
  });
  const core: KernelCore = { release: options.release, kernel, abi, ram, pages, kho, faults, log };
  if (kernel.metadata !== undefined && khoOn)
    writeMetadata(core, (received && incomingMetadata(received)?.kexecCount) ?? 0);
  const luo = kernel.luo
    ? newLuo(core, {
        enabled: khoOn && (options.liveupdate ?? true),
        ...(received && incomingLuo(received) && { incoming: incomingLuo(received)! }),
      })
    : undefined;
  if (khoOn) handOnRegions(core, regions);
  return { core, kho, luo, scratch, regions };
}

const stretchOf = ({ pa, size }: MemoryRange, pageSize: number): Stretch => ({
  start: pfnOf(pa, pageSize),
  end: Number((pa + size) / BigInt(pageSize)),
});

/** Holds what of these stretches is free: they may reach outside of RAM, or into what is held already. */
function holdFree(pages: PageAllocator, stretches: readonly Stretch[], owner: string): void {
  const free = pages.vacancies().map(({ pfn, pages: count }) => ({ start: pfn as number, end: pfn + count }));
  for (const { start, end } of common(free, stretches)) pages.reserve(start, end - start, owner);
}

const targetOf = ({ kernel, abi, ram }: KernelCore): Target => ({
  kernel,
  abi,
  write: (pa, bytes) => ram.write(pa, bytes),
  leave: () => {},
});

/** Says who this kernel is, and how many kexecs there will have been. include/linux/kho/abi/kexec_metadata.h, since 7.1. */
function writeMetadata(core: KernelCore, before: number): void {
  const { kho, abi, kernel, release } = core;
  const size = kexecMetadataSize(abi);
  const pa = kho.allocPreserve(size, KHO_METADATA_NODE_NAME);
  encodeKexecMetadata(targetOf(core), pa, {
    version: kernel.metadata!,
    previousRelease: release,
    kexecCount: before + 1,
  });
  kho.addSubtree(KHO_METADATA_NODE_NAME, pa, size);
}

/** Preserves the regions and hands on where they are; 6.16 to 6.18 do so while they finalize. */
function handOnRegions(core: KernelCore, regions: readonly ReservedRegion[]): void {
  if (regions.length === 0) return;
  const { kho, abi, kernel, log } = core;
  const pfn = allocateZeroed(core, 0, "memblock fdt");
  const pa = paOf(pfn, abi);
  const size = encodeReserveMem(targetOf(core), pa, regions);
  const preserve = (): void => {
    kho.preserveFolio(pfn, 0);
    for (const { start, size: length } of regions)
      kho.preservePages(pageOf(start, abi), Number(length / BigInt(abi.pageSize)));
    kho.addSubtree(MEMBLOCK_KHO_FDT, pa, size);
  };
  if (!isAtLeast(kernel, "6.19")) {
    kho.onFinalize(preserve);
    return;
  }
  try {
    preserve();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    log(`memblock: failed to prepare the memblock tree: ${errno}`);
    core.pages.free(pfn, 0);
  }
}
