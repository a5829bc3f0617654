/** Subtrees whose readers do without: what previous kernels say of themselves, and regions of `reserve_mem`. */
import { nativeU64Property, stringProperty } from "../../../../formats/fdt/index.js";
import type { Kernel } from "../../../../formats/kernels.js";
import { khoKexecMetadata } from "../../../../formats/kho/layout.js";
import { KHO_KEXEC_METADATA_VERSION, KHO_METADATA_NODE_NAME } from "../../../../formats/kho/metadata.js";
import { kexecMetadataSize } from "../../../../formats/kho/metadata-encode.js";
import { rootForms } from "../../../../formats/kho/root.js";
import { MEMBLOCK_KHO_FDT } from "../../../../formats/memblock/memblock.js";
import { subtreePath } from "../../../../formats/paths.js";
import { memberOf } from "../../../layout/index.js";
import type { CraftCase } from "../case.js";
import type { Editor } from "../edit.js";
import type { Plan } from "../good.js";
import { addressOfSubtree, beyondRam, sizeOfSubtree } from "../places.js";
import { type PropertyPlace, removeNode, removeProperty, replaceProperty, shortenProperty } from "../tree.js";

const hasMetadata = ({ metadata }: Kernel): boolean => metadata !== undefined;
const recordsSizes = ({ kho }: Kernel): boolean => rootForms[kho].size !== undefined;
const always = (): boolean => true;
const u64 = (editor: Editor, value: bigint): Uint8Array => nativeU64Property(value, editor.abi);

const metadata: readonly CraftCase[] = [
  {
    name: "metadata-absent",
    about: "the root tree has no kexec-metadata",
    area: "subtrees",
    applies: hasMetadata,
    spoil: (editor) => removeNode(editor, editor.handover.handoff.fdtPa, KHO_METADATA_NODE_NAME),
  },
  {
    name: "metadata-other-version",
    about: "kexec-metadata is of a version that there is not",
    area: "subtrees",
    applies: hasMetadata,
    spoil: (editor) =>
      editor.set(
        khoKexecMetadata,
        editor.at(subtreePath(KHO_METADATA_NODE_NAME)),
        "version",
        KHO_KEXEC_METADATA_VERSION + 1,
      ),
  },
  {
    name: "metadata-too-small",
    about: "kexec-metadata is said to be one byte shorter than its structure",
    area: "subtrees",
    applies: hasMetadata,
    spoil: (editor) =>
      replaceProperty(
        editor,
        sizeOfSubtree(editor, KHO_METADATA_NODE_NAME),
        u64(editor, BigInt(kexecMetadataSize(editor.abi) - 1)),
      ),
  },
  {
    name: "metadata-unterminated",
    about: "the release in kexec-metadata has no NUL",
    area: "subtrees",
    applies: hasMetadata,
    spoil: (editor) =>
      editor.set(
        khoKexecMetadata,
        editor.at(subtreePath(KHO_METADATA_NODE_NAME)),
        "previous_release",
        "7".repeat(memberOf(khoKexecMetadata, "previous_release", editor.abi).size),
      ),
  },
  {
    name: "metadata-without-size",
    about: "the node of kexec-metadata does not say how large it is",
    area: "subtrees",
    applies: hasMetadata,
    spoil: (editor) => removeProperty(editor, sizeOfSubtree(editor, KHO_METADATA_NODE_NAME)),
  },
  {
    name: "metadata-beyond-ram",
    about: "kexec-metadata is where there is no memory",
    area: "subtrees",
    applies: hasMetadata,
    spoil: (editor) =>
      replaceProperty(
        editor,
        addressOfSubtree(editor, KHO_METADATA_NODE_NAME),
        u64(editor, beyondRam(editor)),
      ),
  },
];

const region = "trace";
const withRegion = (): Plan => ({
  options: { reserveMem: [{ name: region, size: 2 ** 20, align: 2 ** 16 }] },
});
const memblock = (editor: Editor): PropertyPlace["tree"] => editor.at(subtreePath(MEMBLOCK_KHO_FDT));
const inRegion = (editor: Editor, name: string): PropertyPlace => ({
  tree: memblock(editor),
  nodes: [region],
  name,
});
const regionOf = ({ handover }: Editor) => handover.reserveMem[0]!;

const regions = (
  [
    {
      name: "reserve-mem-other-version",
      about: "the tree of reserve_mem regions is of a version that there is not",
      spoil: (editor: Editor) =>
        replaceProperty(
          editor,
          { tree: memblock(editor), name: "compatible" },
          stringProperty("memblock-v9"),
        ),
    },
    {
      name: "reserve-mem-region-other-version",
      about: "a reserve_mem region is of a version that there is not",
      spoil: (editor: Editor) =>
        replaceProperty(editor, inRegion(editor, "compatible"), stringProperty("reserve-mem-v9")),
    },
    {
      name: "reserve-mem-without-start",
      about: "a reserve_mem region does not say where it begins",
      spoil: (editor: Editor) => removeProperty(editor, inRegion(editor, "start")),
    },
    {
      name: "reserve-mem-short-size",
      about: "the size of a reserve_mem region has 4 bytes",
      spoil: (editor: Editor) => shortenProperty(editor, inRegion(editor, "size"), 4),
    },
    {
      name: "reserve-mem-unaligned",
      about: "a reserve_mem region begins where its alignment forbids",
      spoil: (editor: Editor) =>
        replaceProperty(
          editor,
          inRegion(editor, "start"),
          u64(editor, regionOf(editor).start + BigInt(editor.abi.pageSize)),
        ),
    },
    {
      name: "reserve-mem-other-size",
      about: "a reserve_mem region is a page smaller than the command line wants",
      spoil: (editor: Editor) =>
        replaceProperty(
          editor,
          inRegion(editor, "size"),
          u64(editor, regionOf(editor).size - BigInt(editor.abi.pageSize)),
        ),
    },
    {
      name: "reserve-mem-beyond-ram",
      about: "the tree of reserve_mem regions is where there is no memory",
      spoil: (editor: Editor) =>
        replaceProperty(editor, addressOfSubtree(editor, MEMBLOCK_KHO_FDT), u64(editor, beyondRam(editor))),
    },
  ] as const
).map((one): CraftCase => ({ ...one, area: "subtrees", applies: always, plan: withRegion }));

const unsized: CraftCase = {
  name: "reserve-mem-without-size-of-blob",
  about: "the node of the reserve_mem regions does not say how large their tree is",
  area: "subtrees",
  applies: recordsSizes,
  plan: withRegion,
  spoil: (editor) => removeProperty(editor, sizeOfSubtree(editor, MEMBLOCK_KHO_FDT)),
};

export const blobCases: readonly CraftCase[] = [...metadata, ...regions, unsized];
