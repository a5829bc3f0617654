import { bytesFromText, encodeInto, sizeOf } from "../../src/layout/index.js";
import { KhoError } from "../../src/report/error.js";
import { child, property } from "./access.js";
import { assemble, type Blocks, reservationsSize } from "./assemble.js";
import {
  FDT_LAST_SUPPORTED_VERSION,
  FDT_NOP,
  FDT_OLDEST_READABLE_VERSION,
  FDT_TAGSIZE,
  type FdtHeader,
  fdtAbi,
  fdtHeader,
  fdtNodeHeader,
} from "./layout.js";
import { shown } from "./problem.js";
import { readFdt } from "./read.js";
import { findString } from "./strings.js";
import { aligned, join, nodeBegin, nodeEnd, propertyToken, terminated } from "./tokens.js";
import type { Fdt, FdtNode } from "./tree.js";

/**
 * The names of the nodes from the root down to the one that is meant; empty for the root itself. Each is the whole name,
 * with its unit address, and may be any text. Of two siblings with one name the first is meant.
 */
export type NodePath = readonly string[];

/** A tree that is open for edits. An edit that throws has changed nothing. */
export interface FdtEditor {
  /**
   * Adds an empty node behind the last property of `parent`, in front of its older subnodes.
   * @throws KhoError `fdt-exists` if a lookup of `name` finds a subnode already, which one of that name with a unit
   * address is enough for; `fdt-no-space`, `fdt-missing`, `value-range`
   */
  addNode(parent: NodePath, name: string): void;
  /**
   * Removes a subnode of `parent` with all that is below it. Its strings stay.
   * @throws KhoError `fdt-missing`
   */
  removeNode(parent: NodePath, name: string): void;
  /**
   * Gives a property its value: in its place if it exists, else in front of the node's other properties. A name that
   * the strings block does not have yet is appended to it.
   * @throws KhoError `fdt-no-space`, `fdt-missing`, `value-range`
   */
  setProperty(node: NodePath, name: string, value: Uint8Array): void;
  /** The blob as it is now, without gaps; `totalsize` is exact. */
  pack(): Uint8Array;
}

/**
 * Opens a blob for edits, with the byte layout of libfdt's read-write functions between fdt_open_into() and fdt_pack().
 * `room` is the size of the buffer in bytes, for KHO a page. Blocks stay where they are while the tree is open, so that
 * one which was written in one go can use 8 bytes less than one that was packed before.
 *
 * `blob` is not changed, and may be longer than its totalsize. Values are padded to 4 bytes with zeros; libfdt leaves there
 * what the buffer held, but every value that kernels set is 8 bytes long.
 *
 * @throws KhoError `fdt-no-space` if the blob itself does not fit; all that {@link readFdt} throws
 */
export function openFdt(blob: Uint8Array, room: number): FdtEditor {
  const bytes = opened(blob, room);

  /** Puts `inserted` in the place of `removed` bytes at `at`, all within one block. `used` are the bytes in use. */
  const splice = (used: number, at: number, removed: number, inserted: Uint8Array): void => {
    bytes.copyWithin(at + inserted.length, at + removed, used);
    bytes.set(inserted, at);
  };
  const requireRoom = (header: FdtHeader, more: number): void => {
    const needed = usedBy(header) + more;
    if (needed > room)
      throw new KhoError("fdt-no-space", `the tree has room for ${room} bytes and would need ${needed}`, {
        expected: `at most ${room} bytes`,
        actual: `${needed} bytes`,
      });
  };
  /** Replaces bytes of the structure block. */
  const replace = (header: FdtHeader, at: number, removed: number, inserted: Uint8Array): void => {
    const more = inserted.length - removed;
    requireRoom(header, more);
    splice(usedBy(header), at, removed, inserted);
    header.size_dt_struct += more;
    header.off_dt_strings += more;
    encodeInto(fdtHeader, header, bytes, 0, fdtAbi);
  };

  return {
    addNode(parent, name) {
      const { header, root } = readFdt(bytes);
      const node = nodeAt(root, parent);
      const found = child(node, name);
      if (found) throw new KhoError("fdt-exists", `there is a node ${shown(found.name)} already`);
      replace(header, subnodesAt(bytes, node), 0, join([nodeBegin(name), nodeEnd()]));
    },
    removeNode(parent, name) {
      const { header, root } = readFdt(bytes);
      const node = nodeAt(root, [...parent, name]);
      replace(header, node.offset, endOf(bytes, node) - node.offset, new Uint8Array(0));
    },
    setProperty(path, name, value) {
      const { header, root } = readFdt(bytes);
      const node = nodeAt(root, path);
      const found = property(node, name);
      if (found) {
        const old = aligned(found.valueOffset + found.length) - found.offset;
        replace(header, found.offset, old, propertyToken(found.nameOffset, value));
        return;
      }
      const strings = stringsOf(bytes, header);
      const wanted = terminated(name);
      const known = findString(strings, wanted);
      const token = propertyToken(known < 0 ? strings.length : known, value);
      requireRoom(header, token.length + (known < 0 ? wanted.length : 0));
      if (known < 0) {
        splice(usedBy(header), usedBy(header), 0, wanted);
        header.size_dt_strings += wanted.length;
      }
      replace(header, contentAt(node), 0, token);
    },
    pack() {
      const fdt = readFdt(bytes);
      return assemble("packed", blocksOf(fdt), fdt.header);
    },
  };
}

