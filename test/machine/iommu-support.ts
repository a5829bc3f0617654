/** Machines with an IOMMU and a VM's memory behind it. */
import type { VendorName } from "../../formats/iommu/device.js";
import { seals } from "../../formats/memfd/layout.js";
import {
  IOMMU_READ,
  IOMMU_WRITE,
  isMemfdFile,
  type LiveUpdateSession,
  Machine,
  type MachineOptions,
  type MemfdFile,
  type MemfdOptions,
} from "../../src/machine/index.js";
import { isKhoError, type KhoError } from "../../src/report/error.js";

export const vendors: readonly VendorName[] = ["vtd", "amd", "smmuv3", "riscv"];
/** Those that a series can hand over. */
export const persistent = ["vtd", "smmuv3"] as const;

export const nic = "00:05.0";
export const disk = "00:06.0";
export const readWrite = IOMMU_READ | IOMMU_WRITE;
/** Where a VM's memory is for its devices. */
export const base = 0x40000000n;

type IommuOptions = NonNullable<MachineOptions["iommu"]>;
type Options = Omit<Partial<MachineOptions>, "iommu"> & { readonly iommu?: Partial<IommuOptions> };

export const bootWith = (vendor: VendorName, { iommu, ...options }: Options = {}): Machine =>
  Machine.boot({ release: "7.3", ...options, iommu: { vendor, devices: [nic, disk], ...iommu } });

/** A file that may be handed over with a domain. */
export const guestMemory = (machine: Machine, options: MemfdOptions = {}): MemfdFile =>
  machine.memfd({ size: 4 << 20, folioOrder: 9, seals: seals.F_SEAL_GROW | seals.F_SEAL_SHRINK, ...options });

/** A VM with one device, preserved. */
export function preservedGuest(machine: Machine, device = nic) {
  const guest = guestMemory(machine);
  const domain = machine.iommu.domain();
  domain.map(base, guest, readWrite);
  domain.attach(device);
  const session = machine.liveupdate.createSession(`vm of ${device}`);
  session.preserve(guest, 1n);
  session.preserve(domain.file, 2n);
  return { guest, domain, session };
}

/** The session of {@link preservedGuest} in the next kernel, and its memory. */
export function retrievedGuest(
  machine: Machine,
  device = nic,
): { session: LiveUpdateSession; guest: MemfdFile } {
  const session = machine.liveupdate.retrieveSession(`vm of ${device}`);
  const guest = machine.init.file(session.retrieve(1n));
  if (!isMemfdFile(guest)) throw new Error("the file of token 1 is no memfd");
  return { session, guest };
}

/** `length` bytes that differ from those of another seed. */
export const someBytes = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 7 + 1) & 0xff);

/** Why a call is refused, in the words of its error: the errno, or for DMA what is wrong with the address. */
export function whyOf(call: () => unknown): string {
  const error = errorOf(call);
  return error.consequence?.errno ?? error.actual ?? error.code;
}

export function errorOf(call: () => unknown): KhoError {
  try {
    call();
  } catch (error) {
    if (isKhoError(error)) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
