import {
  addressOf,
  type ByteSource,
  type Memory,
  type MemoryRange,
  type Pfn,
  type PhysAddr,
  pfn as pageFrame,
  pfnOf,
  segmentedMemory,
} from "../memory/index.js";
import { type Intervals, newIntervals } from "./intervals.js";

/** Physical memory of a simulated machine: every byte of RAM can be read and written, only pages in use cost anything. */
export interface Ram extends Memory {
  /**
   * As of any memory. A view of a stored page may or may not show what is written to it later: who keeps bytes while
   * memory changes copies them.
   */
  read(pa: PhysAddr, length: number): Uint8Array;
  /** Writes bytes; they may cross pages. @throws KhoError `memory-absent` outside of RAM, nothing is written then */
  write(pa: PhysAddr, bytes: Uint8Array): void;
  /** Makes pages read as zeros, without storing them. @throws KhoError `memory-absent` outside of RAM */
  zero(pfn: number, pages: number): void;
  /** True if any byte of the page was written and may differ from zero: what need not be copied is not stored. */
  isStored(pfn: number): boolean;
  /**
   * Fills pages with {@link poisonByte}, without storing them: what the next user of free memory leaves there.
   * @throws KhoError `memory-absent` outside of RAM
   */
  poison(pfn: number, pages: number): void;
  /** What is in these pages, ascending, without gaps. O(stored pages + changes between zeros and poison). */
  contents(pfn: number, pages: number): Content[];
  /** An independent copy. Both share stored pages until one of them writes to them. */
  snapshot(): Ram;
  /** RAM as the firmware describes it. */
  readonly ranges: readonly MemoryRange[];
}

/** A stretch of pages with one kind of content. */
export interface Content {
  readonly pfn: Pfn;
  readonly pages: number;
  readonly kind: "zeros" | "poison" | "stored";
}

/** What every byte of poisoned memory is. */
export const poisonByte = 0xa5;

/** Pages that have a content from the beginning, without being stored: those of a file that holds a machine's memory. */
export interface GivenPages {
  readonly stretches: readonly { readonly pfn: number; readonly pages: number }[];
  /** The bytes of one of them, always the same; they are not changed. */
  page(pfn: number): Uint8Array;
}

/** Bytes of a page, and the RAM that may change them; all others copy them first. */
interface Page {
  readonly user: object;
  readonly bytes: Uint8Array;
}

/** The stored pages among `chunkPages` neighbours, by PFN, and the RAM that may change which these are. */
interface Chunk {
  readonly user: object;
  readonly pages: Map<number, Page>;
}

/** Forgetting a large folio's pages, or sharing them, is one step where it is one chunk. */
const chunkPages = 512;

/** What a page is that is not stored and not zeros. */
type Unstored = "poison" | "given";

/** What a RAM is made of. */
export interface RamOptions {
  /** Bytes, in any order; they need not be whole pages, as firmware's are not. */
  readonly ranges: readonly MemoryRange[];
  /** Bytes. */
  readonly pageSize: number;
  readonly given?: GivenPages;
}

/** RAM that reads as zeros, but for pages that are given. */
export function newRam({ ranges, pageSize, given = noPages }: RamOptions): Ram {
  const unstored = newIntervals<Unstored>();
  for (const { pfn, pages } of given.stretches) unstored.set(pfn, pfn + pages, "given");
  return ramOf(ranges, pageSize, given.page, new Map(), unstored);
}

const noPages: GivenPages = { stretches: [], page: () => new Uint8Array(0) };

