/** A memfd's own structure, and the vmalloc area that lists its folios. */
import type { Kernel } from "../../../../formats/kernels.js";
import { khoVmalloc, khoVmallocChunk } from "../../../../formats/kho/layout.js";
import { luoFileSer } from "../../../../formats/luo/layout.js";
import { MEMFD_LUO_ALL_SEALS, memfdLuoFolioSer } from "../../../../formats/memfd/layout.js";
import { sizeOf } from "../../../layout/index.js";
import { pfnOf, physAddr } from "../../../memory/index.js";
import type { CraftCase } from "../case.js";
import type { Editor } from "../edit.js";
import { setPreserved } from "../map.js";
import {
  beyondRam,
  file,
  folioArea,
  folioChunk,
  folioList,
  memfd,
  memfdLayout,
  notCanonical,
} from "../places.js";

const live = ({ luo }: Kernel): boolean => luo !== undefined;
const v2 = (kernel: Kernel): boolean => kernel.memfd === "memfd-v2";

const setData = (editor: Editor, data: bigint): void =>
  editor.set(luoFileSer, file(editor, 0, 0), "data", data);

const header: readonly CraftCase[] = [
  {
    name: "memfd-data-0",
    about: "the structure of a memfd is at address 0",
    area: "memfd",
    applies: live,
    spoil: (editor) => setData(editor, 0n),
  },
  {
    name: "memfd-data-beyond-ram",
    about: "the structure of a memfd is where there is no memory",
    area: "memfd",
    applies: live,
    spoil: (editor) => setData(editor, beyondRam(editor)),
  },
  {
    name: "memfd-data-not-canonical",
    about: "the address of a memfd's structure is none that can be mapped",
    area: "memfd",
    applies: live,
    spoil: (editor) => setData(editor, notCanonical),
  },
  {
    name: "memfd-unknown-seals",
    about: "a memfd has a seal that no kernel knows",
    area: "memfd",
    applies: v2,
    spoil: (editor) => editor.set(memfdLayout(editor), memfd(editor), "seals", MEMFD_LUO_ALL_SEALS + 1),
  },
  {
    name: "memfd-flags",
    about: "the reserved flags of a memfd are not 0",
    area: "memfd",
    applies: v2,
    spoil: (editor) => editor.set(memfdLayout(editor), memfd(editor), "flags", 1),
  },
  {
    name: "memfd-negative-position",
    about: "the position of a memfd has its highest bit set",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(memfdLayout(editor), memfd(editor), "pos", 1n << 63n),
  },
  {
    name: "memfd-position-beyond-size",
    about: "the position of a memfd is far beyond its end",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(memfdLayout(editor), memfd(editor), "pos", 1n << 40n),
  },
  {
    name: "memfd-size-0",
    about: "a memfd with folios is said to be empty",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(memfdLayout(editor), memfd(editor), "size", 0n),
  },
  {
    name: "memfd-size-smaller",
    about: "a memfd is said to be smaller than its folios",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(memfdLayout(editor), memfd(editor), "size", BigInt(editor.abi.pageSize)),
  },
  {
    name: "memfd-size-larger",
    about: "a memfd is said to be larger than its folios",
    area: "memfd",
    applies: live,
    spoil: (editor) =>
      editor.set(memfdLayout(editor), memfd(editor), "size", BigInt(10 * editor.abi.pageSize)),
  },
  {
    name: "memfd-negative-size",
    about: "the size of a memfd has its highest bit set",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(memfdLayout(editor), memfd(editor), "size", 1n << 63n),
  },
  {
    name: "memfd-without-folios",
    about: "a memfd that is not empty counts no folio",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(memfdLayout(editor), memfd(editor), "nr_folios", 0n),
  },
  {
    name: "memfd-folios-unwritten",
    about:
      "a memfd counts as many folios as the page of its list has room for, of which most were not written",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(memfdLayout(editor), memfd(editor), "nr_folios", entriesPerPage(editor)),
  },
  {
    name: "memfd-folios-too-many",
    about: "a memfd counts more folios than its list has room for",
    area: "memfd",
    applies: live,
    spoil: (editor) =>
      editor.set(memfdLayout(editor), memfd(editor), "nr_folios", entriesPerPage(editor) + 1n),
  },
];

const entriesPerPage = ({ abi }: Editor): bigint => BigInt(abi.pageSize / sizeOf(memfdLuoFolioSer, abi));

const area: readonly CraftCase[] = [
  {
    name: "memfd-list-without-chunk",
    about: "the list of a memfd's folios begins at address 0",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(khoVmalloc, folioArea(editor), "first", physAddr(0)),
  },
  {
    name: "memfd-chunk-beyond-ram",
    about: "the chunk that lists the pages of a memfd's list is where there is no memory",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(khoVmalloc, folioArea(editor), "first", beyondRam(editor)),
  },
  {
    name: "memfd-chunk-not-canonical",
    about: "the address of the chunk that lists the pages of a memfd's list is none that can be mapped",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(khoVmalloc, folioArea(editor), "first", notCanonical),
  },
  {
    name: "memfd-chunk-cycle",
    about: "the chunk that lists the pages of a memfd's list leads back to itself",
    area: "memfd",
    applies: live,
    spoil(editor) {
      const chunk = folioChunk(editor);
      editor.set(khoVmallocChunk, chunk, "hdr", { next: chunk });
    },
  },
  {
    name: "memfd-chunk-not-preserved",
    about: "the chunk that lists the pages of a memfd's list is not in the memory map",
    area: "memfd",
    applies: live,
    spoil: (editor) => setPreserved(editor, 0, pfnOf(folioChunk(editor), editor.abi.pageSize), false),
  },
  {
    name: "memfd-list-pages-more",
    about: "the list of a memfd's folios has one page more than is listed",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(khoVmalloc, folioArea(editor), "total_pages", 2),
  },
  {
    name: "memfd-list-pages-fewer",
    about: "the list of a memfd's folios has one page less than is listed",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(khoVmalloc, folioArea(editor), "total_pages", 0),
  },
  {
    name: "memfd-list-order",
    about: "the pages of a memfd's list are said to be of order 1",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(khoVmalloc, folioArea(editor), "order", 1),
  },
  {
    name: "memfd-list-flags",
    about: "the list of a memfd's folios has flags that no kernel knows",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.set(khoVmalloc, folioArea(editor), "flags", 0xfff1),
  },
  {
    name: "memfd-list-page-beyond-ram",
    about: "the page of a memfd's list is where there is no memory",
    area: "memfd",
    applies: live,
    spoil: (editor) => editor.setElement(khoVmallocChunk, folioChunk(editor), "phys", 0, beyondRam(editor)),
  },
  {
    name: "memfd-list-page-low-bits",
    about: "the address of the page of a memfd's list is not that of its first byte",
    area: "memfd",
    applies: live,
    spoil: (editor) =>
      editor.setElement(khoVmallocChunk, folioChunk(editor), "phys", 0, folioList(editor) + 0x123n),
  },
  {
    name: "memfd-list-not-preserved",
    about: "the page of a memfd's list is not in the memory map",
    area: "memfd",
    applies: live,
    spoil: (editor) => setPreserved(editor, 0, pfnOf(folioList(editor), editor.abi.pageSize), false),
  },
];

export const memfdCases: readonly CraftCase[] = [...header, ...area];
