/** The root of live-update state: what a kernel checks before there is user space, and panics over. */
import { nativeU64Property, stringProperty } from "../../../../formats/fdt/index.js";
import { isAtLeast, type Kernel } from "../../../../formats/kernels.js";
import { rootForms } from "../../../../formats/kho/root.js";
import { luoSer } from "../../../../formats/luo/layout.js";
import {
  LUO_FDT_FLB_COMPATIBLE,
  LUO_FDT_FLB_HEADER,
  LUO_FDT_FLB_NODE_NAME,
  LUO_FDT_LIVEUPDATE_NUM,
  LUO_FDT_SESSION_COMPATIBLE,
  LUO_FDT_SESSION_HEADER,
  LUO_FDT_SESSION_NODE_NAME,
  LUO_KHO_ENTRY_NAME,
} from "../../../../formats/luo/luo.js";
import { memberOf, sizeOf } from "../../../layout/index.js";
import { physAddr } from "../../../memory/index.js";
import type { CraftCase } from "../case.js";
import type { Editor } from "../edit.js";
import { addressOfSubtree, beyondRam, inLuoTree, luoRoot, pointLuoTo, sizeOfSubtree } from "../places.js";
import { removeNode, removeProperty, replaceProperty, shortenProperty } from "../tree.js";

const live = ({ luo }: Kernel): boolean => luo !== undefined;
const inTree = ({ luo }: Kernel): boolean => luo === "luo-v1";
const inStructure = (kernel: Kernel): boolean => live(kernel) && !inTree(kernel);
const recordsSizes = (kernel: Kernel): boolean => live(kernel) && rootForms[kernel.kho].size !== undefined;
const flbInTree = (kernel: Kernel): boolean => inTree(kernel) && kernel.flb;

const half = 4;
const u64 = (editor: Editor, value: bigint): Uint8Array => nativeU64Property(value, editor.abi);
/** The same version string with another number: `luo-v1` becomes `luo-v9`. */
const otherVersion = (version: string): string =>
  version.replace(/\d+$/, (number) => "9".repeat(number.length));

/** The node of live update in the root tree. */
const subtree: readonly CraftCase[] = [
  {
    name: "luo-subtree-absent",
    about: "the root tree has no subtree of live update",
    area: "subtrees",
    applies: live,
    spoil: (editor) => removeNode(editor, editor.handover.handoff.fdtPa, LUO_KHO_ENTRY_NAME),
  },
  {
    name: "luo-subtree-without-address",
    about: "the node of live update does not say where its blob is",
    area: "subtrees",
    applies: live,
    spoil: (editor) => removeProperty(editor, addressOfSubtree(editor, LUO_KHO_ENTRY_NAME)),
  },
  {
    name: "luo-subtree-short-address",
    about: "the address of live update's blob has 4 bytes",
    area: "subtrees",
    applies: live,
    spoil: (editor) => shortenProperty(editor, addressOfSubtree(editor, LUO_KHO_ENTRY_NAME), half),
  },
  {
    name: "luo-subtree-address-0",
    about: "the blob of live update is at address 0",
    area: "subtrees",
    applies: live,
    spoil: (editor) => replaceProperty(editor, addressOfSubtree(editor, LUO_KHO_ENTRY_NAME), u64(editor, 0n)),
  },
  {
    name: "luo-subtree-beyond-ram",
    about: "the blob of live update is where there is no memory",
    area: "subtrees",
    applies: live,
    spoil: (editor) =>
      replaceProperty(editor, addressOfSubtree(editor, LUO_KHO_ENTRY_NAME), u64(editor, beyondRam(editor))),
  },
  {
    name: "luo-subtree-without-size",
    about: "the node of live update does not say how large its blob is",
    area: "subtrees",
    applies: recordsSizes,
    spoil: (editor) => removeProperty(editor, sizeOfSubtree(editor, LUO_KHO_ENTRY_NAME)),
  },
  {
    name: "luo-subtree-short-size",
    about: "the size of live update's blob has 4 bytes",
    area: "subtrees",
    applies: recordsSizes,
    spoil: (editor) => shortenProperty(editor, sizeOfSubtree(editor, LUO_KHO_ENTRY_NAME), half),
  },
  {
    name: "luo-blob-too-small",
    about: "the blob of live update is said to be one byte shorter than its structure",
    area: "subtrees",
    applies: recordsSizes,
    spoil: (editor) =>
      replaceProperty(
        editor,
        sizeOfSubtree(editor, LUO_KHO_ENTRY_NAME),
        u64(editor, BigInt(sizeOf(luoSer, editor.abi) - 1)),
      ),
  },
  {
    name: "luo-blob-larger",
    about: "the blob of live update is said to be a whole page",
    area: "subtrees",
    applies: recordsSizes,
    spoil: (editor) =>
      replaceProperty(
        editor,
        sizeOfSubtree(editor, LUO_KHO_ENTRY_NAME),
        u64(editor, BigInt(editor.abi.pageSize)),
      ),
  },
];

