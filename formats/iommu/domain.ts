import type { PhysAddr } from "../../src/memory/index.js";
import { addressOfFrame, frameLg2, frameOf } from "./entry.js";
import { EMPTY, entriesOf, itemFrames, itemLg2, type PageTable, TABLE, type TableFormat } from "./format.js";

/** Memory that tables are written to. The order in which tables are asked for is the kernel's, so that addresses can be, too. */
export interface TableStore {
  /** A table of `bytes` bytes, zeroed and naturally aligned, for a level; undefined if there is no memory. */
  allocate(bytes: number, level: number): PhysAddr | undefined;
  /** Takes a table back. */
  free(pa: PhysAddr, bytes: number): void;
  read(pa: PhysAddr, length: number): Uint8Array;
  write(pa: PhysAddr, bytes: Uint8Array): void;
}

/** What is decided about a domain when it is made. */
export interface DomainOptions {
  readonly format: TableFormat;
  /** Levels that it begins with. */
  readonly levels: number;
  /** Bits of input addresses that it accepts. Tables that grow need not cover them all yet. */
  readonly vaBits: number;
  /** Bits of physical addresses that it accepts. */
  readonly paBits: number;
  readonly signExtend?: boolean;
  /** Bit n for leaves of 2^n bytes. */
  readonly pgsizeBitmap: bigint;
  /** True for AMD's v1 tables, which get more levels when they need them. */
  readonly grows?: boolean;
  /** True for parents of nested VT-d domains, which refuse mappings that cannot be written. */
  readonly writableOnly?: boolean;
}

/** A page table under construction, as a kernel's `struct iommu_domain` is. */
export interface Domain extends Required<DomainOptions> {
  readonly store: TableStore;
  /** Of the top table. Changes where tables grow. */
  root: PhysAddr;
  levels: number;
}

/** Entries of a domain's top table. */
const topEntries = ({ format, levels, vaBits, grows }: DomainOptions): number =>
  grows ? entriesOf(format) : 2 ** (vaBits - itemLg2(format, levels - 1));

/** Makes a domain with an empty top table; undefined if there is no memory for it. */
export function newDomain(options: DomainOptions, store: TableStore): Domain | undefined {
  const { format, levels } = options;
  // Tables of fewer entries than fill a page take one all the same.
  const bytes = Math.max(8 * topEntries(options), 2 ** frameLg2);
  const root = store.allocate(bytes, levels - 1);
  if (root === undefined) return undefined;
  return { signExtend: false, grows: false, writableOnly: false, ...options, format, store, root };
}

/** The domain's table as it is to be read. */
export const tableOf = ({ format, root, levels, vaBits, signExtend, grows }: Domain): PageTable => ({
  format,
  root,
  levels,
  vaBits: grows ? Math.min(vaBits, itemLg2(format, levels)) : vaBits,
  signExtend,
});

/** A domain on a table that is there already, to go on with: levels and root are the table's. */
export const domainOf = (
  options: Omit<DomainOptions, "levels">,
  { root, levels }: Pick<PageTable, "root" | "levels">,
  store: TableStore,
): Domain => ({ signExtend: false, grows: false, writableOnly: false, ...options, levels, store, root });

/** A failure with the kernel's errno, or none. `mapped` is in frames and says what was done before. */
export interface Mapped {
  readonly errno?: MapErrno;
  readonly mapped: number;
}
/** What map calls fail with. */
export type MapErrno = "EINVAL" | "ENXIO" | "ERANGE" | "ENOMEM" | "EADDRINUSE" | "EEXIST";

/** An input address as the table counts it, in frames: without what sign extension adds. */
export const canonical = ({ vaBits, signExtend }: Domain, iova: number): number =>
  signExtend ? iova % 2 ** (vaBits - frameLg2) : iova;

/** True if the domain can have all of `[iova, iova + frames)`. In frames. */
export function covers({ vaBits, signExtend }: Domain, iova: number, frames: number): boolean {
  const last = iova + frames - 1;
  if (last >= 2 ** 52) return false;
  if (!signExtend) return last < 2 ** (vaBits - frameLg2);
  const half = 2 ** (vaBits - 1 - frameLg2);
  return last < half || iova >= 2 ** 52 - half;
}

