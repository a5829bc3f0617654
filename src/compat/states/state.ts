import { type Kernel, kernelOf } from "../../../formats/kernels.js";
import type { Abi } from "../../layout/index.js";
import { type Hardware, newHardware } from "../../machine/firmware.js";
import { type Departure, Machine, type ReserveMemOption } from "../../machine/index.js";
import { newRam } from "../../machine/ram.js";
import { physAddr } from "../../memory/index.js";
import { preserve, type SessionPlan } from "../plan.js";

/** Something that one kernel can hand to the next, to see what others make of it. */
export interface State {
  readonly name: string;
  /** What it is, in a sentence. */
  readonly summary: string;
  /** Why a kernel cannot have it, as what is said of it: `has no live update`; undefined if it can. */
  lacks?(kernel: Kernel, abi: Abi): string | undefined;
  /** Live update is on where the release has it; without it nothing of it is handed over. */
  readonly liveupdate: boolean;
  readonly reserveMem?: (abi: Abi) => readonly ReserveMemOption[];
  /** Bytes of RAM; what a machine of that page size usually has unless given. */
  readonly memory?: (abi: Abi) => number;
  /** Jumps that the handover has behind it when it is looked at; 1 unless given. */
  readonly kexecs?: number;
  /** What kernel code does. */
  readonly prepare?: (machine: Machine) => void;
  /** What a program does. */
  readonly sessions?: (kernel: Kernel, abi: Abi) => readonly SessionPlan[];
}

/** The pages of two machines that are the same one: bytes of the kernel that leaves, and of the one that arrives. */
export interface PageSizes {
  readonly from: number;
  readonly to: number;
}

/** Descriptors of the program that preserves: enough for the sessions and files of every state. */
const descriptors = 2 ** 16;

const pagesOfPc: PageSizes = { from: 4096, to: 4096 };

/** Why a release cannot have a state, as what is said of it; undefined if it can: `has no live update`. */
export const lacking = ({ lacks }: State, release: string, pages = pagesOfPc): string | undefined =>
  lacks?.(kernelOf(release), abiOf(pages.from));

const abiOf = (pageSize: number): Abi => ({ byteOrder: "little", pageSize });

/**
 * What a kernel of release `from` leaves for the next one in a state that it can have.
 * @param prepare kernel code to run beside that of the state
 * @throws KhoError `unknown-release`
 */
export function departureIn(
  state: State,
  from: string,
  pages = pagesOfPc,
  prepare?: (machine: Machine) => void,
): Departure {
  const abi = abiOf(pages.from);
  const options = {
    release: from,
    liveupdate: state.liveupdate,
    reserveMem: state.reserveMem?.(abi) ?? [],
  };
  const hardware = busyHardware(state.memory?.(abi) ?? 0, pages);
  const memory = newRam({ ranges: hardware.banks, pageSize: pages.from });
  let machine = Machine.arrive({ hardware, memory, release: from }, options);
  for (let kexecs = 1; kexecs < (state.kexecs ?? 1); kexecs++)
    machine = Machine.arrive(jump(machine), options);
  prepare?.(machine);
  state.prepare?.(machine);
  preserve(machine, state.sessions?.(machine.kernel, abi) ?? [], machine.process({ descriptors }));
  return jump(machine);
}

/** Leaves for the next kernel, as user space does: where live update does not, it finalizes. */
function jump(machine: Machine): Departure {
  if (machine.kho.enabled && machine.kernel.kho === "kho-v1") machine.kho.finalize();
  return machine.leave();
}

const MiB = 2 ** 20;
const usualMemory: Readonly<Record<number, number>> = {
  4096: 256 * MiB,
  16384: 1024 * MiB,
  65536: 4096 * MiB,
};

/**
 * A PC's low memory is the first to be used up. What kernels allocate here lies behind it, as it does on machines that have
 * been in use, where the first few bits of a bitmap are not all there is.
 */
const usedUp = physAddr(32 * MiB);

/** A machine with `memory` bytes, or more where kernels with these pages usually have more. */
function busyHardware(memory: number, { from, to }: PageSizes): Hardware {
  const size = Math.max(memory, usualMemory[from] ?? 0, usualMemory[to] ?? 0);
  // There are no pages but of 4 KiB on x86.
  const arch = to === 4096 ? undefined : "aarch64";
  const hardware = newHardware(BigInt(size), 1, from, arch);
  const firstMiB = BigInt(MiB);
  const banks = hardware.banks.map((bank) =>
    bank.pa < firstMiB || bank.pa >= usedUp
      ? bank
      : { ...bank, pa: usedUp, size: bank.size - (usedUp - bank.pa) },
  );
  return { ...hardware, banks };
}
