import { encode, encodeColumns, sizeOf, type ValueOf } from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import { fillPages } from "../fill.js";
import type { MemfdVersion } from "../kernels.js";
import type { khoVmalloc } from "../kho/layout.js";
import { encodeVmallocContent, type VmallocBlocks } from "../kho/vmalloc-encode.js";
import type { Target } from "../target.js";
import type { FolioRuns } from "./folios.js";
import { memfdLuoFolioSer } from "./layout.js";
import { type Memfd, memfdLayouts } from "./memfd.js";

/**
 * Writes the structure of a memfd into the page at `pa`; `folios` describes the area of its folio list. Seals and flags
 * are not in `memfd-v1`. @throws KhoError `value-range`
 */
export function encodeMemfd(
  target: Target,
  version: MemfdVersion,
  pa: PhysAddr,
  memfd: Pick<Memfd, "pos" | "size" | "seals" | "flags" | "nrFolios">,
  folios: ValueOf<typeof khoVmalloc>,
): void {
  const { pos, size, seals, flags, nrFolios } = memfd;
  const value = { pos, size, seals, flags, nr_folios: nrFolios, folios };
  fillPages(target, pa, 1, encode(memfdLayouts[version], value, target.abi), "page-tail");
}

/** Entries of the list of all folios. */
export function folioCount({ count, length }: FolioRuns): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += count[i]!;
  return sum;
}

/** Bytes of the list of `count` folios. */
export const folioListSize = (count: number, { abi }: Pick<Target, "abi">): number =>
  count * sizeOf(memfdLuoFolioSer, abi);

/**
 * Writes the list of a memfd's folios, in the order of the runs, into the pages of its area. Nothing is made an object
 * of: a list may have hundreds of millions of entries.
 * @throws KhoError `value-range` for a value that an entry cannot hold, or if the area is too small
 */
export function encodeFolios(target: Target, blocks: VmallocBlocks, folios: FolioRuns): void {
  const { abi } = target;
  const entry = sizeOf(memfdLuoFolioSer, abi);
  const most = abi.pageSize / entry;
  const pfn = new Float64Array(most);
  const index = new Float64Array(most);
  const flags = new Uint16Array(most);
  const columns = { pfn, flags, index };
  /** The run that the next entry is of, and how many folios of it are written. */
  let run = 0;
  let done = 0;
  encodeVmallocContent(target, blocks, folioListSize(folioCount(folios), target), (bytes) => {
    const count = bytes.length / entry;
    for (let i = 0; i < count; ) {
      while (done === folios.count[run]) {
        run++;
        done = 0;
      }
      const step = 2 ** folios.order[run]!;
      const part = Math.min(count - i, folios.count[run]! - done);
      const firstPfn = folios.pfn[run]! + done * step;
      const firstIndex = folios.index[run]! + done * step;
      for (let k = 0; k < part; k++) {
        pfn[i + k] = firstPfn + k * step;
        index[i + k] = firstIndex + k * step;
      }
      flags.fill(folios.flags[run]!, i, i + part);
      i += part;
      done += part;
    }
    encodeColumns(memfdLuoFolioSer, columns, bytes, 0, count, abi);
  });
}
