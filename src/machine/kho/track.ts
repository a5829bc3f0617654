import { bitmapTracker } from "../../../formats/kho/bitmap-tracker.js";
import { encodeChunks } from "../../../formats/kho/map-bitmaps-encode.js";
import { radixShape } from "../../../formats/kho/map-radix.js";
import { radixEditor } from "../../../formats/kho/radix-editor.js";
import type { Target } from "../../../formats/target.js";
import { type PhysAddr, physAddr } from "../../memory/index.js";
import type { Ram } from "../ram.js";

/** What a kernel has preserved so far, kept in its memory in the form of its release. */
export interface Track {
  add(order: number, pfn: number, count: number): void;
  /** Clears what is set. */
  remove(order: number, pfn: number, count: number): void;
  has(order: number, pfn: number): boolean;
  /** Gives back all pages that it lies in. */
  free(): void;
}

/** Pages for the track itself. */
export interface TrackPages {
  readonly pageSize: number;
  allocate(what: string): PhysAddr;
  free(pa: PhysAddr): void;
}

/** The radix tree of 7.1 and later, live: what is in it at the jump is handed over. */
export interface RadixTrack extends Track {
  readonly rootPa: PhysAddr;
}

export function newRadixTrack(ram: Ram, { abi }: Target, pages: TrackPages): RadixTrack {
  const nodes: PhysAddr[] = [];
  const allocate = (): PhysAddr => {
    const pa = pages.allocate("radix node");
    nodes.push(pa);
    return pa;
  };
  const rootPa = allocate();
  const editor = radixEditor(ram, rootPa, radixShape(abi), abi, allocate);
  return {
    rootPa,
    add: editor.add,
    remove: editor.remove,
    has: editor.has,
    free() {
      for (const pa of nodes.splice(0)) pages.free(pa);
    },
  };
}

/** The bitmaps of 6.16 to 7.0, and the chunks that finalizing writes around them. */
export interface BitmapTrack extends Track {
  /** Writes the chunks of a new map and gives back those of the last one; 0 if nothing is preserved. */
  serialize(): PhysAddr;
}

export function newBitmapTrack(ram: Ram, target: Target, pages: TrackPages): BitmapTrack {
  const { kernel, abi } = target;
  const slab = newSlab(ram, pages);
  const tracker = bitmapTracker(ram, kernel.bitmap ?? "page", abi, () =>
    kernel.bitmap === 512 ? slab.allocate() : pages.allocate("kho bitmap"),
  );
  let chunks: PhysAddr[] = [];
  const freeChunks = (list: readonly PhysAddr[]): void => {
    for (const pa of list) pages.free(pa);
  };
  return {
    add: tracker.add,
    remove: tracker.remove,
    has: tracker.has,
    serialize() {
      const made: PhysAddr[] = [];
      try {
        const skeleton = tracker.skeleton(() => {
          const pa = pages.allocate("kho map");
          made.push(pa);
          return pa;
        });
        encodeChunks(target, skeleton);
      } catch (error) {
        freeChunks(made);
        throw error;
      }
      freeChunks(chunks);
      chunks = made;
      return made[0] ?? physAddr(0);
    },
    free() {
      freeChunks(chunks);
      chunks = [];
      tracker.free((pa) => (kernel.bitmap === 512 ? slab.free(pa) : pages.free(pa)));
    },
  };
}

/** Objects of 512 bytes, as the kernel's slab packs them into pages. */
function newSlab(ram: Ram, pages: TrackPages) {
  const size = 512;
  const zeros = new Uint8Array(size);
  const free: PhysAddr[] = [];
  const used = new Map<PhysAddr, number>();
  const pageOf = (pa: PhysAddr): PhysAddr => (pa - (pa % BigInt(pages.pageSize))) as PhysAddr;
  return {
    allocate(): PhysAddr {
      if (free.length === 0) {
        const page = pages.allocate("kho bitmap");
        used.set(page, 0);
        for (let at = pages.pageSize - size; at >= 0; at -= size) free.push(physAddr(page + BigInt(at)));
      }
      const pa = free.pop()!;
      ram.write(pa, zeros);
      used.set(pageOf(pa), used.get(pageOf(pa))! + 1);
      return pa;
    },
    free(pa: PhysAddr): void {
      const page = pageOf(pa);
      const left = used.get(page)! - 1;
      used.set(page, left);
      if (left > 0) {
        free.push(pa);
        return;
      }
      used.delete(page);
      for (let i = free.length - 1; i >= 0; i--) if (pageOf(free[i]!) === page) free.splice(i, 1);
      pages.free(page);
    },
  };
}
