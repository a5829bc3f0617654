import { readFdt } from "../../formats/fdt/index.js";
import { fdtAbi, fdtHeader } from "../../formats/fdt/layout.js";
import * as kho from "../../formats/kho/layout.js";
import * as luo from "../../formats/luo/layout.js";
import * as memfd from "../../formats/memfd/layout.js";
import { type Layout, type Leaf, sizeOf, walk } from "../../src/layout/index.js";
import type { Capture } from "./captures.js";

/** Bytes of a structure that mean something. */
export interface Span {
  readonly path: string;
  readonly pa: bigint;
  readonly length: number;
  /** Layout of the record, where it has one. */
  readonly layout?: Layout;
  /** True for tables and bitmaps, which are mostly zeros. */
  readonly sparse?: boolean;
  /** True for a flattened tree. */
  readonly tree?: boolean;
}

/** A number somewhere in a structure. */
export interface Field {
  readonly path: string;
  readonly pa: bigint;
  readonly size: number;
  readonly big?: boolean;
  /** Where the structure begins that it is in. */
  readonly within: bigint;
}

const abi = { byteOrder: "little", pageSize: 4096 } as const;

/** Every structure of a capture, by its records, in the order in which they are reached. */
export function spansOf({ memory, decoded }: Capture): Span[] {
  const { handover, structures } = decoded;
  const spans: Span[] = [];
  const records = (
    path: string,
    pa: bigint,
    head: Layout | undefined,
    record: Layout,
    count: number,
  ): void => {
    if (head) spans.push({ path, pa, length: sizeOf(head, abi), layout: head });
    const from = pa + BigInt(head ? sizeOf(head, abi) : 0);
    for (let i = 0; i < count; i++) {
      const length = sizeOf(record, abi);
      spans.push({ path: `${path}#${i}`, pa: from + BigInt(i * length), length, layout: record });
    }
  };
  const { recordPa, scratchPa } = handover.handoff;
  spans.push({ path: "setup_data", pa: recordPa, length: 16, layout: kho.setupData });
  spans.push({ path: "kho_data", pa: recordPa + 16n, length: 32, layout: kho.khoData });
  records("scratch", scratchPa, undefined, kho.khoScratch, handover.scratch.length);

  for (const { path, pa, pages } of structures) {
    const subtree = handover.subtrees.find(({ name }) => path === `subtrees.${name}`);
    const count = (at: bigint, size = 8): number => Number(memory.get(pa + at, size));
    if (path === "root") spans.push(tree(path, pa, memory.peek(pa, 4096)));
    else if (subtree?.kind === "fdt") spans.push(tree(path, pa, subtree.blob!));
    else if (subtree?.kind === "luo_ser") records(path, pa, luo.luoSer, luo.luoSer, 0);
    else if (subtree) records(path, pa, kho.khoKexecMetadata, kho.khoKexecMetadata, 0);
    else if (/^preserved(\[\d+\])*$/.test(path)) spans.push({ path, pa, length: 4096, sparse: true });
    else if (/^preserved\.chunks\[\d+\]\.bitmaps/.test(path))
      spans.push({ path, pa, length: 4096, sparse: true });
    else if (path.startsWith("preserved.chunks"))
      records(path, pa, kho.khoserMemChunkHdr, kho.khoserMemBitmapPtr, count(12n, 4));
    else if (/^luo\.sessions\.blocks/.test(path))
      records(path, pa, kho.khoBlockHeaderSer, luo.luoSessionSer, count(8n));
    else if (path === "luo.sessions")
      records(path, pa, luo.luoSessionHeaderSer, luo.luoSessionSer, count(0n));
    else if (/\.files\.blocks\[\d+\]$/.test(path))
      records(path, pa, kho.khoBlockHeaderSer, luo.luoFileSer, count(8n));
    else if (/\.files$/.test(path)) {
      const s = Number(/\d+/.exec(path)![0]);
      records(path, pa, undefined, luo.luoFileSer, handover.luo!.sessions[s]!.files.length);
    } else if (path === "luo.flbs") records(path, pa, luo.luoFlbHeaderSer, luo.luoFlbSer, count(8n));
    else if (/\.memfd$/.test(path)) {
      const layout =
        handover.luo!.compatible === "luo-v1" && !handover.kexecMetadata
          ? memfd.memfdLuoSerV1
          : memfd.memfdLuoSerV2;
      records(path, pa, layout, layout, 0);
    } else if (/chunks\[\d+\]$/.test(path)) {
      let used = 0;
      while (used < 511 && memory.get(pa + 8n + BigInt(used * 8)) !== 0n) used++;
      // With the zero that ends it.
      spans.push({ path, pa, length: 8 * (used + 2) });
    } else if (/\.folios$/.test(path) && path !== "kho_test.folios") {
      let used = 0;
      while (used < (pages * 4096) / 16 && memory.get(pa + BigInt(used * 16)) !== 0n) used++;
      records(path, pa, undefined, memfd.memfdLuoFolioSer, used);
    } else if (path === "kho_test.folios_info")
      spans.push({ path, pa, length: handover.khoTest!.nrFolios * 8 });
  }
  return spans;
}

