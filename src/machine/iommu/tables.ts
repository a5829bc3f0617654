import type { TableStore } from "../../../formats/iommu/domain.js";
import { addressOfFrame } from "../../../formats/iommu/entry.js";
import { type PageTable, rootEntries } from "../../../formats/iommu/format.js";
import { type LeafSink, walkTable } from "../../../formats/iommu/walk.js";
import type { PhysAddr } from "../../memory/index.js";
import type { Finding } from "../../report/finding.js";
import { allocateZeroed } from "../allocate.js";
import { errnoOf } from "../errno.js";
import { type KernelCore, pageOf, paOf } from "../kernel.js";
import { readingContext } from "../reading.js";

/** Who holds page tables, as the page allocator lists it, and the tables of an IOMMU that lead to them. */
export const tableOwner = "iommu page tables";
export const unitOwner = "iommu device tables";

/** A block of memory that is taken and given back as one: `2 ** order` pages. */
export interface Block {
  readonly pa: PhysAddr;
  readonly order: number;
}

/** The block that a table of so many bytes takes. */
export const orderOf = (bytes: number, { abi }: Pick<KernelCore, "abi">): number =>
  Math.ceil(Math.log2(Math.max(1, bytes / abi.pageSize)));

/** Memory for tables. `owner` is who the page allocator says holds it. */
export function tableStore(core: KernelCore, owner: string): TableStore {
  const { ram, pages, abi } = core;
  return {
    allocate(bytes) {
      try {
        return paOf(allocateZeroed(core, orderOf(bytes, core), owner), abi);
      } catch (error) {
        if (errnoOf(error) !== "ENOMEM") throw error;
        return undefined;
      }
    },
    free: (pa, bytes) => pages.free(pageOf(pa, abi), orderOf(bytes, core)),
    read: (pa, length) => ram.read(pa, length),
    write: (pa, bytes) => ram.write(pa, bytes),
  };
}

/** A store that at first has everything already. */
export interface ReplayStore extends TableStore {
  /** From now on it is what it stands for. */
  end(): void;
}

/**
 * A store to make tables again that are there: what is asked for is where it was, in the same order, and nothing is written.
 * Whoever does the same as was done before is then where he was before.
 * @param there what will be asked for
 */
export function replayStore(store: TableStore, there: readonly PhysAddr[]): ReplayStore {
  const left = [...there];
  let replaying = true;
  return {
    ...store,
    allocate: (bytes, level) => (replaying ? left.shift() : store.allocate(bytes, level)),
    write(pa, bytes) {
      if (!replaying) store.write(pa, bytes);
    },
    end() {
      replaying = false;
    },
  };
}

/**
 * The tables of a page table, each before those that it leads to.
 * @param visit told each table once it is read; false ends the walk
 * @returns the first thing that is wrong with them
 */
export function eachTable(
  core: KernelCore,
  table: PageTable,
  path: string,
  visit: (table: Block) => boolean,
): Finding | undefined {
  const findings: Finding[] = [];
  const bytesAt = (level: number): number =>
    level < table.levels - 1 ? 2 ** table.format.granuleLg2 : rootEntries(table) * 8;
  let full = false;
  const sink: LeafSink = {
    leaves: () => {},
    table(frame, level) {
      if (!full) full = !visit({ pa: addressOfFrame(frame), order: orderOf(bytesAt(level), core) });
    },
    get full() {
      return full;
    },
  };
  walkTable(readingContext(core, findings), table, sink, path);
  return findings.find(({ severity }) => severity === "error");
}
