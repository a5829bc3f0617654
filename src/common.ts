/** What the library offers on every platform; how files are opened is what differs. */
export type { Claim, Keeping } from "../formats/claims.js";
export { defaultLimits, type Limits } from "../formats/context.js";
export {
  findKernel,
  type Kernel,
  type KhoVersion,
  kernelOf,
  kernels,
  type LuoVersion,
  type MemfdVersion,
} from "../formats/kernels.js";
export type { KexecMetadata } from "../formats/kho/metadata.js";
export {
  type OrderCount,
  orderCounts,
  type PreservedMemory,
  preservedBytes,
} from "../formats/kho/preserved.js";
export { type Lookup, lookupIn, type Runs } from "../formats/kho/runs.js";
export type { KhoTest } from "../formats/kho/test-module.js";
export type { LuoFile, LuoFlb, LuoSession } from "../formats/luo/luo.js";
export type { ReserveMem } from "../formats/memblock/memblock.js";
export type { FolioRuns } from "../formats/memfd/folios.js";
export type { Memfd } from "../formats/memfd/memfd.js";
export { type Undefined, undefinedBytes } from "../formats/undefined.js";
export * from "./handover/index.js";
export { type CoreOptions, type ElfCore, elfCore, elfCoreBytes } from "./image/elf-write.js";
export type { DebugfsFiles, Image } from "./image/image.js";
export { escapeText } from "./layout/index.js";
export * from "./memory/index.js";
export { type Code, codes } from "./report/codes.js";
export { type FaultDetail, isKhoError, KhoError } from "./report/error.js";
export type { Consequence, Finding, Outcome, Phase, Severity } from "./report/finding.js";
export { hex } from "./report/hex.js";