/** `chunks` by PFN / `chunkPages`. Of a page that is stored `unstored` says nothing. */
function ramOf(
  banks: readonly MemoryRange[],
  pageSize: number,
  given: GivenPages["page"],
  chunks: Map<number, Chunk>,
  unstored: Intervals<Unstored>,
): Ram {
  /** Stands for this RAM; a new one from every snapshot on, which may not see later writes. */
  let user = {};

  const stored = (pfn: number): Uint8Array | undefined =>
    chunks.get(Math.floor(pfn / chunkPages))?.pages.get(pfn)?.bytes;

  /** The chunk of that number, as one that may be changed. */
  const ownChunk = (number: number): Chunk => {
    const chunk = chunks.get(number);
    if (chunk?.user === user) return chunk;
    const own = { user, pages: new Map(chunk?.pages) };
    chunks.set(number, own);
    return own;
  };

  /** The bytes of a page, to be written to. */
  const writable = (pfn: number): Uint8Array => {
    const { pages } = ownChunk(Math.floor(pfn / chunkPages));
    const page = pages.get(pfn);
    if (page?.user === user) return page.bytes;
    const kind = page ? undefined : unstored.get(pfn);
    const bytes = page
      ? page.bytes.slice()
      : kind === "given"
        ? given(pfn).slice()
        : new Uint8Array(pageSize);
    if (kind === "poison") bytes.fill(poisonByte);
    pages.set(pfn, { user, bytes });
    return bytes;
  };

  /** Numbers of the chunks that have pages of `[from, to)`, in any order. */
  const chunksIn = (from: number, to: number): number[] => {
    const [first, last] = [Math.floor(from / chunkPages), Math.floor((to - 1) / chunkPages)];
    if (last - first >= chunks.size) return [...chunks.keys()].filter((n) => n >= first && n <= last);
    const found: number[] = [];
    for (let number = first; number <= last; number++) if (chunks.has(number)) found.push(number);
    return found;
  };

  /** The stored pages in `[from, to)`, ascending. */
  const storedIn = (from: number, to: number): number[] =>
    chunksIn(from, to)
      .flatMap((number) => [...chunks.get(number)!.pages.keys()])
      .filter((pfn) => pfn >= from && pfn < to)
      .sort((a, b) => a - b);

  /** Forgets the stored pages in `[from, to)`. */
  const forget = (from: number, to: number): void => {
    for (const number of chunksIn(from, to)) {
      const start = number * chunkPages;
      if (start < from || start + chunkPages > to) {
        const gone = [...chunks.get(number)!.pages.keys()].filter((pfn) => pfn >= from && pfn < to);
        if (gone.length === 0) continue;
        const { pages } = ownChunk(number);
        for (const pfn of gone) pages.delete(pfn);
        if (pages.size > 0) continue;
      }
      chunks.delete(number);
    }
  };

  /** Makes pages read as all poison or all zeros. */
  const unstore = (pfn: number, pages: number, poison: "poison" | undefined): void => {
    if (pages === 0) return;
    demand(addressOf(pfn, pageSize), pages * pageSize);
    forget(pfn, pfn + pages);
    unstored.set(pfn, pfn + pages, poison);
  };

  /** The bytes of one bank, from a page and an offset in it on. */
  const bank = ({ pa, size }: MemoryRange): ByteSource => {
    const first = pfnOf(pa, pageSize);
    const skip = Number(pa % BigInt(pageSize));
    return {
      size: Number(size),
      read(at, length) {
        const from = first + Math.floor((skip + at) / pageSize);
        const offset = (skip + at) % pageSize;
        if (offset + length <= pageSize) {
          const page = stored(from) ?? (unstored.get(from) === "given" ? given(from) : undefined);
          if (page) return page.subarray(offset, offset + length);
        }
        const bytes = new Uint8Array(length);
        const to = from + Math.ceil((offset + length) / pageSize);
        const put = (pfn: number, page: Uint8Array | undefined): void => {
          const start = (pfn - from) * pageSize - offset;
          if (page) bytes.set(page.subarray(Math.max(-start, 0), length - start), Math.max(start, 0));
        };
        for (const piece of unstored.pieces(from, to)) {
          const end = (piece.to - from) * pageSize - offset;
          if (piece.value === "poison")
            bytes.fill(poisonByte, Math.max((piece.from - from) * pageSize - offset, 0), end);
          else for (let pfn = piece.from; pfn < piece.to; pfn++) if (!stored(pfn)) put(pfn, given(pfn));
        }
        for (let pfn = from; pfn < to; pfn++) put(pfn, stored(pfn));
        return bytes;
      },
    };
  };

  const { memory } = segmentedMemory(banks.map((range) => ({ ...range, source: bank(range), at: 0 })));
  /** @throws KhoError `memory-absent`, as a read of these bytes would */
  const demand = (pa: PhysAddr, length: number): void => {
    if (!memory.has(pa, length)) memory.read(pa, length);
  };

  return {
    ranges: memory.ranges.map(({ pa, size }) => ({ pa, size })),
    read: memory.read,
    has: memory.has,
    write(pa, bytes) {
      demand(pa, bytes.length);
      let pfn = pfnOf(pa, pageSize);
      let offset = Number(pa % BigInt(pageSize));
      for (let done = 0; done < bytes.length; pfn++, offset = 0) {
        const part = bytes.subarray(done, done + pageSize - offset);
        done += part.length;
        if (isZero(part)) {
          // Zeros are stored only where they are among other bytes.
          if (part.length === pageSize) unstore(pfn, 1, undefined);
          if (!stored(pfn) && !unstored.get(pfn)) continue;
        }
        writable(pfn).set(part, offset);
      }
    },
    zero: (pfn, pages) => unstore(pfn, pages, undefined),
    poison: (pfn, pages) => unstore(pfn, pages, "poison"),
    isStored: (pfn) => stored(pfn) !== undefined || unstored.get(pfn) === "given",
    contents(pfn, pages) {
      const end = pfn + pages;
      const found: { -readonly [K in keyof Content]: Content[K] }[] = [];
      const add = (from: number, to: number, kind: Content["kind"]): void => {
        const last = found.at(-1);
        if (from === to) return;
        if (last?.kind === kind) last.pages += to - from;
        else found.push({ pfn: pageFrame(from), pages: to - from, kind });
      };
      const addUnstored = (from: number, to: number): void => {
        if (from === to) return;
        let at = from;
        for (const piece of unstored.pieces(from, to)) {
          add(at, piece.from, "zeros");
          add(piece.from, piece.to, piece.value === "given" ? "stored" : "poison");
          at = piece.to;
        }
        add(at, to, "zeros");
      };
      if (pages === 0) return [];
      let at = pfn;
      for (const page of storedIn(pfn, end)) {
        addUnstored(at, page);
        add(page, page + 1, "stored");
        at = page + 1;
      }
      addUnstored(at, end);
      return found;
    },
    snapshot() {
      user = {};
      return ramOf(banks, pageSize, given, new Map(chunks), unstored.copy());
    },
  };
}

/** The pages of some stretches that are not known to be zeros: what a file of this memory has to hold. */
export function storedRanges(
  ram: Ram,
  stretches: Iterable<{ readonly pfn: number; readonly pages: number }>,
): { readonly pfn: Pfn; readonly pages: number }[] {
  const ranges: { pfn: Pfn; pages: number }[] = [];
  for (const stretch of stretches)
    for (const { pfn, pages, kind } of ram.contents(stretch.pfn, stretch.pages)) {
      const last = ranges.at(-1);
      if (kind === "zeros") continue;
      if (last && last.pfn + last.pages === pfn) last.pages += pages;
      else ranges.push({ pfn, pages });
    }
  return ranges;
}

function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}
