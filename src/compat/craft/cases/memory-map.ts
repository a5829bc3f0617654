/** The memory map: nobody checks it, so that what is wrong with it stops the boot, or is believed. */
import type { Kernel } from "../../../../formats/kernels.js";
import { chunkCapacity } from "../../../../formats/kho/bitmap-cells.js";
import {
  khoRadixNode,
  khoserMemBitmapPtr,
  khoserMemChunk,
  khoserMemChunkHdr,
} from "../../../../formats/kho/layout.js";
import { offsetOf } from "../../../layout/index.js";
import { type PhysAddr, pfnOf, physAddr } from "../../../memory/index.js";
import { written } from "../../plan.js";
import type { CraftCase } from "../case.js";
import type { Editor } from "../edit.js";
import { type Plan, twoSessions } from "../good.js";
import { setPreserved } from "../map.js";
import { beyondRam, notCanonical } from "../places.js";

const inChunks = ({ bitmap }: Kernel): boolean => bitmap !== undefined;
const inTree = (kernel: Kernel): boolean => !inChunks(kernel);

const first = ({ handover }: Editor): PhysAddr => handover.preserved!.rootPa;
const header = (editor: Editor): PhysAddr =>
  physAddr(first(editor) + BigInt(offsetOf(khoserMemChunk, "hdr", editor.abi)));
/** The first entry of the first chunk. */
const entry = (editor: Editor): PhysAddr =>
  physAddr(first(editor) + BigInt(offsetOf(khoserMemChunk, "bitmaps", editor.abi)));
/** The last chunk's header, so that all others are read before. */
function lastHeader(editor: Editor): PhysAddr {
  let at = first(editor);
  for (;;) {
    const { next } = editor.get(khoserMemChunk, at).hdr;
    if (next === 0n) return physAddr(at + BigInt(offsetOf(khoserMemChunk, "hdr", editor.abi)));
    at = next;
  }
}

const chunks: readonly CraftCase[] = [
  {
    name: "map-chunk-beyond-ram",
    about: "the next chunk of the memory map is where there is no memory",
    area: "map",
    applies: inChunks,
    spoil: (editor) => editor.set(khoserMemChunkHdr, lastHeader(editor), "next", beyondRam(editor)),
  },
  {
    name: "map-chunk-not-canonical",
    about: "the address of the next chunk of the memory map is none that can be mapped",
    area: "map",
    applies: inChunks,
    spoil: (editor) => editor.set(khoserMemChunkHdr, lastHeader(editor), "next", notCanonical),
  },
  {
    name: "map-chunk-cycle",
    about: "the list of chunks leads back to the first one",
    area: "map",
    applies: inChunks,
    spoil: (editor) => editor.set(khoserMemChunkHdr, lastHeader(editor), "next", first(editor)),
  },
  {
    name: "map-chunk-overfull",
    about: "a chunk says that it has more entries than there is room for",
    area: "map",
    applies: inChunks,
    spoil: (editor) =>
      editor.set(khoserMemChunkHdr, header(editor), "num_elms", chunkCapacity(editor.abi) + 1),
  },
  {
    name: "map-chunk-order-31",
    about: "the blocks of a chunk are of order 31, which a shift of 32 bits cannot do",
    area: "map",
    applies: inChunks,
    spoil: (editor) => editor.set(khoserMemChunkHdr, header(editor), "order", 31),
  },
  {
    name: "map-bitmap-address-0",
    about: "an entry of a chunk has its bitmap at address 0",
    area: "map",
    applies: inChunks,
    spoil: (editor) => editor.set(khoserMemBitmapPtr, entry(editor), "bitmap", physAddr(0)),
  },
  {
    name: "map-bitmap-beyond-ram",
    about: "the bitmap of an entry is where there is no memory",
    area: "map",
    applies: inChunks,
    spoil: (editor) => editor.set(khoserMemBitmapPtr, entry(editor), "bitmap", beyondRam(editor)),
  },
];

/** The last entry that the root uses: that of the blocks of order 0. */
const used = (editor: Editor): number =>
  (editor.get(khoRadixNode, first(editor)).table as BigUint64Array).findLastIndex((child) => child !== 0n);
const setChild = (editor: Editor, index: number, child: PhysAddr): void =>
  editor.setElement(khoRadixNode, first(editor), "table", index, child);

const tree: readonly CraftCase[] = [
  {
    name: "map-child-beyond-ram",
    about: "the root of the memory map leads to where there is no memory",
    area: "map",
    applies: inTree,
    spoil: (editor) => setChild(editor, used(editor), beyondRam(editor)),
  },
  {
    name: "map-child-not-canonical",
    about: "the root of the memory map leads to an address that cannot be mapped",
    area: "map",
    applies: inTree,
    spoil: (editor) => setChild(editor, used(editor), notCanonical),
  },
  {
    name: "map-child-itself",
    about: "the root of the memory map leads to itself",
    area: "map",
    applies: inTree,
    spoil: (editor) => setChild(editor, used(editor), first(editor)),
  },
];

/** A folio of order 9, whose bits of the map reach far beyond any memory of these machines. */
const hugeOrder = 9;
const withHugeFolio = (): Plan => ({
  sessions: [
    ...twoSessions,
    {
      name: "huge",
      files: [{ token: 9n, size: 2 ** hugeOrder * 4096, folioOrder: hugeOrder, ranges: [written(0)] }],
    },
  ],
});
const live = ({ luo }: Kernel): boolean => luo !== undefined;

const blocks: readonly CraftCase[] = [
  {
    name: "map-block-beyond-ram",
    about: "a block that the memory map lists is where there is no memory",
    area: "map",
    applies: live,
    plan: withHugeFolio,
    spoil(editor) {
      const { pageSize } = editor.abi;
      // The largest power of two among the blocks that the bitmap, or leaf, of this order still tells of.
      setPreserved(editor, hugeOrder, (pageSize * 8 * 2 ** hugeOrder) / 2, true);
    },
  },
  {
    name: "map-block-in-scratch",
    about: "a block that the memory map lists lies in scratch",
    area: "map",
    applies: live,
    plan: withHugeFolio,
    spoil(editor) {
      const { scratch } = editor.handover;
      const largest = scratch.reduce((one, other) => (other.size > one.size ? other : one));
      const pages = 2 ** hugeOrder;
      const pfn = Math.ceil(pfnOf(largest.pa, editor.abi.pageSize) / pages) * pages;
      setPreserved(editor, hugeOrder, pfn, true);
    },
  },
  {
    name: "map-blocks-overlap",
    about: "two blocks that the memory map lists cover the same memory",
    area: "map",
    applies: live,
    plan: withHugeFolio,
    spoil(editor) {
      const { pfn } = editor.handover.luo!.sessions.at(-1)!.files[0]!.memfd!.folios;
      setPreserved(editor, 0, pfn[0]! + 1, true);
    },
  },
];

export const memoryMapCases: readonly CraftCase[] = [...chunks, ...tree, ...blocks];
