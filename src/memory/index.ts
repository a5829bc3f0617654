export {
  addressOf,
  endOfMemory,
  type FileOffset,
  fileOffset,
  type Pfn,
  type PhysAddr,
  pfn,
  pfnOf,
  physAddr,
} from "./address.js";
export type { Memory, MemoryRange } from "./memory.js";
export { type Overlap, type Segment, segmentedMemory } from "./segments.js";
export { type ByteSource, bytesSource } from "./source.js";
