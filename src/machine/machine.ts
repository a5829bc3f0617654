import type { Kernel } from "../../formats/kernels.js";
import { kernelOf } from "../../formats/kernels.js";
import type { MemoryRange, PhysAddr } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import type { Finding } from "../report/finding.js";
import { type Booted, bootKernel, type KernelOptions, type Outcome, type Running } from "./boot.js";
import { refusal } from "./errno.js";
import { copyHardware, type Hardware, newHardware } from "./firmware.js";
import type { Device } from "./iommu/device.js";
import { newDevices } from "./iommu/devices.js";
import { type IommuHardwareOptions, mustHaveIommu, newIommuHardware } from "./iommu/hardware.js";
import type { Iommu, IommuKernelOptions } from "./iommu/iommu.js";
import { setUpIommu } from "./iommu/set-up.js";
import type { FileHandler, Flb, KernelCore } from "./kernel.js";
import { type Departure, depart } from "./kexec.js";
import type { Kho } from "./kho/types.js";
import type { LiveUpdateDevice } from "./luo/client.js";
import type { Luo } from "./luo/luo.js";
import { memfdHandler } from "./memfd/handler.js";
import { type MemfdFile, type MemfdOptions, newMemfd } from "./memfd/inode.js";
import { newProcess, type Process, type ProcessOptions } from "./process.js";
import { newRam, type Ram } from "./ram.js";
import type { ReservedRegion } from "./reserve-mem.js";

/** What a machine is made of, and its first kernel. */
export interface MachineOptions extends KernelOptions {
  /** Bytes of RAM; unless given 256 MiB with 4K pages, 1 GiB with 16K and 4 GiB with 64K pages. */
  readonly memory?: number | bigint;
  /** NUMA nodes that share it evenly; 1 unless given. */
  readonly nodes?: number;
  /** Bytes: 4096, a PC, unless given; 16384 or 65536 make it an arm64 machine. */
  readonly pageSize?: number;
  /** Its IOMMU, and what the first kernel makes of it; without one there is none. */
  readonly iommu?: IommuHardwareOptions & IommuKernelOptions;
}

/** The next kernel, and what happens to memory on the way. */
export interface KexecOptions extends KernelOptions {
  /** Called with the memory at the first instruction of the next kernel: to flip bits, to lose pages. */
  readonly tamper?: (departure: Departure) => void;
}

/**
 * A simulated machine with one kernel that is up, or that failed to come up. Everything that is handed over lies as
 * bytes in its memory, and the kernel after it sees nothing else.
 */
export interface Machine {
  readonly hardware: Hardware;
  /** As it was asked for, `7.3.4`. */
  readonly release: string;
  readonly kernel: Kernel;
  readonly outcome: Outcome;
  /** What the decoder has to say of the handover that arrived. */
  readonly findings: readonly Finding[];
  /** What the kernel logged. */
  readonly log: readonly string[];
  /** Memory as it was at this kernel's first instruction; absent for the first kernel. */
  readonly arrival?: Departure;
  /**
   * The running kernel's inside, for code that plays a part of it.
   * @throws KhoError `machine-misuse` after a panic, and once the machine has jumped
   */
  readonly core: KernelCore;
  readonly memory: Ram;
  readonly kho: Kho;
  /** @throws KhoError `refused` with EOPNOTSUPP where the release has no live update */
  readonly luo: Luo;
  /** Low memory, global, then one area per node; empty with KHO off. */
  readonly scratch: readonly MemoryRange[];
  /** `reserve_mem=` regions of this boot. */
  readonly regions: readonly ReservedRegion[];
  /**
   * The IOMMU as the kernel has set it up.
   * @throws KhoError `machine-misuse` if the machine has none; `refused` with ENODEV if there was no memory for its tables
   */
  readonly iommu: Iommu;
  /**
   * A device behind the IOMMU, the same one every time: it goes on while kernels come and go.
   * @param name a PCI address: `00:05.0`
   * @throws KhoError `machine-misuse` if the machine does not have it, and once it has jumped
   */
  device(name: string): Device;
  /** Its first process, which {@link liveupdate} and {@link memfd} use. */
  readonly init: Process;
  /** /dev/liveupdate as the first process has opened it; opened when it is asked for. */
  readonly liveupdate: LiveUpdateDevice;
  /** Starts another process. */
  process(options?: Pick<ProcessOptions, "descriptors">): Process;
  /** Makes a memfd and gives `owner`, the first process unless named, a descriptor of it. */
  memfd(options?: MemfdOptions, owner?: Process): MemfdFile;
  registerFileHandler(handler: FileHandler): void;
  /** Makes an FLB part of the life of the files of a handler: the release's own for memfds unless another is named. */
  registerFlb(flb: Flb, handler?: FileHandler): void;
  /** Loads a kexec image: 6.16 to 6.18 put a hand-off into it only if the handover is finalized by then. */
  load(): void;
  /**
   * `reboot(KEXEC)` up to the jump, and what is in memory then. An image is loaded if none is.
   * @throws KhoError `refused` if the kernel goes on instead: with the errno of a freeze, or EAGAIN
   */
  leave(): Departure;
  /** Jumps into another kernel: {@link leave}, then {@link arrive}. */
  kexec(next: KexecOptions): Machine;
}

