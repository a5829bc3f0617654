/** What a walk takes as tables grow: work in proportion, memory not at all. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { newMappings } from "../../../formats/iommu/mappings.js";
import { vtdss } from "../../../formats/iommu/vtd/second-stage.js";
import { decodeMappings, walkTable } from "../../../formats/iommu/walk.js";
import { type Memory, physAddr } from "../../../src/memory/index.js";
import { contextOver } from "./context.js";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

const format = vtdss();
const base = 0x100000000n;

/**
 * Tables of three levels for `pages` pages in a row, made when they are read: the top one, then those below it, then the
 * lowest. `pages` is a multiple of 2^9.
 */
function tables(pages: number): { memory: Memory; reads: () => number; bytes: () => number } {
  const lowest = pages / 512;
  const middle = Math.ceil(lowest / 512);
  const frame = Number(base >> 12n);
  let reads = 0;
  let bytes = 0;
  const fill = (page: number, into: BigUint64Array): void => {
    for (let i = 0; i < 512; i++) {
      if (page === 0) into[i] = i < middle ? format.tableWord(frame + 1 + i, 2) : 0n;
      else if (page <= middle) {
        const table = (page - 1) * 512 + i;
        into[i] = table < lowest ? format.tableWord(frame + 1 + middle + table, 1) : 0n;
      } else into[i] = ((0x200000n + BigInt(page - 1 - middle) * 512n + BigInt(i)) << 12n) | 3n;
    }
  };
  const size = BigInt(1 + middle + lowest) << 12n;
  const has = (pa: bigint, length: number): boolean => pa >= base && pa + BigInt(length) <= base + size;
  return {
    reads: () => reads,
    bytes: () => bytes,
    memory: {
      ranges: [{ pa: physAddr(base), size }],
      has,
      read(pa, length) {
        if (!has(pa, length)) throw new Error("outside");
        reads++;
        bytes += length;
        const words = new BigUint64Array(length / 8);
        for (let at = 0; at < length; at += 4096)
          fill(Number((pa - base) >> 12n) + at / 4096, words.subarray(at / 8, at / 8 + 512));
        return new Uint8Array(words.buffer);
      },
    },
  };
}

const table = { format, root: physAddr(base), levels: 3, vaBits: 39, signExtend: false };

describe("a walk", () => {
  it("reads every table once, whatever their number", () => {
    for (const pages of [2 ** 12, 2 ** 15, 2 ** 18]) {
      const { memory, bytes } = tables(pages);
      const runs = decodeMappings(contextOver(memory).ctx, table, "table");
      expect([...runs.frames.subarray(0, runs.length)]).toEqual([pages]);
      const needed = 1 + Math.ceil(pages / 2 ** 18) + pages / 512;
      expect(bytes() / 4096).toBe(needed);
    }
  });

  it("keeps nothing but what it finds, and a bit for each table", () => {
    const most = (pages: number): number => {
      const { memory } = tables(pages);
      const runs = newMappings();
      let seen = 0;
      let peak = 0;
      gc();
      const usage = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
      const before = usage();
      walkTable(
        contextOver(memory).ctx,
        table,
        {
          leaves: runs.append,
          table() {
            if (++seen % (pages / 512 / 4) !== 0) return;
            gc();
            peak = Math.max(peak, usage() - before);
          },
        },
        "table",
      );
      expect(runs.length).toBe(1);
      return peak;
    };
    most(2 ** 13);
    const small = most(2 ** 14);
    const large = most(2 ** 20);
    // A million pages more. 2048 tables take some KiB of bits; the rest is the noise of the collector.
    expect(large - small).toBeLessThan(2 ** 20);
  });
});