/** A table that is being looked at. */
export interface Node {
  readonly frame: number;
  readonly level: number;
  /** Entries; more than usual where several tables in a row are the top. */
  readonly entries: number;
}

export const topNode = (domain: Domain): Node => ({
  frame: frameOf(domain.root),
  level: domain.levels - 1,
  entries: topEntries(domain),
});

/** Index in a table of an input frame. */
export const indexIn = ({ format }: Domain, { level, entries }: Node, iova: number): number =>
  Math.floor(iova / itemFrames(format, level)) % entries;

/** `count` entries of a table from `index` on, as pairs of signed 32-bit halves. A copy. */
export function readEntries({ store }: Domain, { frame }: Node, index: number, count: number): Int32Array {
  const bytes = store.read(entryAddress(frame, index), count * 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words = new Int32Array(count * 2);
  for (let i = 0; i < words.length; i++) words[i] = view.getInt32(i * 4, true);
  return words;
}

/** Writes entries, given as pairs of 32-bit halves. */
export function writeEntries({ store }: Domain, { frame }: Node, index: number, words: Int32Array): void {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < words.length; i++) view.setInt32(i * 4, words[i]!, true);
  store.write(entryAddress(frame, index), bytes);
}

export function writeEntry(domain: Domain, node: Node, index: number, value: bigint): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  domain.store.write(entryAddress(node.frame, index), bytes);
}

const entryAddress = (frame: number, index: number): PhysAddr =>
  (addressOfFrame(frame) + BigInt(index * 8)) as PhysAddr;

/** What the entry at `index` is, with its halves. */
export function entryAt(domain: Domain, node: Node, index: number) {
  const [lo = 0, hi = 0] = readEntries(domain, node, index, 1);
  return { lo, hi, kind: kindOf(domain, lo, hi, node.level) };
}

export const kindOf = ({ format }: Domain, lo: number, hi: number, level: number) =>
  (lo & format.present) === 0 ? EMPTY : format.kindOf(lo, hi, level);

/** The table that an entry leads to. Domains have no tables that skip levels. */
export const childOf = ({ format }: Domain, { level }: Node, lo: number, hi: number): Node => ({
  frame: format.childFrame(lo, hi),
  level: level - 1,
  entries: entriesOf(format),
});

/** Adds an empty table below the entry at `index`; undefined if there is no memory for it. */
export function addChild(domain: Domain, node: Node, index: number): Node | undefined {
  const { format, store } = domain;
  const pa = store.allocate(2 ** format.granuleLg2, node.level - 1);
  if (pa === undefined) return undefined;
  writeEntry(domain, node, index, format.tableWord(frameOf(pa), node.level));
  return { frame: frameOf(pa), level: node.level - 1, entries: entriesOf(format) };
}

/** Gives back a table and all below it. What they map is gone with them. */
export function freeTables(domain: Domain, node: Node): void {
  if (node.level > 0) {
    const words = readEntries(domain, node, 0, node.entries);
    for (let i = 0; i < node.entries; i++)
      if (kindOf(domain, words[2 * i]!, words[2 * i + 1]!, node.level) === TABLE)
        freeTables(domain, childOf(domain, node, words[2 * i]!, words[2 * i + 1]!));
  }
  domain.store.free(addressOfFrame(node.frame), node.entries * 8);
}

/** Level of a leaf of `2 ** size` frames. */
export const levelOf = ({ format }: Domain, size: number): number =>
  Math.floor((size + frameLg2 - format.granuleLg2) / (format.granuleLg2 - 3));

/** The table of a level for an input frame, made where it is missing, and the index in it. `taken`: a leaf is in the way. */
export function tableFor(
  domain: Domain,
  iova: number,
  level: number,
  taken: MapErrno,
): { readonly node: Node; readonly index: number } | MapErrno {
  let node = topNode(domain);
  for (;;) {
    const index = indexIn(domain, node, iova);
    if (node.level === level) return { node, index };
    const { lo, hi, kind } = entryAt(domain, node, index);
    if (kind !== TABLE && kind !== EMPTY) return taken;
    const child = kind === TABLE ? childOf(domain, node, lo, hi) : addChild(domain, node, index);
    if (!child) return "ENOMEM";
    node = child;
  }
}
