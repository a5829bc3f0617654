/** Faults in device trees, in place: what is cut out becomes FDT_NOP, as libfdt's own functions leave it. */
import {
  child,
  FDT_NOP,
  FDT_TAGSIZE,
  type FdtNode,
  type FdtProperty,
  fdtAbi,
  fdtNodeHeader,
  fdtPropertyHeader,
  property,
  readFdt,
} from "../../../formats/fdt/index.js";
import { encode, memberOf, sizeOf } from "../../layout/index.js";
import { type PhysAddr, physAddr } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";
import type { Editor } from "./edit.js";

/** A property: the tree's first byte, the nodes from the root down, and its name. */
export interface PropertyPlace {
  readonly tree: PhysAddr;
  readonly nodes?: readonly string[];
  readonly name: string;
}

/** Takes a property out. */
export function removeProperty(editor: Editor, place: PropertyPlace): void {
  const found = find(editor, place);
  const size = ceil(found.valueOffset + found.length) - found.offset;
  write(editor, place, found.offset, nops(size));
}

/** Cuts a property's value to `length` bytes, a multiple of 4 that is less than there are. */
export function shortenProperty(editor: Editor, place: PropertyPlace, length: number): void {
  const found = find(editor, place);
  const { offset } = memberOf(fdtPropertyHeader, "len", fdtAbi);
  const { layout } = memberOf(fdtPropertyHeader, "len", fdtAbi);
  write(editor, place, found.offset + offset, encode(layout as never, length as never, fdtAbi));
  write(editor, place, found.valueOffset + length, nops(ceil(found.length) - length));
}

/** Gives a property another value of the same length. */
export function replaceProperty(editor: Editor, place: PropertyPlace, value: Uint8Array): void {
  const { valueOffset, length } = find(editor, place);
  if (value.length !== length)
    throw new KhoError("value-range", `${place.name} has ${length} bytes, not ${value.length}`);
  write(editor, place, valueOffset, value);
}

/** Takes a node out, with all that is in it. */
export function removeNode(editor: Editor, tree: PhysAddr, name: string): void {
  const node = nodeAt(editor, tree, [name]);
  const last = node.properties.at(-1);
  if (!last || node.children.length > 0)
    throw new KhoError("not-found", `${name} is no node of properties alone`);
  // The token that ends the node is behind its last property.
  const end = ceil(last.valueOffset + last.length) + FDT_TAGSIZE;
  write(editor, { tree, name }, node.offset, nops(end - node.offset));
}

const ceil = (offset: number): number => Math.ceil(offset / FDT_TAGSIZE) * FDT_TAGSIZE;

function nops(size: number): Uint8Array {
  const nop = encode(fdtNodeHeader, { tag: FDT_NOP }, fdtAbi);
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += sizeOf(fdtNodeHeader, fdtAbi)) bytes.set(nop, at);
  return bytes;
}

const write = (
  editor: Editor,
  { tree, nodes = [], name }: PropertyPlace,
  offset: number,
  bytes: Uint8Array,
): void => editor.write(`/${nodes.join("/")}`, name, physAddr(tree + BigInt(offset)), bytes);

function find(editor: Editor, { tree, nodes = [], name }: PropertyPlace): FdtProperty {
  const found = property(nodeAt(editor, tree, nodes), name);
  if (!found) throw new KhoError("not-found", `the tree has no property ${name}`);
  return found;
}

function nodeAt({ departure, abi }: Editor, tree: PhysAddr, nodes: readonly string[]): FdtNode {
  let { root } = readFdt(departure.memory.read(tree, abi.pageSize));
  for (const name of nodes) {
    const next = child(root, name);
    if (!next) throw new KhoError("not-found", `the tree has no node ${name}`);
    root = next;
  }
  return root;
}