/**
 * True for a byte that no reader looks at, so that nobody can notice a change: what follows the NUL of a text, the
 * alignment of a tree's tokens, its reserve map and boot CPU, and some fields by name.
 */
export function freeBytes({ memory }: Capture, span: Span): (at: number) => boolean {
  const { path, pa, length, layout } = span;
  const free = new Set<number>();
  const add = (from: number, to: number): void => {
    for (let at = from; at < to; at++) free.add(at);
  };
  if (layout)
    for (const leaf of walk(layout, memory.peek(pa, length), 0, abi)) {
      const name = `${path.replace(/#.*|\[.*|\..*/, "")}.${leaf.path}`;
      // No reader compares these with anything.
      const unread = ["setup_data.next", "setup_data.len", "luo.folios.flags"].includes(name);
      if (unread) add(leaf.offset, leaf.offset + leaf.size);
      if (leaf.layout.kind === "chars") {
        const text = memory.peek(pa + BigInt(leaf.offset), leaf.size);
        add(leaf.offset + text.indexOf(0) + 1, leaf.offset + leaf.size);
      }
    }
  if (span.tree) {
    const fdt = readFdt(memory.peek(pa, length));
    const { off_dt_struct, off_dt_strings } = fdt.header;
    // Sizes may say more than there is: the page goes on, and the structure block ends with its last token.
    add(7, 8);
    add(39, 40);
    // Higher versions that say they are compatible are read alike.
    add(20, 24);
    add(28, 32);
    add(40, off_dt_struct);
    const pad = (end: number): void => add(end, end + (-end & 3));
    const nodes = [fdt.root];
    for (let node = nodes.pop(); node; node = nodes.pop()) {
      pad(node.offset + 4 + node.name.length + 1);
      for (const { valueOffset, length: size } of node.properties) {
        pad(valueOffset + size);
        // A kho_vmalloc, and its flags.
        if (size === 16) add(valueOffset + 12, valueOffset + 14);
      }
      nodes.push(...node.children);
    }
    if (off_dt_strings < off_dt_struct) free.clear();
  }
  return (at) => free.has(at);
}

const tree = (path: string, pa: bigint, bytes: Uint8Array): Span => ({
  path,
  pa,
  length: readFdt(bytes).header.totalsize,
  tree: true,
});

/** Numbers that are addresses, and all others: of records by their layouts, of trees the header and every u64 or u32. */
export function fieldsOf(capture: Capture, spans: readonly Span[]): { pointers: Field[]; counts: Field[] } {
  const { memory } = capture;
  const pointers: Field[] = [];
  const counts: Field[] = [];
  for (const { path, pa, length, layout, sparse, tree: isTree } of spans) {
    if (layout) {
      for (const leaf of walk(layout, memory.peek(pa, length), 0, abi)) {
        if (leaf.layout.kind !== "scalar" && leaf.layout.kind !== "bits") continue;
        const field = {
          path: `${path}.${leaf.path}`,
          pa: pa + BigInt(leaf.offset),
          size: leaf.size,
          within: pa,
        };
        if (isAddress(leaf, path)) pointers.push(field);
        else counts.push(field);
      }
    } else if (isTree) {
      const fdt = readFdt(memory.peek(pa, length));
      for (const leaf of walk(fdtHeader, fdt.bytes, 0, fdtAbi))
        counts.push({
          path: `${path}.${leaf.path}`,
          pa: pa + BigInt(leaf.offset),
          size: 4,
          big: true,
          within: pa,
        });
      for (const node of [fdt.root, ...fdt.root.children])
        for (const { name, length: size, valueOffset, offset } of node.properties) {
          const field = { path: `${path}.${name}`, pa: pa + BigInt(valueOffset), size, within: pa };
          if (size === 8 && !/size|number/.test(name)) pointers.push(field);
          else if (size === 8 || size === 4) counts.push(field);
          // A kho_vmalloc.
          if (size === 16) pointers.push({ ...field, size: 8 });
          if (size === 16)
            counts.push({ ...field, pa: field.pa + 8n, size: 4 }, { ...field, pa: field.pa + 14n, size: 2 });
          for (const word of [4, 8])
            counts.push({
              path: `${path}.${name}.header`,
              pa: pa + BigInt(offset + word),
              size: 4,
              big: true,
              within: pa,
            });
        }
    } else
      for (let at = 0; at < length; at += 8)
        if (!/bitmaps|folios_info$/.test(path) && (!sparse || memory.get(pa + BigInt(at)) !== 0n))
          pointers.push({ path: `${path}+${at}`, pa: pa + BigInt(at), size: 8, within: pa });
  }
  return { pointers, counts };
}

/** `data` of a file leads to its memfd; that of an FLB leads nowhere. */
const isAddress = ({ layout, path }: Leaf, structure: string): boolean =>
  (layout.kind === "scalar" && layout.meaning === "address") ||
  (path === "data" && /\.files/.test(structure));
