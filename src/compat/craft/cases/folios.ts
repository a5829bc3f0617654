/** The entries of a memfd's list of folios. */
import type { Kernel } from "../../../../formats/kernels.js";
import { memfdLuoFolioSer } from "../../../../formats/memfd/layout.js";
import { pfnOf } from "../../../memory/index.js";
import { written } from "../../plan.js";
import type { CraftCase } from "../case.js";
import type { Editor } from "../edit.js";
import type { Plan } from "../good.js";
import { setPreserved } from "../map.js";
import { beyondRam, folio } from "../places.js";

const applies = ({ luo }: Kernel): boolean => luo !== undefined;
const entry = (editor: Editor, index: number) => editor.get(memfdLuoFolioSer, folio(editor, index));
const setPfn = (editor: Editor, index: number, pfn: number): void =>
  editor.set(memfdLuoFolioSer, folio(editor, index), "pfn", pfn);
const setIndex = (editor: Editor, index: number, page: bigint): void =>
  editor.set(memfdLuoFolioSer, folio(editor, index), "index", page);

/** A file of two folios of four pages, and one of single pages. */
const largeFolios = (): Plan => ({
  sessions: [
    {
      name: "large",
      files: [
        { token: 1n, size: 8 * 4096, folioOrder: 2, ranges: [written(0, 8)] },
        { token: 2n, size: 4096, ranges: [written(0)] },
      ],
    },
  ],
});

export const folioCases: readonly CraftCase[] = [
  {
    name: "folio-beyond-ram",
    about: "the first folio of a memfd is where there is no memory",
    area: "memfd",
    applies,
    spoil: (editor) => setPfn(editor, 0, pfnOf(beyondRam(editor), editor.abi.pageSize)),
  },
  {
    name: "folio-not-preserved",
    about: "the first folio of a memfd is not in the memory map",
    area: "memfd",
    applies,
    spoil: (editor) => setPreserved(editor, 0, entry(editor, 0).pfn, false),
  },
  {
    name: "folio-not-preserved-later",
    about: "the third folio of a memfd is not in the memory map",
    area: "memfd",
    applies,
    spoil: (editor) => setPreserved(editor, 0, entry(editor, 2).pfn, false),
  },
  {
    name: "folio-inside-of-block",
    about: "the second folio of a memfd begins behind the first page of a preserved block",
    area: "memfd",
    applies,
    plan: largeFolios,
    spoil: (editor) => setPfn(editor, 1, entry(editor, 1).pfn + 1),
  },
  {
    name: "folio-used-twice",
    about: "the third folio of a memfd is that of its first entry",
    area: "memfd",
    applies,
    spoil: (editor) => setPfn(editor, 2, entry(editor, 0).pfn),
  },
  {
    name: "folio-smaller-order",
    about: "of a folio of four pages the memory map has the first alone",
    area: "memfd",
    applies,
    plan: largeFolios,
    spoil(editor) {
      const { pfn } = entry(editor, 0);
      setPreserved(editor, 2, pfn, false);
      setPreserved(editor, 0, pfn, true);
    },
  },
  {
    name: "folio-index-twice",
    about: "two folios of a memfd are for one page of it",
    area: "memfd",
    applies,
    spoil: (editor) => setIndex(editor, 2, entry(editor, 1).index),
  },
  {
    name: "folio-index-descending",
    about: "the entries of a memfd do not ascend",
    area: "memfd",
    applies,
    spoil(editor) {
      const [second, fourth] = [entry(editor, 1), entry(editor, 3)];
      for (const [index, { pfn, index: page }] of [
        [1, fourth],
        [3, second],
      ] as const) {
        setPfn(editor, index, pfn);
        setIndex(editor, index, page);
      }
    },
  },
  {
    name: "folio-index-beyond-size",
    about: "the last folio of a memfd is for a page beyond its end",
    area: "memfd",
    applies,
    spoil: (editor) => setIndex(editor, 3, 9n),
  },
  {
    name: "folio-index-unaligned",
    about: "a folio of four pages is for a page of the memfd that no such folio can begin at",
    area: "memfd",
    applies,
    plan: largeFolios,
    spoil: (editor) => setIndex(editor, 1, entry(editor, 1).index + 1n),
  },
];
