/**
 * A simulated machine: kernels of every release that write a handover and read it, across a kexec, in the bytes that
 * real kernels use.
 *
 * ```ts
 * import { fillPattern, Machine, read } from "kho/machine";
 *
 * const old = Machine.boot({ release: "6.19.10" });
 * const session = old.liveupdate.createSession("vm0");
 * const file = old.memfd({ size: 4 << 20, folioOrder: 9 });
 * fillPattern(file, 7n, [{ index: 0, count: 1024 }]);
 * session.preserve(file, 7n);
 * const next = old.kexec({ release: "7.0" });
 * if (next.outcome.kind === "panic") console.log(next.outcome.reason.message);
 * ```
 * @module
 */

export { IOMMU_READ, IOMMU_WRITE } from "../../formats/iommu/prot.js";
export type { KernelOptions, Outcome } from "./boot.js";
export { captureOf } from "./capture.js";
export { type StructFile, type StructFlb, structFlb, structHandler } from "./codec.js";
export { attempt, type Errno, errnoOf, errnos, refusal } from "./errno.js";
export type { Faults } from "./faults.js";
export type { Bank, Hardware } from "./firmware.js";
export type { FileRange } from "./iommu/address-space.js";
export { checkDma, deviceOf } from "./iommu/departure.js";
export type { Device, DmaIncident } from "./iommu/device.js";
export type { IommuDomain } from "./iommu/domain.js";
export type { IommuHardware, IommuHardwareOptions } from "./iommu/hardware.js";
export type { Iommu, IommuKernelOptions } from "./iommu/iommu.js";
export {
  type File,
  type FileHandler,
  type Flb,
  getFile,
  type Inode,
  type KernelCore,
  openFile,
  type Preserved,
  putFile,
  type RetrieveStatus,
  type SessionFiles,
} from "./kernel.js";
export type { Departure } from "./kexec.js";
export type { Kho, VmallocDescriptor } from "./kho/types.js";
export type { LiveUpdateDevice, LiveUpdateSession } from "./luo/client.js";
export type { Luo, SessionStatus } from "./luo/luo.js";
export {
  type KexecOptions,
  Machine,
  type MachineOptions,
} from "./machine.js";
export {
  addSeals,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  fallocate,
  fillPattern,
  getSeals,
  mapWritable,
  type PatternRange,
  read,
  seek,
  truncate,
  unmapWritable,
  write,
} from "./memfd/file.js";
export { isMemfdFile, type MemfdFile, type MemfdOptions } from "./memfd/inode.js";
export type { Holding, PageAllocator } from "./pages.js";
export { patternBytes } from "./pattern.js";
export type { Process, ProcessOptions } from "./process.js";
export type { Content, Ram } from "./ram.js";
export type { Reason } from "./receive.js";
export type { ReservedRegion, ReserveMemOption } from "./reserve-mem.js";
export type { ScratchSizes } from "./scratch.js";
