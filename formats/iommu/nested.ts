import {
  endOfMemory,
  firstNot,
  type Memory,
  maxRead,
  type PhysAddr,
  physAddr,
} from "../../src/memory/index.js";
import { KhoError } from "../../src/report/error.js";
import { hex } from "../../src/report/hex.js";
import { frameLg2 } from "./entry.js";
import type { PageTable } from "./format.js";
import { type MappingRuns, newMappings } from "./mappings.js";
import { translate } from "./translate.js";

/**
 * Memory as a device behind a parent table sees it: what lies at an address is what the parent translates it to. What the
 * parent does not map is absent.
 */
export function throughParent(memory: Memory, parent: PageTable): Memory {
  /** Calls `each` for the parts of `[pa, pa + length)` that are in one piece; returns how many bytes there are before one is missing. */
  const forParts = (
    pa: PhysAddr,
    length: number,
    each: (real: PhysAddr, count: number, done: number) => void,
  ): number => {
    let done = 0;
    while (done < length) {
      const at = pa + BigInt(done);
      const found = at < endOfMemory ? translate(memory, parent, at) : undefined;
      if (found?.pa === undefined) break;
      const left = found.size! - (found.pa & (found.size! - 1n));
      const count = Number(left < BigInt(length - done) ? left : BigInt(length - done));
      if (!memory.has(found.pa, count)) return done + beforeGap(memory, found.pa, count);
      each(found.pa, count, done);
      done += count;
    }
    return done;
  };
  return {
    has: (pa, length) => length <= maxRead && forParts(pa, length, () => {}) === length,
    read(pa, length) {
      if (length > maxRead) throw absent(pa, pa, length);
      const parts: { readonly real: PhysAddr; readonly count: number; readonly done: number }[] = [];
      const there = forParts(pa, length, (real, count, done) => parts.push({ real, count, done }));
      if (there < length) throw absent(pa + BigInt(there), pa, length);
      if (parts.length === 1) return memory.read(parts[0]!.real, length);
      const whole = new Uint8Array(length);
      for (const { real, count, done } of parts) whole.set(memory.read(real, count), done);
      return whole;
    },
    // What there is would take a walk of the whole parent: nobody asks a device's view for it.
    ranges: [],
  };
}

/** Bytes from `pa` on, of `length` of which some are missing, before the first page that is. */
function beforeGap(memory: Memory, pa: PhysAddr, length: number): number {
  const page = 2 ** frameLg2;
  let there = 0;
  while (there < length) {
    const at = physAddr(pa + BigInt(there));
    const count = Math.min(page - Number(at % BigInt(page)), length - there);
    if (!memory.has(at, count)) break;
    there += count;
  }
  return there;
}

const absent = (missing: bigint, wanted: PhysAddr, length: number): KhoError =>
  new KhoError("memory-absent", `the parent table leads to nothing at ${hex(missing)}`, {
    pa: physAddr(missing),
    length,
    expected: `${length} bytes at ${hex(wanted)}`,
    actual: "not mapped, or not captured",
  });

/**
 * What is reached through two tables one behind the other: where `first` leads is looked up in `second`, which is sorted by
 * `iova`. Both have to allow an access, and what
 * allows none is left out. A run of `first` can fall into as many pieces as `second` has runs; `most` bounds
 * them all.
 */
export function compose(first: MappingRuns, second: MappingRuns, most: number): MappingRuns {
  const runs = newMappings();
  for (let i = 0; i < first.length && runs.length <= most; i++) {
    const end = first.pa[i]! + first.frames[i]!;
    for (let at = behind(second, first.pa[i]!); at < second.length && runs.length <= most; at++) {
      const from = Math.max(first.pa[i]!, second.iova[at]!);
      const to = Math.min(end, second.iova[at]! + second.frames[at]!);
      if (second.iova[at]! >= end) break;
      const access = first.access[i]! & second.access[at]!;
      if (access === 0) continue;
      runs.push(
        first.iova[i]! + from - first.pa[i]!,
        second.pa[at]! + from - second.iova[at]!,
        to - from,
        access,
        Math.min(smallest(first, i), smallest(second, at)),
      );
    }
  }
  return runs.finish();
}

/** First run that ends behind a frame. */
const behind = (runs: MappingRuns, frame: number): number =>
  firstNot(0, runs.length, (i) => runs.iova[i]! + runs.frames[i]! <= frame);

/** Base-2 logarithm of the smallest page of a run. */
const smallest = ({ sizes, largeSizes }: MappingRuns, i: number): number =>
  frameLg2 +
  (sizes[i] === 0
    ? 63 - Math.clz32(largeSizes[i]! & -largeSizes[i]!)
    : 31 - Math.clz32(sizes[i]! & -sizes[i]!));
