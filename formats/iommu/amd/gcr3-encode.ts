/** GCR3 tables as the driver writes them. */
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import type { TableStore } from "../domain.js";
import { addressOfFrame, frameLg2, frameOf, packWord, unpackWord } from "../entry.js";
import { atIndex } from "../structures.js";
import { entriesOfPage, itemPasids } from "./gcr3.js";
import { gcr3Entry } from "./layout.js";

/** The GCR3 table of a device. */
export interface Gcr3Writer {
  readonly root: PhysAddr;
  readonly levels: number;
  /** Gives a PASID a v2 table. Tables on the way to its entry are made when they are needed first. */
  set(pasid: number, root: PhysAddr): "ENOMEM" | undefined;
  /** Takes the table of a PASID away. */
  clear(pasid: number): void;
  /** Gives all pages back. */
  free(): void;
}

const pageBytes = 2 ** frameLg2;

/** @param smeMask is in the entries, not in `root`. @returns undefined if there is no memory */
export function newGcr3(store: TableStore, levels: number, smeMask: bigint): Gcr3Writer | undefined {
  const root = store.allocate(pageBytes, levels - 1);
  if (root === undefined) return undefined;

  const write = (pa: PhysAddr, to: PhysAddr | undefined): void => {
    const bytes = new Uint8Array(8);
    const word = to === undefined ? 0n : packWord(gcr3Entry, { V: 1, ADDR: frameOf(to | smeMask) });
    new DataView(bytes.buffer).setBigUint64(0, word, true);
    store.write(pa, bytes);
  };
  /** Where the entry at `pa` leads. */
  const read = (pa: PhysAddr): PhysAddr | undefined => {
    const bytes = store.read(pa, 8);
    const word = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
    const { V, ADDR } = unpackWord(gcr3Entry, word);
    return V === 1 ? physAddr(addressOfFrame(ADDR) & ~smeMask) : undefined;
  };
  /** The place of a PASID's entry; undefined where a table is missing and `make` has none. */
  const place = (
    pasid: number,
    make: (level: number) => PhysAddr | undefined = () => undefined,
  ): PhysAddr | undefined => {
    let page = root;
    for (let level = levels - 1; ; level--) {
      const pa = atIndex(gcr3Entry, page, Math.floor(pasid / itemPasids(level)) % entriesOfPage);
      if (level === 0) return pa;
      let below = read(pa);
      if (below === undefined) {
        below = make(level - 1);
        if (below === undefined) return undefined;
        write(pa, below);
      }
      page = below;
    }
  };
  const freePage = (page: PhysAddr, level: number): void => {
    for (let i = 0; i < entriesOfPage && level > 0; i++) {
      const below = read(atIndex(gcr3Entry, page, i));
      if (below !== undefined) freePage(below, level - 1);
    }
    store.free(page, pageBytes);
  };

  return {
    root,
    levels,
    set(pasid, to) {
      const pa = place(pasid, (level) => store.allocate(pageBytes, level));
      if (pa === undefined) return "ENOMEM";
      write(pa, to);
      return undefined;
    },
    clear(pasid) {
      const pa = place(pasid);
      if (pa !== undefined) write(pa, undefined);
    },
    free: () => freePage(root, levels - 1),
  };
}