/** {@link openFdt}, the edits, and the packed result. */
export function editFdt(blob: Uint8Array, room: number, edit: (editor: FdtEditor) => void): Uint8Array {
  const editor = openFdt(blob, room);
  edit(editor);
  return editor.pack();
}

/**
 * A copy of the blob with another value of the same length in the place of a property's, as fdt_setprop_inplace() does.
 * @throws KhoError `fdt-missing`; `fdt-no-space` if the lengths differ; all that {@link readFdt} throws
 */
export function overwriteProperty(
  blob: Uint8Array,
  path: NodePath,
  name: string,
  value: Uint8Array,
): Uint8Array {
  const found = property(nodeAt(readFdt(blob).root, path), name);
  if (!found) throw new KhoError("fdt-missing", `there is no property ${shown(name)} to overwrite`);
  if (found.length !== value.length)
    throw new KhoError("fdt-no-space", `property ${shown(name)} cannot change its length in place`, {
      expected: `${found.length} bytes`,
      actual: `${value.length} bytes`,
    });
  const changed = blob.slice();
  changed.set(value, found.valueOffset);
  return changed;
}

/** A buffer of `room` bytes with the blob at its start, and `totalsize` the whole of it. */
function opened(blob: Uint8Array, room: number): Uint8Array {
  const fdt = readFdt(blob);
  // As it lies, also with gaps, as long as no block has to move for another one to grow.
  const kept = isInOrder(fdt)
    ? blob.subarray(0, fdt.header.totalsize)
    : assemble("packed", blocksOf(fdt), fdt.header);
  if (kept.length > room)
    throw new KhoError("fdt-no-space", `a tree of ${kept.length} bytes has no place in ${room}`, {
      expected: `at most ${room} bytes`,
      actual: `${kept.length} bytes`,
    });
  const bytes = new Uint8Array(room);
  bytes.set(kept);
  const header: FdtHeader = {
    ...readFdt(kept).header,
    totalsize: room,
    version: FDT_LAST_SUPPORTED_VERSION,
    size_dt_struct: structureSize(fdt),
  };
  encodeInto(fdtHeader, header, bytes, 0, fdtAbi);
  return bytes;
}

/** True if the blocks are those of version 17 and in the order in which editing needs them: strings last. */
function isInOrder(fdt: Fdt): boolean {
  const { off_mem_rsvmap, off_dt_struct, off_dt_strings } = fdt.header;
  return (
    off_mem_rsvmap >= sizeOf(fdtHeader, fdtAbi) &&
    off_dt_struct >= off_mem_rsvmap + reservationsSize(fdt.reservations) &&
    off_dt_strings >= off_dt_struct + structureSize(fdt)
  );
}

/** Version 16 does not record it: there the block ends where its last token does. */
function structureSize({ bytes, header, root }: Fdt): number {
  if (header.version !== FDT_OLDEST_READABLE_VERSION) return header.size_dt_struct;
  return skipNops(bytes, endOf(bytes, root)) + FDT_TAGSIZE - header.off_dt_struct;
}

function blocksOf(fdt: Fdt): Blocks {
  const { bytes, header, reservations } = fdt;
  const { off_dt_struct } = header;
  const structure = bytes.subarray(off_dt_struct, off_dt_struct + structureSize(fdt));
  return { reservations, structure, strings: stringsOf(bytes, header) };
}

const stringsOf = (bytes: Uint8Array, header: FdtHeader): Uint8Array =>
  bytes.subarray(header.off_dt_strings, usedBy(header));

/** Bytes up to the end of the strings, which are last. */
const usedBy = (header: FdtHeader): number => header.off_dt_strings + header.size_dt_strings;

function nodeAt(root: FdtNode, path: NodePath): FdtNode {
  let node = root;
  for (const name of path) {
    const next = node.children.find((candidate) => candidate.name === name);
    if (!next) throw new KhoError("fdt-missing", `there is no node ${shown(name)}`);
    node = next;
  }
  return node;
}

/** Offset of what is in the node: behind its name. */
const contentAt = ({ name, offset }: FdtNode): number =>
  aligned(offset + sizeOf(fdtNodeHeader, fdtAbi) + bytesFromText(name).length + 1);

/** Offset of the node's first subnode, or where that would be. */
function subnodesAt(bytes: Uint8Array, node: FdtNode): number {
  const last = node.properties.at(-1);
  return skipNops(bytes, last ? aligned(last.valueOffset + last.length) : contentAt(node));
}

/** Offset behind the node's FDT_END_NODE. Readers limit how deep it recurses. */
function endOf(bytes: Uint8Array, node: FdtNode): number {
  const last = node.children.at(-1);
  return (last ? skipNops(bytes, endOf(bytes, last)) : subnodesAt(bytes, node)) + FDT_TAGSIZE;
}

function skipNops(bytes: Uint8Array, offset: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = offset;
  while (view.getUint32(at) === FDT_NOP) at += FDT_TAGSIZE;
  return at;
}
