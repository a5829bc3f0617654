/** Device and process directories: trees of pages with pointers above and contexts in the last ones. */
import { decode, littleWords, type Struct, sizeOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import type { DeviceWords } from "../device.js";
import { addressOfFrame, frameLg2, iommuAbi, wordOf } from "../entry.js";
import type { PageTable } from "../format.js";
import { reservedSet, type riscvIommuDc, type riscvIommuDcBase, riscvIommuDdte } from "./layout.js";
import type { PageReader } from "./pages.js";

export interface Directory {
  readonly root: PhysAddr;
  readonly levels: number;
  /** Bits of ids that there are at all: of devices 24. At most 24. */
  readonly idBits: number;
  readonly pointer: typeof riscvIommuDdte;
  readonly context: Struct;
  /** The table that addresses in the directory are looked up in, where it is a guest's. */
  readonly parent?: PageTable;
}

/** The directory of an IOMMU's devices, with contexts of either size. */
export const deviceDirectory = (
  root: PhysAddr,
  levels: number,
  context: typeof riscvIommuDc | typeof riscvIommuDcBase,
): Directory => ({ root, levels, idBits: 24, pointer: riscvIommuDdte, context });

/** A context with what leads to it. */
export interface Found {
  readonly id: number;
  /** The last are those of the context. */
  readonly words: readonly DeviceWords[];
  /** True if hardware stops at one of the pointers that lead to it. */
  readonly refused: boolean;
}

const pageBytes = 2 ** frameLg2;
/** Base-2 logarithm of how many of a structure are in a page. */
const perPage = (layout: Struct): number => Math.log2(pageBytes / sizeOf(layout, iommuAbi));

/** Bits of an id below those that are the index of a page at a level; level 0 are the contexts. */
const lowBits = ({ pointer, context }: Directory, level: number): number =>
  level === 0 ? 0 : perPage(context) + (level - 1) * perPage(pointer);

/** Bits of ids that a directory decides over. */
export const idWidth = (directory: Directory): number =>
  Math.min(directory.idBits, lowBits(directory, directory.levels));

/** Entries of a page at a level that an id can lead to. */
export const reachable = (directory: Directory, level: number): number =>
  Math.min(2 ** (idWidth(directory) - lowBits(directory, level)), 2 ** perPage(layoutAt(directory, level)));

/** Index of an id in the page of a level that leads to it. @param id below 2^24 */
export const indexAt = (directory: Directory, level: number, id: number): number =>
  (id >>> lowBits(directory, level)) % 2 ** perPage(layoutAt(directory, level));

/** What the pages of a level consist of. */
export const layoutAt = ({ pointer, context }: Directory, level: number): Struct =>
  level === 0 ? context : pointer;

/** Where a pointer leads; undefined if it is not valid. `words` are the pointers above, `refused` what is known of them. */
function follow(
  { ctx }: PageReader,
  { pointer }: Directory,
  bytes: Uint8Array,
  pa: PhysAddr,
  where: string,
  { words, refused }: Pick<Found, "words" | "refused">,
) {
  const value = decode(pointer, bytes, 0, iommuAbi);
  if (!value.V) return undefined;
  const reserved = reservedSet(value);
  if (reserved.length > 0) {
    const [lo = 0, hi = 0] = littleWords(bytes);
    ctx.report("error", "iommu-reserved-bits", `${pointer.name}: ${reserved.join(", ")} have to be zero`, {
      path: where,
      pa,
      length: bytes.length,
      actual: hex(wordOf(lo, hi)),
    });
  }
  return {
    pa: addressOfFrame(value.PPN),
    words: [...words, { layout: pointer, pa, bytes }],
    refused: refused || reserved.length > 0,
  };
}

/** The context of one id, and nothing else read; undefined where no page of contexts is there for it. */
export function contextOf(
  pages: PageReader,
  directory: Directory,
  id: number,
  path: string,
): Found | undefined {
  if (!(id >= 0 && id < 2 ** idWidth(directory))) return undefined;
  let at = { pa: directory.root, words: [] as readonly DeviceWords[], refused: false };
  let where = path;
  for (let level = directory.levels - 1; ; level--) {
    const layout = layoutAt(directory, level);
    const size = sizeOf(layout, iommuAbi);
    const index = indexAt(directory, level, id);
    const pa = physAddr(at.pa + BigInt(index * size));
    where += `[${index}]`;
    const bytes = pages.read(pa, size, where, directory.parent);
    if (!bytes) return undefined;
    if (level === 0) return { id, words: [...at.words, { layout, pa, bytes }], refused: at.refused };
    const next = follow(pages, directory, bytes, pa, where, at);
    if (!next) return undefined;
    at = next;
  }
}

/** Every context that is not all zeros, ascending by id. */
export function* contextsOf(pages: PageReader, directory: Directory, path: string): Generator<Found> {
  yield* below({ pa: directory.root, words: [], refused: false }, directory.levels - 1, 0, path);

  function* below(
    at: { readonly pa: PhysAddr } & Pick<Found, "words" | "refused">,
    level: number,
    first: number,
    where: string,
  ): Generator<Found> {
    const page = pages.page(at.pa, where, directory.parent);
    if (!page) return;
    const halves = littleWords(page);
    const layout = layoutAt(directory, level);
    const size = sizeOf(layout, iommuAbi);
    for (let index = 0; index < reachable(directory, level) && !pages.ended; index++) {
      if (halves.subarray((index * size) / 4, ((index + 1) * size) / 4).every((half) => half === 0)) continue;
      const id = first + index * 2 ** lowBits(directory, level);
      const pa = physAddr(at.pa + BigInt(index * size));
      const bytes = page.subarray(index * size, (index + 1) * size);
      if (level === 0) {
        yield { id, words: [...at.words, { layout, pa, bytes }], refused: at.refused };
        continue;
      }
      const next = follow(pages, directory, bytes, pa, `${where}[${index}]`, at);
      if (next) yield* below(next, level - 1, id, `${where}[${index}]`);
    }
  }
}
