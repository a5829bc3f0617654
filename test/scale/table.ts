import type { PageTable } from "../../formats/iommu/format.js";
import { IOMMU_READ, IOMMU_WRITE } from "../../formats/iommu/prot.js";
import { x86Format } from "../../formats/iommu/x86.js";
import { type ByteSource, type Memory, pfnOf, physAddr, segmentedMemory } from "../../src/memory/index.js";
import { geometryOf } from "./shape.js";

/** What a device reaches: memory from address 0 on in pages of 4 KiB, which lie like a file of {@link Shape}. */
export interface TablePlan {
  /** Bytes that are mapped, a power of two of at least 4096. */
  readonly bytes: number;
  readonly mean: number;
}

const pageSize = 4096;
const entries = 512;
const levels = 4;
const tablesAt = 2 ** 30;
/** First frame that the device reaches. */
export const firstFrame = 2 ** 23;

/** An IOMMU page table, 2 GiB for a terabyte. Each page of it is worked out when it is read. */
export function makeTable({ bytes, mean }: TablePlan): {
  readonly memory: Memory;
  readonly table: PageTable;
} {
  const format = x86Format();
  const frames = bytes / pageSize;
  const { runAt } = geometryOf({ folios: frames, order: 0, mean });
  /** Of each level the number of its tables, and the index of the first among all pages; the top one is the first. */
  const counts = Array.from({ length: levels }, (_, level) => Math.ceil(frames / entries ** (level + 1)));
  const firsts = counts.map((_, level) => counts.slice(level + 1).reduce((sum, count) => sum + count, 0));
  const tableFrame = tablesAt / pageSize;

  const writeTable = (level: number, index: number, words: Uint32Array): void => {
    const children = Math.min(entries, counts[level - 1]! - index * entries);
    for (let i = 0; i < children; i++) {
      const child = tableFrame + firsts[level - 1]! + index * entries + i;
      put(words, i, format.tableWord(child, level));
    }
  };
  const writeLeaves = (index: number, words: Uint32Array): void => {
    const count = Math.min(entries, frames - index * entries);
    for (let i = 0; i < count; ) {
      const run = runAt(index * entries + i);
      const part = Math.min(run.count, count - i);
      put(words, i, format.leafWord(firstFrame + run.place, 12, IOMMU_READ | IOMMU_WRITE));
      // The low half of the address is in the low word: what runs over goes on in the high one.
      for (let k = 1; k < part; k++) {
        const low = words[2 * (i + k - 1)]! + format.frameStep;
        words[2 * (i + k)] = low;
        words[2 * (i + k) + 1] = words[2 * (i + k) - 1]! + (low >= 2 ** 32 ? 1 : 0);
      }
      i += part;
    }
  };

  const pages = firsts[0]! + counts[0]!;
  const source: ByteSource = {
    size: pages * pageSize,
    read(at, length) {
      const end = Math.min(at + length, pages * pageSize);
      const from = Math.floor(at / pageSize);
      const to = Math.ceil(end / pageSize);
      const read = new Uint8Array(Math.max(0, to - from) * pageSize);
      for (let page = from; page < to; page++) {
        const words = new Uint32Array(read.buffer, (page - from) * pageSize, 2 * entries);
        const level = firsts.findIndex((first, l) => page >= first && page < first + counts[l]!);
        if (level === 0) writeLeaves(page - firsts[0]!, words);
        else writeTable(level, page - firsts[level]!, words);
      }
      const skip = at - from * pageSize;
      return read.subarray(skip, skip + Math.max(0, end - at));
    },
  };
  const root = physAddr(tablesAt);
  const whole = { pa: root, size: BigInt(source.size), source, at: 0 };
  if (pfnOf(root, pageSize) !== tableFrame) throw new Error("the root is the first page");
  return {
    memory: segmentedMemory([whole]).memory,
    table: { format, root, levels, vaBits: 48, signExtend: true },
  };
}

/** Words are written as the machines of these tables have them, which is what every host of the tests is. */
function put(words: Uint32Array, entry: number, word: bigint): void {
  words[2 * entry] = Number(word & 0xffff_ffffn);
  words[2 * entry + 1] = Number(word >> 32n);
}
