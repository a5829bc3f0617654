import type { TableStore } from "../../../formats/iommu/domain.js";
import { type Memory, type PhysAddr, physAddr, sparseMemory } from "../../../src/memory/index.js";

/** Table pages from an address upward, each aligned to its size, never used again: how the vectors were made. */
export interface Store extends TableStore {
  readonly memory: Memory;
  /** Tables that are in use, by address, with their size in bytes. */
  readonly tables: ReadonlyMap<bigint, number>;
  /** How many tables may still be handed out; unlimited unless set. */
  left: number;
}

export function newStore(base = 0x100000000n): Store {
  const memory = sparseMemory();
  const tables = new Map<bigint, number>();
  let next = base;
  const store: Store = {
    memory,
    tables,
    left: Number.POSITIVE_INFINITY,
    allocate(bytes) {
      if (store.left-- <= 0) return undefined;
      const size = BigInt(Math.max(bytes, 4096));
      next = ((next + size - 1n) / size) * size;
      const pa = physAddr(next);
      next += size;
      memory.cover(pa, Number(size));
      tables.set(pa, bytes);
      return pa;
    },
    free(pa) {
      if (!tables.delete(pa)) throw new Error(`freed what is not in use: ${pa.toString(16)}`);
    },
    read: (pa: PhysAddr, length) => memory.read(pa, length),
    write: (pa, bytes) => memory.write(pa, bytes),
  };
  return store;
}

/** Every table in use with its entries that are not zero. */
export function contentOf({ memory, tables }: Store): Record<string, Record<string, string>> {
  const found: Record<string, Record<string, string>> = {};
  for (const [pa, bytes] of [...tables].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const entries: Record<string, string> = {};
    const read = memory.read(physAddr(pa), bytes);
    const view = new DataView(read.buffer, read.byteOffset, bytes);
    for (let i = 0; i < bytes / 8; i++) {
      const word = view.getBigUint64(i * 8, true);
      if (word !== 0n) entries[i] = `0x${word.toString(16).padStart(16, "0")}`;
    }
    found[`0x${pa.toString(16)}`] = entries;
  }
  return found;
}