/** What the root says of itself. */
const root: readonly CraftCase[] = [
  {
    name: "luo-other-version",
    about: "live-update state is of a version that there is not",
    area: "sessions",
    applies: live,
    spoil(editor) {
      const version = otherVersion(editor.kernel.luo!);
      if (inTree(editor.kernel))
        replaceProperty(editor, inLuoTree(editor, "compatible"), stringProperty(version));
      else editor.set(luoSer, luoRoot(editor), "compatible", version);
    },
  },
  {
    name: "luo-version-last-byte",
    about: "the byte behind the NUL of the version is not 0",
    area: "sessions",
    applies: inStructure,
    spoil(editor) {
      const { offset, size } = memberOf(luoSer, "compatible", editor.abi);
      const last = physAddr(luoRoot(editor) + BigInt(offset + size - 1));
      editor.write(luoSer.name, "compatible", last, Uint8Array.of(0x58));
    },
  },
  {
    name: "luo-number-missing",
    about: "the tree has no liveupdate-number",
    area: "sessions",
    applies: inTree,
    spoil: (editor) => removeProperty(editor, inLuoTree(editor, LUO_FDT_LIVEUPDATE_NUM)),
  },
  {
    name: "luo-number-short",
    about: "liveupdate-number has 4 bytes",
    area: "sessions",
    applies: inTree,
    spoil: (editor) => shortenProperty(editor, inLuoTree(editor, LUO_FDT_LIVEUPDATE_NUM), half),
  },
];

/** The nodes of the tree of `luo-v1`, of which 6.19 has one. */
const nodes = (
  [
    ["session", LUO_FDT_SESSION_NODE_NAME, LUO_FDT_SESSION_COMPATIBLE, LUO_FDT_SESSION_HEADER, inTree],
    ["flb", LUO_FDT_FLB_NODE_NAME, LUO_FDT_FLB_COMPATIBLE, LUO_FDT_FLB_HEADER, flbInTree],
  ] as const
).flatMap(([short, node, compatible, header, applies]): CraftCase[] => [
  {
    name: `luo-${short}-node-missing`,
    about: `the tree has no ${node} node`,
    area: short === "flb" ? "flbs" : "sessions",
    applies,
    spoil: (editor) => removeNode(editor, luoRoot(editor), node),
  },
  {
    name: `luo-${short}-other-version`,
    about: `the ${node} node is of a version that there is not`,
    area: short === "flb" ? "flbs" : "sessions",
    applies,
    spoil: (editor) =>
      replaceProperty(
        editor,
        inLuoTree(editor, "compatible", node),
        stringProperty(otherVersion(compatible)),
      ),
  },
  {
    name: `luo-${short}-header-missing`,
    about: `the ${node} node does not say where the records are`,
    area: short === "flb" ? "flbs" : "sessions",
    applies,
    spoil: (editor) => removeProperty(editor, inLuoTree(editor, header, node)),
  },
  {
    name: `luo-${short}-header-short`,
    about: `the address in the ${node} node has 4 bytes`,
    area: short === "flb" ? "flbs" : "sessions",
    applies,
    spoil: (editor) => shortenProperty(editor, inLuoTree(editor, header, node), half),
  },
]);

/** Where the root leads to. */
const pointers: readonly CraftCase[] = [
  {
    name: "luo-sessions-address-0",
    about: "the sessions are at address 0",
    area: "sessions",
    applies: live,
    spoil: (editor) => pointLuoTo(editor, "sessions", physAddr(0)),
  },
  {
    name: "luo-sessions-beyond-ram",
    about: "the sessions are where there is no memory",
    area: "sessions",
    applies: live,
    spoil: (editor) => pointLuoTo(editor, "sessions", beyondRam(editor)),
  },
  {
    name: "luo-flbs-address-0",
    about: "the FLBs are at address 0, which stands for none",
    area: "flbs",
    applies: (kernel) => inStructure(kernel) && isAtLeast(kernel, "7.2"),
    spoil: (editor) => pointLuoTo(editor, "flbs", physAddr(0)),
  },
  {
    name: "luo-flbs-beyond-ram",
    about: "the FLBs are where there is no memory",
    area: "flbs",
    applies: (kernel) => live(kernel) && kernel.flb,
    spoil: (editor) => pointLuoTo(editor, "flbs", beyondRam(editor)),
  },
];

export const luoRootCases: readonly CraftCase[] = [...subtree, ...root, ...nodes, ...pointers];
