import type { PhysAddr } from "../../src/memory/index.js";
import { grown } from "../grown.js";
import type { LeafBatch } from "./batch.js";
import { addressOfFrame, frameLg2 } from "./entry.js";
import { framesOf } from "./format.js";
import { type Access, IOMMU_READ, IOMMU_WRITE } from "./prot.js";

/**
 * What a device can reach, as columns, in the order of a walk: ascending by `iova`, neighbours merged that lie next to each
 * other on both sides and allow the same. Addresses and lengths are in frames of 4 KiB, below 2^52 and exact.
 */
export interface MappingRuns {
  readonly length: number;
  /** First frame as the device sees it. */
  readonly iova: Float64Array;
  /** First frame of memory. */
  readonly pa: Float64Array;
  readonly frames: Float64Array;
  readonly access: Uint8Array;
  /** Which page sizes are in the run: bit n for 2^(12+n) bytes, from 2^44 on in `largeSizes`. */
  readonly sizes: Uint32Array;
  readonly largeSizes: Uint16Array;
}

/** Collects runs. */
export interface MappingBuilder {
  readonly length: number;
  /** Adds pages of `2 ** lg2` bytes that follow each other; what continues the last run is merged into it. */
  push(iova: number, pa: number, frames: number, access: Access, lg2: number): void;
  /** Adds all leaves of a batch that allow anything, in order. */
  append(batch: LeafBatch): void;
  finish(): MappingRuns;
}

export function newMappings(): MappingBuilder {
  let length = 0;
  let iova = new Float64Array(1024);
  let pa = new Float64Array(1024);
  let frames = new Float64Array(1024);
  let access = new Uint8Array(1024);
  let sizes = new Uint32Array(1024);
  let largeSizes = new Uint16Array(1024);
  const grow = (): void => {
    iova = grown(iova);
    pa = grown(pa);
    frames = grown(frames);
    access = grown(access);
    sizes = grown(sizes);
    largeSizes = grown(largeSizes);
  };
  const note = (i: number, lg2: number): void => {
    const bit = lg2 - frameLg2;
    if (bit < 32) sizes[i]! |= 1 << bit;
    else largeSizes[i]! |= 1 << (bit - 32);
  };
  /** Where the last run ends on both sides, so that most calls do not look at it. */
  let endIova = -1;
  let endPa = -1;
  const push: MappingBuilder["push"] = (i, p, count, rights, lg2) => {
    if (i === endIova && p === endPa && access[length - 1] === rights) {
      frames[length - 1]! += count;
      note(length - 1, lg2);
    } else {
      if (length === iova.length) grow();
      iova[length] = i;
      pa[length] = p;
      frames[length] = count;
      access[length] = rights;
      note(length++, lg2);
    }
    endIova = i + count;
    endPa = p + count;
  };
  return {
    get length() {
      return length;
    },
    push,
    append(batch) {
      for (let row = 0; row < batch.length; row++) {
        // What allows nothing is not reached.
        if (batch.access[row] === 0) continue;
        const lg2 = batch.lg2[row]!;
        const count = batch.count[row]! * framesOf(lg2);
        push(batch.iova[row]!, batch.frame[row]!, count, batch.access[row]!, lg2);
      }
    },
    finish: () => ({
      length,
      iova: iova.subarray(0, length),
      pa: pa.subarray(0, length),
      frames: frames.subarray(0, length),
      access: access.subarray(0, length),
      sizes: sizes.subarray(0, length),
      largeSizes: largeSizes.subarray(0, length),
    }),
  };
}

/** One run with exact values: bytes, and a PA of any width. */
export interface Mapping {
  /** First byte as the device sees it, 0 to 2^64 - 1. */
  readonly iova: bigint;
  readonly pa: PhysAddr;
  /** Bytes. */
  readonly size: bigint;
  readonly read: boolean;
  readonly write: boolean;
  /** Bytes of each page size that occurs, ascending. */
  readonly pageSizes: readonly bigint[];
}

/** Run `i`. */
export function mappingAt(runs: MappingRuns, i: number): Mapping {
  const pageSizes: bigint[] = [];
  for (let bit = 0; bit < 48; bit++) {
    const has = bit < 32 ? (runs.sizes[i]! >>> bit) & 1 : (runs.largeSizes[i]! >>> (bit - 32)) & 1;
    if (has) pageSizes.push(1n << BigInt(bit + frameLg2));
  }
  return {
    iova: addressOfFrame(runs.iova[i]!),
    pa: addressOfFrame(runs.pa[i]!),
    size: addressOfFrame(runs.frames[i]!),
    read: (runs.access[i]! & IOMMU_READ) !== 0,
    write: (runs.access[i]! & IOMMU_WRITE) !== 0,
    pageSizes,
  };
}

/** Every run, lazily. */
export function* mappingsOf(runs: MappingRuns): Generator<Mapping> {
  for (let i = 0; i < runs.length; i++) yield mappingAt(runs, i);
}
