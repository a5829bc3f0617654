/**
 * KHO itself: the hand-off record, the root tree, scratch areas, the memory map in its three forms, and the containers
 * that its users share (vmalloc areas, block lists). Every structure as a layout, every reader and every writer on its
 * own.
 *
 * A reader takes a {@link Context}: the memory, the page size and byte order, whose rules to judge by, and where to
 * report. {@link reporter} and {@link newClaims} make its parts. A writer takes a {@link Target}: for which page size and
 * release, and what to do with the bytes. It is given addresses and allocates nothing itself.
 * @module
 */
export { type Claim, type Claims, type Keeping, newClaims } from "../../formats/claims.js";
export { type Context, defaultLimits, type Limits, type Place, reporter } from "../../formats/context.js";
export { type BitmapTracker, bitmapTracker } from "../../formats/kho/bitmap-tracker.js";
export {
  type Block,
  type BlockConsequences,
  blockCapacity,
  decodeBlocks,
  KHO_MAX_BLOCKS,
} from "../../formats/kho/blocks.js";
export { blocksFor, encodeBlocks } from "../../formats/kho/blocks-encode.js";
export {
  bootParamsSize,
  followSetupData,
  type HandoffRecord,
  handoffOfChosen,
  handoffOfNode,
  type SetupDataNode,
  setupDataHead,
  x86Abi,
} from "../../formats/kho/handoff.js";
export {
  type Cells,
  chosenProperties,
  encodeChosen,
  encodeHandoff,
  encodeScratch,
  handoffSize,
  scratchSize,
} from "../../formats/kho/handoff-encode.js";
export {
  BOOT_PARAMS_MAGIC,
  bootParams,
  khoBlockHeaderSer,
  khoData,
  khoKexecMetadata,
  khoMemPhysBits,
  khoMemPhysBits512,
  khoRadixLeaf,
  khoRadixNode,
  khoScratch,
  khoserMemBitmapPtr,
  khoserMemChunk,
  khoserMemChunkHdr,
  khoVmalloc,
  khoVmallocChunk,
  khoVmallocHdr,
  SETUP_KEXEC_KHO,
  setupData,
} from "../../formats/kho/layout.js";
export type { LiveMemory } from "../../formats/kho/live-bits.js";
export {
  bitmapSizeOf,
  type ChunkList,
  decodeBitmapMap,
  decodeChunks,
} from "../../formats/kho/map-bitmaps.js";
export { encodeBitmapMap, encodeChunks, planBitmapMap } from "../../formats/kho/map-bitmaps-encode.js";
export type { MapEditor } from "../../formats/kho/map-editor.js";
export {
  decodeRadixMap,
  type RadixShape,
  radixBlock,
  radixKey,
  radixPath,
  radixShape,
} from "../../formats/kho/map-radix.js";
export { encodeRadixMap, planRadixMap } from "../../formats/kho/map-radix-encode.js";
export {
  decodeKexecMetadata,
  type KexecMetadata,
  KHO_KEXEC_METADATA_VERSION,
  KHO_METADATA_NODE_NAME,
} from "../../formats/kho/metadata.js";
export { encodeKexecMetadata, kexecMetadataSize } from "../../formats/kho/metadata-encode.js";
export {
  type MapKind,
  type OrderCount,
  orderCounts,
  type PreservedMemory,
  preservedBytes,
} from "../../formats/kho/preserved.js";
export { radixEditor } from "../../formats/kho/radix-editor.js";
export {
  decodeRoot,
  knownVersion,
  PROP_PRESERVED_MEMORY_MAP,
  type Root,
  type RootForm,
  rootForms,
  rootVersions,
  type SubtreeRef,
} from "../../formats/kho/root.js";
export {
  addSubtreeTo,
  emptyRoot,
  encodeRoot,
  removeSubtreeFrom,
  setMapOf,
} from "../../formats/kho/root-encode.js";
export {
  endOf,
  type Lookup,
  lookupIn,
  newRuns,
  type OrderOf,
  orderIn,
  type Runs,
  type RunsBuilder,
} from "../../formats/kho/runs.js";
export { decodeScratch } from "../../formats/kho/scratch.js";
export {
  type BitmapSize,
  type BitmapSkeleton,
  type RadixSkeleton,
  rootOf,
  type Skeleton,
  type SkeletonBitmap,
  type SkeletonChunk,
} from "../../formats/kho/skeleton.js";
export {
  decodeKhoTest,
  KHO_TEST_COMPAT,
  KHO_TEST_FDT,
  KHO_TEST_MAGIC,
  type KhoTest,
} from "../../formats/kho/test-module.js";
export { khoTestList, khoTestTree } from "../../formats/kho/test-module-encode.js";
export {
  decodeVmalloc,
  type VmallocArea,
  type VmallocConsequences,
  vmallocBytes,
  vmallocPages,
} from "../../formats/kho/vmalloc.js";
export {
  encodeVmalloc,
  encodeVmallocContent,
  type VmallocBlocks,
  vmallocChunks,
} from "../../formats/kho/vmalloc-encode.js";
export type { Target } from "../../formats/target.js";
export { type Undefined, undefinedBytes } from "../../formats/undefined.js";
