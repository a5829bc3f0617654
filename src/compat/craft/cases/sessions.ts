/** Sessions: their list, their names, and what they say of their files. */
import type { Kernel } from "../../../../formats/kernels.js";
import { blockCapacity, KHO_MAX_BLOCKS } from "../../../../formats/kho/blocks.js";
import { khoBlockHeaderSer } from "../../../../formats/kho/layout.js";
import { sessionAreaCapacity } from "../../../../formats/luo/encode.js";
import { luoFileSetSer, luoSessionHeaderSer, luoSessionSer } from "../../../../formats/luo/layout.js";
import { type Abi, memberOf } from "../../../layout/index.js";
import { physAddr } from "../../../memory/index.js";
import type { SessionPlan } from "../../plan.js";
import type { CraftCase } from "../case.js";
import type { Editor } from "../edit.js";
import { twoSessions } from "../good.js";
import { chainOfBlocks } from "../long-list.js";
import {
  beyondRam,
  fileBlock,
  fileSet,
  memfd,
  notCanonical,
  session,
  sessionArea,
  sessionBlock,
} from "../places.js";

const live = ({ luo }: Kernel): boolean => luo !== undefined;
const inArea = ({ luo }: Kernel): boolean => luo === "luo-v1";
const inBlocks = (kernel: Kernel): boolean => live(kernel) && !inArea(kernel);
/** A page of the machines that are made here. */
const abi: Abi = { byteOrder: "little", pageSize: 4096 };

/** Sessions in a block that is full. */
const sessionsPerBlock = blockCapacity(luoSessionSer, { abi });
const numbered = (count: number): SessionPlan[] =>
  Array.from({ length: count }, (_, i) => ({ name: `s${i}`, files: [] }));

/** Room for a name, its NUL included. */
const nameSize = memberOf(luoSessionSer, "name", abi).size;
const setName = (editor: Editor, index: number, name: string): void =>
  editor.set(luoSessionSer, session(editor, index), "name", name);
const nameOf = (editor: Editor, index: number): string => editor.handover.luo!.sessions[index]!.name;

const lists: readonly CraftCase[] = [
  {
    name: "session-list-cycle",
    about: "the list of session blocks leads back to its first block",
    area: "sessions",
    applies: inBlocks,
    spoil: (editor) =>
      editor.set(khoBlockHeaderSer, sessionBlock(editor, 0), "next", sessionBlock(editor, 0)),
  },
  {
    name: "session-block-empty",
    about: "a session block says that it holds no record",
    area: "sessions",
    applies: inBlocks,
    spoil: (editor) => editor.set(khoBlockHeaderSer, sessionBlock(editor, 0), "count", 0n),
  },
  {
    name: "session-block-overfull",
    about: "a session block says that it holds one record more than there is room for",
    area: "sessions",
    applies: inBlocks,
    spoil: (editor) =>
      editor.set(
        khoBlockHeaderSer,
        sessionBlock(editor, 0),
        "count",
        BigInt(blockCapacity(luoSessionSer, editor) + 1),
      ),
  },
  {
    name: "session-next-beyond-ram",
    about: "the next session block is where there is no memory",
    area: "sessions",
    applies: inBlocks,
    spoil: (editor) => editor.set(khoBlockHeaderSer, sessionBlock(editor, 0), "next", beyondRam(editor)),
  },
  {
    name: "session-next-not-canonical",
    about: "the address of the next session block is none that can be mapped",
    area: "sessions",
    applies: inBlocks,
    spoil: (editor) => editor.set(khoBlockHeaderSer, sessionBlock(editor, 0), "next", notCanonical),
  },
  {
    name: "session-next-memfd",
    about: "the next session block is the structure of a memfd",
    area: "sessions",
    applies: inBlocks,
    plan: () => ({ sessions: twoSessions.map(atStart) }),
    spoil: (editor) => editor.set(khoBlockHeaderSer, sessionBlock(editor, 0), "next", memfd(editor)),
  },
  {
    name: "session-next-file-block",
    about: "the next session block is a block of files",
    area: "sessions",
    applies: inBlocks,
    spoil: (editor) =>
      editor.set(khoBlockHeaderSer, sessionBlock(editor, 0), "next", fileBlock(editor, 0, 0)),
  },
  {
    name: "session-blocks-too-many",
    about: `${KHO_MAX_BLOCKS} more session blocks follow the first one`,
    area: "sessions",
    applies: inBlocks,
    plan: () => ({
      sessions: numbered(1),
      prepare: (machine) =>
        chainOfBlocks(machine, luoSessionSer, KHO_MAX_BLOCKS, (i) => ({
          name: `s${i + 1}`,
          file_set_ser: { files: physAddr(0), count: 0n },
        })),
    }),
    spoil: (editor) => editor.set(khoBlockHeaderSer, sessionBlock(editor, 0), "next", editor.spare[0]!),
  },
  {
    name: "session-count-too-large",
    about: "the session area says that it holds one session more than there is room for",
    area: "sessions",
    applies: inArea,
    spoil: (editor) =>
      editor.set(luoSessionHeaderSer, sessionArea(editor), "count", BigInt(sessionAreaCapacity(editor) + 1)),
  },
  {
    name: "session-count-one-more",
    about: "the session area says that it holds one session more than was written",
    area: "sessions",
    applies: inArea,
    spoil: (editor) =>
      editor.set(
        luoSessionHeaderSer,
        sessionArea(editor),
        "count",
        BigInt(editor.handover.luo!.sessions.length + 1),
      ),
  },
];

