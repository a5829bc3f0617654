/** What the boot protocol says of a handover, and its root tree: KHO gives up, and the kernel boots as if cold. */
import { fdtAbi, fdtHeader, nativeU64Property, stringProperty } from "../../../../formats/fdt/index.js";
import { isAtLeast, type Kernel } from "../../../../formats/kernels.js";
import { khoData, khoScratch, setupData } from "../../../../formats/kho/layout.js";
import { PROP_PRESERVED_MEMORY_MAP } from "../../../../formats/kho/root.js";
import { encode, memberOf, sizeOf } from "../../../layout/index.js";
import { type PhysAddr, physAddr } from "../../../memory/index.js";
import type { CraftCase } from "../case.js";
import type { Editor } from "../edit.js";
import { beyondRam, notCanonical } from "../places.js";
import { type PropertyPlace, removeProperty, replaceProperty, shortenProperty } from "../tree.js";

const always = (): boolean => true;

const record = ({ handover: { handoff } }: Editor): PhysAddr => handoff.recordPa;
const data = (editor: Editor): PhysAddr => physAddr(record(editor) + BigInt(sizeOf(setupData, editor.abi)));

const handoff: readonly CraftCase[] = [
  {
    name: "handoff-record-empty",
    about: "the record that hands off the root says that it has no bytes",
    area: "root",
    applies: always,
    spoil: (editor) => editor.set(setupData, record(editor), "len", 0),
  },
  {
    name: "handoff-record-longer",
    about: "the record that hands off the root says that it has 8 bytes more",
    area: "root",
    applies: always,
    spoil: (editor) => editor.set(setupData, record(editor), "len", sizeOf(khoData, editor.abi) + 8),
  },
  {
    name: "handoff-root-empty",
    about: "the record says that the root tree has no bytes",
    area: "root",
    applies: always,
    spoil: (editor) => editor.set(khoData, data(editor), "fdt_size", 0n),
  },
  {
    name: "handoff-scratch-empty",
    about: "the record says that the array of scratch areas has no bytes",
    area: "root",
    applies: always,
    spoil: (editor) => editor.set(khoData, data(editor), "scratch_size", 0n),
  },
  {
    name: "handoff-scratch-too-short",
    about: "the record says that the array of scratch areas is one byte shorter than one area",
    area: "root",
    applies: always,
    spoil: (editor) =>
      editor.set(khoData, data(editor), "scratch_size", BigInt(sizeOf(khoScratch, editor.abi) - 1)),
  },
  {
    name: "handoff-scratch-beyond-ram",
    about: "the array of scratch areas is where there is no memory",
    area: "root",
    applies: always,
    spoil: (editor) => editor.set(khoData, data(editor), "scratch_addr", beyondRam(editor)),
  },
  {
    name: "handoff-scratch-zeros",
    about: "the array of scratch areas is a page of zeros",
    area: "root",
    applies: ({ luo }) => luo !== undefined,
    plan: () => ({ prepare: ({ kho, hardware }) => [kho.allocPreserve(hardware.abi.pageSize, "zeros")] }),
    spoil: (editor) => editor.set(khoData, data(editor), "scratch_addr", editor.spare[0]!),
  },
];

const root = ({
  handover: {
    handoff: { fdtPa },
  },
}: Editor): PhysAddr => fdtPa;
const inRoot = (editor: Editor, name: string): PropertyPlace => ({ tree: root(editor), name });

/** Headers of trees are big-endian on every machine. */
function setHeader(editor: Editor, member: keyof typeof fdtHeader.fields, value: number): void {
  const { offset, layout } = memberOf(fdtHeader, member, fdtAbi);
  const at = physAddr(root(editor) + BigInt(offset));
  editor.write(fdtHeader.name, member, at, encode(layout as never, value as never, fdtAbi));
}

const tree: readonly CraftCase[] = [
  {
    name: "root-magic",
    about: "the root tree does not begin with the magic number of trees",
    area: "root",
    applies: always,
    spoil: (editor) => setHeader(editor, "magic", 0),
  },
  {
    name: "root-version",
    about: "the root tree is of a version of trees that is too old",
    area: "root",
    applies: always,
    spoil: (editor) => setHeader(editor, "version", 1),
  },
  {
    name: "root-structure-outside",
    about: "the root tree says that its nodes begin behind its end",
    area: "root",
    applies: always,
    spoil: (editor) => setHeader(editor, "off_dt_struct", 16 * editor.abi.pageSize),
  },
  {
    name: "root-other-version",
    about: "the root is of a version of KHO that there is not",
    area: "root",
    applies: always,
    spoil: (editor) => replaceProperty(editor, inRoot(editor, "compatible"), stringProperty("kho-v9")),
  },
  {
    name: "root-without-version",
    about: "the root does not say of which version of KHO it is",
    area: "root",
    applies: always,
    spoil: (editor) => removeProperty(editor, inRoot(editor, "compatible")),
  },
  {
    name: "map-missing",
    about: "the root does not say where the memory map is",
    area: "map",
    applies: ({ luo }) => luo !== undefined,
    spoil: (editor) => removeProperty(editor, inRoot(editor, PROP_PRESERVED_MEMORY_MAP)),
  },
  {
    name: "map-short-address",
    about: "the address of the memory map has 4 bytes",
    area: "map",
    applies: ({ luo }) => luo !== undefined,
    spoil: (editor) => shortenProperty(editor, inRoot(editor, PROP_PRESERVED_MEMORY_MAP), 4),
  },
];

const setMap = (editor: Editor, pa: PhysAddr): void =>
  replaceProperty(editor, inRoot(editor, PROP_PRESERVED_MEMORY_MAP), nativeU64Property(pa, editor.abi));
const rejectsNone = (kernel: Kernel): boolean => isAtLeast(kernel, "6.19");

const map: readonly CraftCase[] = [
  {
    name: "map-address-0",
    about: "the address of the memory map is 0",
    area: "map",
    applies: rejectsNone,
    spoil: (editor) => setMap(editor, physAddr(0)),
  },
  {
    name: "map-beyond-ram",
    about: "the memory map is where there is no memory",
    area: "map",
    applies: always,
    spoil: (editor) => setMap(editor, beyondRam(editor)),
  },
  {
    name: "map-not-canonical",
    about: "the address of the memory map is none that can be mapped",
    area: "map",
    applies: always,
    spoil: (editor) => setMap(editor, notCanonical),
  },
];

export const khoRootCases: readonly CraftCase[] = [...handoff, ...tree, ...map];