const MiB = 2 ** 20;
const defaultMemory: Readonly<Record<number, number>> = {
  4096: 256 * MiB,
  16384: 1024 * MiB,
  65536: 4096 * MiB,
};

/**
 * Switches a machine on.
 * @throws KhoError `unknown-release`; `usage` for a machine that cannot be
 */
export function boot(options: MachineOptions): Machine {
  const pageSize = options.pageSize ?? 4096;
  const memory = options.memory ?? defaultMemory[pageSize] ?? 0;
  if (typeof memory === "number" && !Number.isSafeInteger(memory))
    throw new KhoError("usage", `${memory} is no number of bytes; a bigint can be larger`);
  const hardware = {
    ...newHardware(BigInt(memory), options.nodes ?? 1, pageSize),
    ...(options.iommu && { iommu: newIommuHardware(options.iommu, pageSize) }),
  };
  const ram = newRam({ ranges: hardware.banks, pageSize });
  return machineOf(hardware, ram, options);
}

/**
 * Boots a kernel on what another one left. The departure itself is not changed, so that several kernels can be tried.
 * Scratch areas are those of the machine; `scratch` counts where nothing is taken over.
 */
export function arrive(departure: Departure, options: KexecOptions): Machine {
  const { tamper, ...kernel } = options;
  const arrival = {
    ...departure,
    hardware: copyHardware(departure.hardware),
    memory: departure.memory.snapshot(),
  };
  tamper?.(arrival);
  return machineOf(copyHardware(arrival.hardware), arrival.memory.snapshot(), kernel, arrival);
}

/** The machine: `Machine.boot({ release: "7.3" })`. */
export const Machine = { boot, arrive } as const;

function machineOf(hardware: Hardware, ram: Ram, options: KernelOptions, arrival?: Departure): Machine {
  const { release } = options;
  const kernel = kernelOf(release);
  const booted: Booted = bootKernel(hardware, ram, options, arrival?.bootData, arrival !== undefined);
  const { log } = booted;
  const memfds = kernel.memfd ? memfdHandler(kernel.memfd) : undefined;
  if (booted.running?.luo?.enabled && memfds) booted.running.luo.registerHandler(memfds);
  const setUp = setUpIommu(booted, hardware, options.iommu, () => machine.init);
  const { running: inUse, outcome, findings, iommu } = setUp;
  let gone = false;
  const up = (): Running => {
    if (!inUse) throw new KhoError("machine-misuse", `Linux ${release} is not running`);
    if (gone) throw new KhoError("machine-misuse", `Linux ${release} has jumped into another kernel`);
    return inUse;
  };
  const devices = newDevices(ram, hardware, setUp, arrival, () => {
    if (gone) up();
  });
  const luo = (): Luo => {
    const running = up();
    if (!running.luo) throw refusal("EOPNOTSUPP", `Linux ${release} has no live update`);
    return running.luo;
  };

  let init: Process | undefined;
  let device: LiveUpdateDevice | undefined;
  /** What the loaded image says of the root tree; absent while none is loaded. */
  let loaded: { readonly root: PhysAddr | undefined } | undefined;
  const processOf = (more: Pick<ProcessOptions, "descriptors"> = {}): Process =>
    newProcess({ luo: up().luo, abi: hardware.abi, ...more });
  const machine: Machine = {
    hardware,
    release,
    kernel,
    outcome,
    findings,
    log,
    ...(arrival && { arrival }),
    get core() {
      return up().core;
    },
    memory: ram,
    get kho() {
      return up().kho;
    },
    get luo() {
      return luo();
    },
    scratch: inUse?.scratch ?? [],
    regions: inUse?.regions ?? [],
    get iommu() {
      up();
      mustHaveIommu(hardware);
      if (!iommu) throw refusal("ENODEV", "the kernel could not set the IOMMU up");
      return iommu;
    },
    device: (name) => devices(name),
    get init() {
      return (init ??= processOf());
    },
    get liveupdate() {
      return (device ??= machine.init.openLiveUpdate());
    },
    process: processOf,
    memfd(memfd = {}, owner = machine.init) {
      const file = newMemfd(up().core, memfd);
      owner.install(file);
      return file;
    },
    registerFileHandler: (handler) => luo().registerHandler(handler),
    registerFlb(flb, handler) {
      const of = handler ?? memfds;
      if (!of) throw refusal("EINVAL", "there is no handler to register it with");
      luo().registerFlb(of, flb);
    },
    load() {
      loaded = { root: up().kho.handoffRoot() };
    },
    leave() {
      const running = up();
      if (!loaded) machine.load();
      running.luo?.serialize();
      iommu?.shutDown();
      const departure = depart(running, hardware, loaded!.root);
      gone = true;
      return departure;
    },
    kexec: (next) => arrive(machine.leave(), next),
  };
  return machine;
}
