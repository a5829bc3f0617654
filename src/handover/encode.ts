import { hasFdtMagic } from "../../formats/fdt/index.js";
import { encodedAt, fillPages } from "../../formats/fill.js";
import { isAtLeast, type Kernel, kernelOf } from "../../formats/kernels.js";
import { encodeHandoff, encodeScratch, handoffSize, scratchSize } from "../../formats/kho/handoff-encode.js";
import { encodeBitmapMap } from "../../formats/kho/map-bitmaps-encode.js";
import { encodeRadixMap } from "../../formats/kho/map-radix-encode.js";
import { KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import { encodeKexecMetadata, kexecMetadataSize } from "../../formats/kho/metadata-encode.js";
import { knownVersion, type SubtreeRef } from "../../formats/kho/root.js";
import { encodeRoot } from "../../formats/kho/root-encode.js";
import { KHO_TEST_FDT } from "../../formats/kho/test-module.js";
import { LUO_KHO_ENTRY_NAME } from "../../formats/luo/luo.js";
import { encodeReserveMem } from "../../formats/memblock/encode.js";
import { MEMBLOCK_KHO_FDT } from "../../formats/memblock/memblock.js";
import { rootPath, subtreePath } from "../../formats/paths.js";
import type { Undefined } from "../../formats/undefined.js";
import type { Abi } from "../layout/index.js";
import { type Memory, type MemoryRange, type PhysAddr, physAddr, sparseMemory } from "../memory/index.js";
import { mergedRanges, wholePages } from "../memory/ranges.js";
import { KhoError } from "../report/error.js";
import { encodeKhoTest } from "./encode-kho-test.js";
import { encodeLiveUpdate } from "./encode-live-update.js";
import type { Handoff, Handover, Subtree } from "./model.js";
import { orderFor, type Placement } from "./placement.js";
import type { Writing } from "./writing.js";

/** Bytes that belong to a structure and mean nothing to anybody. */
export interface UndefinedRange {
  readonly what: Undefined;
  readonly pa: PhysAddr;
  /** Bytes. */
  readonly length: number;
}

/** A handover as bytes. */
export interface Encoded {
  /** The pages of all its structures, without the contents of files and regions; what is undefined reads as zeros. */
  readonly memory: Memory;
  /** Where it begins now. */
  readonly handoff: Handoff;
  /** Which bytes are defined, ascending and merged. All others of its pages are undefined. */
  readonly written: readonly MemoryRange[];
  /** Which bytes are not, and why, in the order in which their structures were written. */
  readonly undefined: readonly UndefinedRange[];
}

/**
 * Writes a handover, every structure at the place that `placement` gives it, in the formats that its version strings and
 * its release say. With {@link placedAs} what was decoded comes out byte for byte.
 *
 * Subtrees that are not known are written as their blobs. The hand-off record is written where there was one, as the
 * last of the setup_data list; a hand-off in a device tree is not, nor is a scratch array that was not found.
 *
 * @throws KhoError `value-range` or `not-found`, with a path, if some structure cannot be written exactly: a list of
 * folios with entries that readers skip, a blob or a memory map that was not in the capture, records that do not lie as
 * a kernel writes them. `unknown-release`; `fdt-no-space` and `fdt-exists` for a root tree that is none
 */
export function encodeHandover(handover: Handover, placement: Placement): Encoded {
  const abi: Abi = { byteOrder: "little", pageSize: handover.pageSize };
  const memory = sparseMemory();
  const written: MemoryRange[] = [];
  const undefinedRanges: UndefinedRange[] = [];
  const writing: Writing = {
    placement,
    target: {
      abi,
      kernel: kernelFor(handover),
      write(pa, bytes) {
        memory.write(pa, bytes);
        written.push({ pa, size: BigInt(bytes.length) });
      },
      leave(what, pa, length) {
        memory.cover(pa, length);
        undefinedRanges.push({ what, pa, length });
      },
    },
  };
  const fdtPa = placement.block(rootPath, 0, handover.handoff.fdtPa);
  const subtrees = encodeSubtrees(writing, handover);
  const mapPa = encodeMap(writing, handover);
  const root = encodedAt(rootPath, () => encodeRoot(writing.target.kernel, { mapPa, subtrees }, abi));
  fillPages(writing.target, fdtPa, 1, root, "fdt-slack");
  const handoff = encodeBootData(writing, handover, fdtPa);
  return { memory, handoff, written: mergedRanges(written), undefined: undefinedRanges };
}

/** The row of the release, with the root's version: development kernels have one that no release has. */
function kernelFor({ release, compatible }: Handover): Kernel {
  const kho = knownVersion([compatible]);
  if (kho) return { ...kernelOf(release), kho };
  throw new KhoError("value-range", `a root of version "${compatible}" cannot be written`, {
    path: "compatible",
    actual: compatible,
  });
}

/** Writes all blobs. As kernels find the first of a name, so a second one of that name is not what was decoded. */
function encodeSubtrees(writing: Writing, handover: Handover): SubtreeRef[] {
  const names = new Set<string>();
  return handover.subtrees.map((subtree): SubtreeRef => {
    const { name, pa: now, blob, size: recorded } = subtree;
    const path = subtreePath(name);
    const known = names.has(name) ? undefined : encoderOf(handover, subtree);
    names.add(name);
    if (!known && !blob)
      throw new KhoError("not-found", `the blob of subtree ${name} is not known`, { path });
    const { pageSize } = writing.target.abi;
    const order = orderFor(blob?.length ?? 1, pageSize);
    const pa = writing.placement.block(path, order, now);
    const length = (known ?? encodeBlob)(writing, pa, subtree);
    // What is recorded need not be what the blob has; it changes only with the blob.
    return { name, pa, size: length === blob?.length ? recorded : BigInt(length) };
  });
}

/** Writes the blob of a subtree to where it is given a place, and returns the bytes that it has. */
type BlobEncoder = (writing: Writing, pa: PhysAddr, subtree: Subtree) => number;

/** How a subtree is written of which there is more than the blob. */
function encoderOf(handover: Handover, { name, kind }: Subtree): BlobEncoder | undefined {
  const { luo, kexecMetadata, khoTest, reserveMem } = handover;
  if (name === LUO_KHO_ENTRY_NAME && luo)
    return (writing, pa) => encodeLiveUpdate(writing, pa, kind === "fdt" ? "fdt" : "raw", luo);
  if (name === KHO_METADATA_NODE_NAME && kexecMetadata)
    return ({ target }, pa) => {
      encodedAt(subtreePath(name), () => encodeKexecMetadata(target, pa, kexecMetadata));
      return kexecMetadataSize(target.abi);
    };
  if (name === MEMBLOCK_KHO_FDT && reserveMem.length > 0)
    return ({ target }, pa) => encodedAt(subtreePath(name), () => encodeReserveMem(target, pa, reserveMem));
  if (name === KHO_TEST_FDT && khoTest)
    return (writing, pa, { blob }) => encodeKhoTest(writing, pa, blob?.length, khoTest);
  return undefined;
}

function encodeBlob({ target }: Writing, pa: PhysAddr, subtree: Subtree): number {
  const blob = subtree.blob!;
  const pages = Math.max(1, Math.ceil(blob.length / target.abi.pageSize));
  fillPages(target, pa, pages, blob, hasFdtMagic(blob) ? "fdt-slack" : "page-tail");
  return blob.length;
}

/** Writes the memory map; its address, or 0 for none, which readers take up to 6.18. */
function encodeMap({ placement, target }: Writing, { preserved }: Handover): PhysAddr {
  if (!preserved) {
    if (!isAtLeast(target.kernel, "6.19")) return physAddr(0);
    throw new KhoError("not-found", "there is no memory map", { path: "preserved" });
  }
  const { rootPa, runs, skeleton } = placement.map(preserved, target.abi);
  if (skeleton.kind === "radix") encodeRadixMap(target, skeleton, runs);
  else encodeBitmapMap(target, skeleton, runs);
  return rootPa;
}

/** Writes what the boot loader has of the handover, and leaves what else is in its pages. */
function encodeBootData({ placement, target }: Writing, handover: Handover, fdtPa: PhysAddr): Handoff {
  const { scratch } = handover;
  const { abi } = target;
  const parts: MemoryRange[] = [];
  let { recordPa, scratchPa } = handover.handoff;
  if (scratch.length > 0 && handover.handoff.scratchPa !== 0n) {
    const size = scratchSize(scratch.length);
    if (handover.handoff.scratchSize < size || handover.handoff.scratchSize - size >= scratchSize(1))
      throw new KhoError("value-range", "the scratch array has areas that are not known", {
        path: "scratch",
        expected: `${size} bytes`,
        actual: `${handover.handoff.scratchSize} bytes`,
      });
    scratchPa = placement.boot("scratch", Number(size), scratchPa, abi);
    encodeScratch(target, scratchPa, scratch);
    parts.push({ pa: scratchPa, size });
  }
  if (recordPa !== 0n) recordPa = placement.boot("handoff", handoffSize, recordPa, abi);
  const handoff: Handoff = { ...handover.handoff, recordPa, fdtPa, scratchPa };
  if (recordPa !== 0n) {
    encodeHandoff(target, handoff);
    parts.push({ pa: recordPa, size: BigInt(handoffSize) });
  }
  const pages = mergedRanges(parts.map((part) => wholePages(part, BigInt(abi.pageSize))));
  const inUse = mergedRanges(parts);
  for (const { pa, size } of pages) {
    let at: bigint = pa;
    const leave = (until: bigint): void => {
      if (at < until) target.leave("boot-neighbours", physAddr(at), Number(until - at));
    };
    for (const used of inUse) {
      if (used.pa < at || used.pa >= pa + size) continue;
      leave(used.pa);
      at = used.pa + used.size;
    }
    leave(pa + size);
  }
  return handoff;
}
