/** Where the structures of a handover are that cases put faults into. */

import { nativeU64Property } from "../../../formats/fdt/index.js";
import { khoVmalloc, khoVmallocChunk } from "../../../formats/kho/layout.js";
import { rootForms } from "../../../formats/kho/root.js";
import { luoSer, luoSessionSer } from "../../../formats/luo/layout.js";
import {
  LUO_FDT_FLB_HEADER,
  LUO_FDT_FLB_NODE_NAME,
  LUO_FDT_SESSION_HEADER,
  LUO_FDT_SESSION_NODE_NAME,
  LUO_KHO_ENTRY_NAME,
} from "../../../formats/luo/luo.js";
import { memfdLuoFolioSer } from "../../../formats/memfd/layout.js";
import { memfdLayouts } from "../../../formats/memfd/memfd.js";
import {
  blockPath,
  filesPath,
  flbsPath,
  sessionPath,
  sessionsPath,
  subtreePath,
} from "../../../formats/paths.js";
import { offsetOf, sizeOf } from "../../layout/index.js";
import { endOfRam } from "../../machine/firmware.js";
import { type PhysAddr, physAddr } from "../../memory/index.js";
import type { Editor } from "./edit.js";
import { type PropertyPlace, replaceProperty } from "./tree.js";

/** Far above any memory that the machines here have, but an address that a processor could have. */
export const beyondRam = ({ departure: { hardware } }: Pick<Editor, "departure">): PhysAddr =>
  physAddr(1n << BigInt(endOfRam(hardware).toString(2).length + 10));
/** No address that a kernel could map: its direct map of it is not canonical. */
export const notCanonical = physAddr(0xdead_0000_0000_0000n);

const behind = (pa: bigint, offset: number): PhysAddr => physAddr(pa + BigInt(offset));

/** A property of the node of a subtree in the root tree: its address, or its size. */
export const inRoot = ({ handover: { handoff } }: Editor, subtree: string, name: string): PropertyPlace => ({
  tree: handoff.fdtPa,
  nodes: [subtree],
  name,
});
export const addressOfSubtree = (editor: Editor, subtree: string): PropertyPlace =>
  inRoot(editor, subtree, rootForms[editor.kernel.kho].address);
export const sizeOfSubtree = (editor: Editor, subtree: string): PropertyPlace =>
  inRoot(editor, subtree, rootForms[editor.kernel.kho].size!);

/** The blob that live-update state begins with: a tree, or a structure. */
export const luoRoot = (editor: Editor): PhysAddr => editor.at(subtreePath(LUO_KHO_ENTRY_NAME));
export const inLuoTree = (editor: Editor, name: string, ...nodes: string[]): PropertyPlace => ({
  tree: luoRoot(editor),
  nodes,
  name,
});

/** Has the root say that the sessions, or the FLBs, are elsewhere. */
export function pointLuoTo(editor: Editor, what: "sessions" | "flbs", pa: PhysAddr): void {
  if (editor.kernel.luo !== "luo-v1") {
    editor.set(luoSer, luoRoot(editor), what === "sessions" ? "sessions_pa" : "flbs_pa", pa);
    return;
  }
  const place =
    what === "sessions"
      ? inLuoTree(editor, LUO_FDT_SESSION_HEADER, LUO_FDT_SESSION_NODE_NAME)
      : inLuoTree(editor, LUO_FDT_FLB_HEADER, LUO_FDT_FLB_NODE_NAME);
  replaceProperty(editor, place, nativeU64Property(pa, editor.abi));
}

export const sessionArea = (editor: Editor): PhysAddr => editor.at(sessionsPath);
export const sessionBlock = (editor: Editor, index: number): PhysAddr =>
  editor.at(blockPath(sessionsPath, index));
export const fileBlock = (editor: Editor, session: number, index: number): PhysAddr =>
  editor.at(blockPath(filesPath(sessionPath(session)), index));
export const flbPage = (editor: Editor): PhysAddr => editor.at(flbsPath);

export const session = ({ handover }: Editor, index: number): PhysAddr => handover.luo!.sessions[index]!.pa;
/** Where a session says how many files it has, and where. */
export const fileSet = (editor: Editor, index: number): PhysAddr =>
  behind(session(editor, index), offsetOf(luoSessionSer, "file_set_ser", editor.abi));
export const file = ({ handover }: Editor, s: number, f: number): PhysAddr =>
  handover.luo!.sessions[s]!.files[f]!.pa;

/** The first file of the first session, which the faults of memfds are put into. */
export const memfd = ({ handover }: Editor): PhysAddr => physAddr(handover.luo!.sessions[0]!.files[0]!.data);
export const memfdLayout = ({ kernel }: Editor): (typeof memfdLayouts)["memfd-v2"] =>
  memfdLayouts[kernel.memfd!] as (typeof memfdLayouts)["memfd-v2"];
/** The descriptor of its list of folios. */
export const folioArea = (editor: Editor): PhysAddr =>
  behind(memfd(editor), offsetOf(memfdLayout(editor), "folios", editor.abi));
export const folioChunk = (editor: Editor): PhysAddr => editor.get(khoVmalloc, folioArea(editor)).first;
/** The page that holds the list, of a file with few folios. */
export const folioList = (editor: Editor): PhysAddr =>
  physAddr(editor.get(khoVmallocChunk, folioChunk(editor)).phys[0]!);
export const folio = (editor: Editor, index: number): PhysAddr =>
  behind(folioList(editor), index * sizeOf(memfdLuoFolioSer, editor.abi));
