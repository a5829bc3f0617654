/** A writer of well-formed and malformed blobs for tests. Byte layout as the specification asks, nothing more. */

import {
  FDT_BEGIN_NODE,
  FDT_END,
  FDT_END_NODE,
  FDT_MAGIC,
  FDT_PROP,
  type FdtHeader,
  fdtAbi,
  fdtHeader,
  fdtReserveEntry,
} from "../../../formats/fdt/index.js";
import { encode } from "../../../src/layout/index.js";

/** A tree as plain data. */
export interface Tree {
  name: string;
  properties: [name: string, value: Uint8Array][];
  children: Tree[];
}

const text = new TextEncoder();

const word = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
const padded = (bytes: ArrayLike<number>): number[] => {
  const list = Array.from(bytes);
  while (list.length % 4 !== 0) list.push(0);
  return list;
};

/** Tokens and their data, one by one, so that tests can put them in any order. */
export const token = {
  begin: (name: string): number[] => [...word(FDT_BEGIN_NODE), ...padded([...text.encode(name), 0])],
  property: (nameoff: number, value: ArrayLike<number>, length = value.length): number[] => [
    ...word(FDT_PROP),
    ...word(length),
    ...word(nameoff),
    ...padded(value),
  ],
  end: word(FDT_END_NODE),
  finish: word(FDT_END),
  raw: word,
};

/** A blob around any structure block and any strings block; `header` overrides what would be right. */
export function blobOf(
  structure: ArrayLike<number>,
  strings: ArrayLike<number>,
  options: { header?: Partial<FdtHeader>; reservations?: { address: bigint; size: bigint }[] } = {},
): Uint8Array {
  const entries = [...(options.reservations ?? []), { address: 0n, size: 0n }];
  const map = entries.map((entry) => encode(fdtReserveEntry, entry, fdtAbi));
  const off_mem_rsvmap = 40;
  const off_dt_struct = off_mem_rsvmap + map.length * 16;
  const off_dt_strings = off_dt_struct + structure.length;
  const header = encode(
    fdtHeader,
    {
      magic: FDT_MAGIC,
      totalsize: off_dt_strings + strings.length,
      off_dt_struct,
      off_dt_strings,
      off_mem_rsvmap,
      version: 17,
      last_comp_version: 16,
      boot_cpuid_phys: 0,
      size_dt_strings: strings.length,
      size_dt_struct: structure.length,
      ...options.header,
    },
    fdtAbi,
  );
  const blob = new Uint8Array(off_dt_strings + strings.length);
  blob.set(header);
  for (const [i, entry] of map.entries()) blob.set(entry, off_mem_rsvmap + i * 16);
  blob.set(structure, off_dt_struct);
  blob.set(strings, off_dt_strings);
  return blob;
}

/** The blob of a tree, each property name once in the strings block. */
export function writeTree(root: Tree, options: Parameters<typeof blobOf>[2] = {}): Uint8Array {
  const structure: number[] = [];
  const strings: number[] = [];
  const offsets = new Map<string, number>();
  const nameoff = (name: string): number => {
    const known = offsets.get(name);
    if (known !== undefined) return known;
    const offset = strings.length;
    offsets.set(name, offset);
    for (const byte of text.encode(name)) strings.push(byte);
    strings.push(0);
    return offset;
  };
  const add = (bytes: number[]): void => {
    for (const byte of bytes) structure.push(byte);
  };
  const write = (node: Tree): void => {
    add(token.begin(node.name));
    for (const [name, value] of node.properties) add(token.property(nameoff(name), value));
    node.children.forEach(write);
    add(token.end);
  };
  write(root);
  add(token.finish);
  return blobOf(structure, strings, options);
}