/** A file at position 0 says 0 where a block has `next`. */
const atStart = ({ name, files }: SessionPlan): SessionPlan => ({
  name,
  files: files.map((file) => ({ ...file, pos: 0 })),
});

const names: readonly CraftCase[] = [
  {
    name: "session-duplicate-name",
    about: "two sessions have one name",
    area: "sessions",
    applies: live,
    spoil: (editor) => setName(editor, 1, nameOf(editor, 0)),
  },
  {
    name: "session-two-empty-names",
    about: "two sessions have an empty name",
    area: "sessions",
    applies: live,
    spoil(editor) {
      for (const index of [0, 1]) setName(editor, index, "");
    },
  },
  {
    name: "session-empty-name",
    about: "a session has an empty name",
    area: "sessions",
    applies: live,
    spoil: (editor) => setName(editor, 1, ""),
  },
  {
    name: "session-name-unterminated",
    about: "the name of a session has no NUL",
    area: "sessions",
    applies: live,
    spoil: (editor) => setName(editor, 1, "n".repeat(nameSize)),
    // What readers cut it to.
    asked: ([first, second]) => [first!, { ...second!, name: "n".repeat(nameSize - 1) }],
  },
  {
    name: "session-names-same-once-cut",
    about: "the names of two sessions are the same but for a byte that readers cut off",
    area: "sessions",
    applies: live,
    plan: () => ({
      sessions: twoSessions.map((plan, i) => (i === 0 ? { ...plan, name: "n".repeat(nameSize - 1) } : plan)),
    }),
    spoil: (editor) => setName(editor, 1, "n".repeat(nameSize)),
  },
  {
    name: "session-duplicate-in-next-block",
    about: "the first session of the second block has the name of the first one of all",
    area: "sessions",
    applies: inBlocks,
    plan: () => ({ sessions: numbered(sessionsPerBlock + 1) }),
    spoil: (editor) => setName(editor, sessionsPerBlock, nameOf(editor, 0)),
  },
  {
    name: "session-refused-duplicate",
    about:
      "behind full blocks comes one without a record: a kernel that refused one more session, of a name that there was, had made it",
    area: "sessions",
    applies: inBlocks,
    plan: () => ({
      sessions: numbered(sessionsPerBlock),
      prepare: ({ kho }) => [kho.allocPreserve(abi.pageSize, "luo session block")],
    }),
    spoil: (editor) => editor.set(khoBlockHeaderSer, sessionBlock(editor, 0), "next", editor.spare[0]!),
  },
];

/** What a session says of its files. */
const fileSets: readonly CraftCase[] = [
  {
    name: "session-files-nowhere",
    about: "a session counts its files, but its address of them is 0",
    area: "files",
    applies: live,
    spoil: (editor) => editor.set(luoFileSetSer, fileSet(editor, 1), "files", physAddr(0)),
  },
  {
    name: "session-files-not-counted",
    about: "a session has files, and counts none",
    area: "files",
    applies: live,
    spoil: (editor) => editor.set(luoFileSetSer, fileSet(editor, 1), "count", 0n),
  },
  {
    name: "session-files-beyond-ram",
    about: "the files of a session are where there is no memory",
    area: "files",
    applies: live,
    spoil: (editor) => editor.set(luoFileSetSer, fileSet(editor, 1), "files", beyondRam(editor)),
  },
];

export const sessionCases: readonly CraftCase[] = [...lists, ...names, ...fileSets];
