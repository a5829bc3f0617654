/** Records of files: their list, the handlers that they name, and their tokens. */
import type { Kernel } from "../../../../formats/kernels.js";
import { blockCapacity, KHO_MAX_BLOCKS } from "../../../../formats/kho/blocks.js";
import { khoBlockHeaderSer } from "../../../../formats/kho/layout.js";
import { fileAreaCapacity } from "../../../../formats/luo/encode.js";
import { luoFileSer, luoFileSetSer } from "../../../../formats/luo/layout.js";
import { memberOf } from "../../../layout/index.js";
import type { CraftCase } from "../case.js";
import type { Editor } from "../edit.js";
import { chainOfBlocks } from "../long-list.js";
import { beyondRam, file, fileBlock, fileSet, notCanonical } from "../places.js";

const live = ({ luo }: Kernel): boolean => luo !== undefined;
const inArea = ({ luo }: Kernel): boolean => luo === "luo-v1";
const inBlocks = (kernel: Kernel): boolean => live(kernel) && !inArea(kernel);

const filesOf = (editor: Editor, s: number): number => editor.handover.luo!.sessions[s]!.files.length;

const lists: readonly CraftCase[] = [
  {
    name: "file-list-cycle",
    about: "a session's list of file blocks leads back to its first block",
    area: "files",
    applies: inBlocks,
    spoil: (editor) =>
      editor.set(khoBlockHeaderSer, fileBlock(editor, 0, 0), "next", fileBlock(editor, 0, 0)),
  },
  {
    name: "file-block-empty",
    about: "a file block says that it holds no record",
    area: "files",
    applies: inBlocks,
    spoil: (editor) => editor.set(khoBlockHeaderSer, fileBlock(editor, 0, 0), "count", 0n),
  },
  {
    name: "file-block-overfull",
    about: "a file block says that it holds one record more than there is room for",
    area: "files",
    applies: inBlocks,
    spoil: (editor) =>
      editor.set(
        khoBlockHeaderSer,
        fileBlock(editor, 0, 0),
        "count",
        BigInt(blockCapacity(luoFileSer, editor) + 1),
      ),
  },
  {
    name: "file-next-beyond-ram",
    about: "the next file block is where there is no memory",
    area: "files",
    applies: inBlocks,
    spoil: (editor) => editor.set(khoBlockHeaderSer, fileBlock(editor, 0, 0), "next", beyondRam(editor)),
  },
  {
    name: "file-next-not-canonical",
    about: "the address of the next file block is none that can be mapped",
    area: "files",
    applies: inBlocks,
    spoil: (editor) => editor.set(khoBlockHeaderSer, fileBlock(editor, 0, 0), "next", notCanonical),
  },
  {
    name: "file-block-of-another-session",
    about: "two sessions have one list of file blocks",
    area: "files",
    applies: inBlocks,
    spoil(editor) {
      const { files, count } = editor.get(luoFileSetSer, fileSet(editor, 0));
      editor.set(luoFileSetSer, fileSet(editor, 1), "files", files);
      editor.set(luoFileSetSer, fileSet(editor, 1), "count", count);
    },
  },
  {
    name: "file-blocks-too-many",
    about: `a session has ${KHO_MAX_BLOCKS} more file blocks behind the first one`,
    area: "files",
    applies: inBlocks,
    plan: ({ memfd }) => ({
      prepare: (machine) =>
        chainOfBlocks(machine, luoFileSer, KHO_MAX_BLOCKS, (i) => ({
          compatible: memfd!,
          data: 0n,
          token: BigInt(1000 + i),
        })),
    }),
    spoil(editor) {
      editor.set(khoBlockHeaderSer, fileBlock(editor, 1, 0), "next", editor.spare[0]!);
      editor.set(luoFileSetSer, fileSet(editor, 1), "count", BigInt(filesOf(editor, 1) + KHO_MAX_BLOCKS));
    },
  },
  {
    name: "file-count-one-more",
    about: "a session counts one file more than it has",
    area: "files",
    applies: live,
    spoil: (editor) => editor.set(luoFileSetSer, fileSet(editor, 0), "count", BigInt(filesOf(editor, 0) + 1)),
  },
  {
    name: "file-record-of-zeros",
    about: "a file block counts one record more than was written",
    area: "files",
    applies: inBlocks,
    spoil: (editor) =>
      editor.set(khoBlockHeaderSer, fileBlock(editor, 0, 0), "count", BigInt(filesOf(editor, 0) + 1)),
  },
  {
    name: "file-count-too-large",
    about: "a session counts one file more than its area has room for",
    area: "files",
    applies: inArea,
    spoil: (editor) =>
      editor.set(luoFileSetSer, fileSet(editor, 0), "count", BigInt(fileAreaCapacity(editor) + 1)),
  },
];

const handlerOf = (editor: Editor, name: string): void =>
  editor.set(luoFileSer, file(editor, 0, 1), "compatible", name);

const records: readonly CraftCase[] = [
  {
    name: "file-unknown-handler",
    about: "the second file of a session is of a handler that no kernel has",
    area: "files",
    applies: live,
    spoil: (editor) => handlerOf(editor, "memfd-v9"),
  },
  {
    name: "file-empty-handler",
    about: "the second file of a session names no handler",
    area: "files",
    applies: live,
    spoil: (editor) => handlerOf(editor, ""),
  },
  {
    name: "file-handler-unterminated",
    about: "the name of a file's handler has no NUL",
    area: "files",
    applies: live,
    spoil: (editor) => handlerOf(editor, "h".repeat(memberOf(luoFileSer, "compatible", editor.abi).size)),
  },
  {
    name: "file-duplicate-token",
    about: "two files of a session have one token",
    area: "files",
    applies: live,
    spoil: (editor) =>
      editor.set(luoFileSer, file(editor, 0, 1), "token", editor.get(luoFileSer, file(editor, 0, 0)).token),
    // The other token is gone.
    asked: ([first, second]) => [{ ...first!, files: first!.files.slice(0, 1) }, second!],
  },
];

export const fileCases: readonly CraftCase[] = [...lists, ...records];
