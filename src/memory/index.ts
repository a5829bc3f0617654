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
export { type Memory, type MemoryRange, maxRead, storedBytes } from "./memory.js";
export { rankOf } from "./rank.js";
export { firstNot } from "./search.js";
export { type Overlap, type Segment, segmentedMemory } from "./segments.js";
export { type ByteSource, bytesSource } from "./source.js";
export { type SparseMemory, sparseMemory } from "./sparse.js";
