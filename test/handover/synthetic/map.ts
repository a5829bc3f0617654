/** The two memory maps, written into memory. Arithmetic in doubles: keys have at most 53 bits. */

import type { Ram } from "./ram.js";

/** A preserved block, by its first page frame. */
export interface Block {
  pfn: number;
  order: number;
}

/** A place to take pages from; `size` bytes, aligned to them or to a page. */
export type Allocate = (size: number) => bigint;

export interface MapAddresses {
  root: bigint;
  /** Chunks, bitmaps, tables by path of indices from the root (`2/0/0`) and leaves (`leaf:PREFIX`). */
  at: Map<string, bigint>;
}

/** The greedy sequence of naturally aligned blocks that covers a range of page frames. */
export function blocksOfRange(pfn: number, pages: number): Block[] {
  const blocks: Block[] = [];
  for (let at = pfn; at < pfn + pages; ) {
    let order = 0;
    while (at % 2 ** (order + 1) === 0 && at + 2 ** (order + 1) <= pfn + pages) order++;
    blocks.push({ pfn: at, order });
    at += 2 ** order;
  }
  return blocks;
}

/** Chunks of `kho-v1`; bitmaps of 512 bytes come from a slab, several to a page and out of order. */
export function writeChunks(
  ram: Ram,
  blocks: readonly Block[],
  size: 512 | "page",
  pageSize: number,
  allocate: Allocate,
  empty: readonly Block[] = [],
): MapAddresses {
  const at = new Map<string, bigint>();
  const bytes = size === 512 ? 512 : pageSize;
  const bits = bytes * 8;
  const shift = Math.log2(pageSize);
  const orders = new Map<number, Map<number, number[]>>();
  const place = ({ pfn, order }: Block): { set: number[]; bit: number } => {
    const high = Math.floor(pfn / 2 ** order);
    const index = Math.floor(high / bits);
    const bitmaps = orders.get(order) ?? new Map<number, number[]>();
    orders.set(order, bitmaps);
    const set = bitmaps.get(index) ?? [];
    bitmaps.set(index, set);
    return { set, bit: high % bits };
  };
  for (const block of blocks) {
    const { set, bit } = place(block);
    set.push(bit);
  }
  // Bitmaps whose bits were all cleared again stay in the list.
  for (const block of empty) place(block);

  let slab = 0n;
  let used = 0;
  const bitmapRoom = (): bigint => {
    if (bytes === pageSize) return allocate(pageSize);
    // Objects of a slab: every third one here belongs to somebody else.
    if (slab === 0n || (used + 1) * 512 > pageSize) {
      slab = allocate(pageSize);
      used = 0;
    }
    if (used % 3 === 1) ram.write(slab + BigInt(used * 512), new Uint8Array(512).fill(0xa5));
    const object = used % 3 === 1 ? used + 1 : used;
    if ((object + 1) * 512 > pageSize) {
      slab = 0n;
      return bitmapRoom();
    }
    used = object + 1;
    return slab + BigInt(object * 512);
  };
  const most = (pageSize - 16) / 16;
  let root = 0n;
  let before = 0n;
  let chunks = 0;
  for (const order of [...orders.keys()].sort((a, b) => a - b)) {
    const bitmaps = [...orders.get(order)!].sort(([a], [b]) => a - b);
    for (let from = 0; from < bitmaps.length; from += most) {
      const part = bitmaps.slice(from, from + most);
      const chunk = allocate(pageSize);
      ram.have(chunk, pageSize);
      if (before === 0n) root = chunk;
      else ram.u64(before, chunk);
      ram.u32(chunk + 8n, order);
      ram.u32(chunk + 12n, part.length);
      for (const [i, [index, set]] of part.entries()) {
        const bitmap = bitmapRoom();
        ram.have(bitmap, bytes);
        const content = new Uint8Array(bytes);
        for (const bit of set) content[bit >> 3]! |= 1 << (bit & 7);
        ram.write(bitmap, content);
        ram.u64(chunk + 16n + BigInt(16 * i), BigInt(index * bits) << BigInt(order + shift));
        ram.u64(chunk + 24n + BigInt(16 * i), bitmap);
        at.set(`bitmap[${chunks}][${i}]`, bitmap);
      }
      at.set(`chunk[${chunks++}]`, chunk);
      before = chunk;
    }
  }
  return { root, at };
}

/** The radix tree of `kho-v2` and later. */
export function writeRadix(
  ram: Ram,
  blocks: readonly Block[],
  pageSize: number,
  allocate: Allocate,
  early = false,
  empty: readonly Block[] = [],
): MapAddresses {
  const at = new Map<string, bigint>();
  const shift = Math.log2(pageSize);
  const tableBits = shift - 3;
  const leafBits = shift + 3;
  // 65 - shift bits of key; early kernels count one less when they work out how many levels that needs.
  const depth = Math.ceil((65 - shift - (early ? 1 : 0) - leafBits) / tableBits) + 1;
  const leaves = new Map<number, Uint8Array>();
  const leafOf = ({ pfn, order }: Block): { leaf: Uint8Array; bit: number } => {
    const key = 2 ** (64 - shift - order) + Math.floor(pfn / 2 ** order);
    // What does not fit into the indices is lost.
    const prefix = Math.floor(key / 2 ** leafBits) % 2 ** ((depth - 1) * tableBits);
    const leaf = leaves.get(prefix) ?? new Uint8Array(pageSize);
    leaves.set(prefix, leaf);
    return { leaf, bit: key % 2 ** leafBits };
  };
  for (const block of blocks) {
    const { leaf, bit } = leafOf(block);
    leaf[bit >> 3]! |= 1 << (bit & 7);
  }
  for (const block of empty) leafOf(block);

  const root = allocate(pageSize);
  ram.have(root, pageSize);
  at.set("", root);
  for (const [prefix, leaf] of leaves) {
    let table = root;
    let path = "";
    for (let level = depth - 1; level >= 1; level--) {
      const index = Math.floor(prefix / 2 ** ((level - 1) * tableBits)) % 2 ** tableBits;
      path = path === "" ? `${index}` : `${path}/${index}`;
      const slot = table + BigInt(index * 8);
      let child = ram.getU64(slot);
      if (child === 0n) {
        child = allocate(pageSize);
        ram.have(child, pageSize);
        ram.u64(slot, child);
        at.set(path, child);
      }
      table = child;
    }
    ram.write(table, leaf);
    at.set(`leaf:${prefix}`, table);
  }
  return { root, at };
}
