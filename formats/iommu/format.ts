import type { Struct } from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import { frameLg2, type Halves } from "./entry.js";
import type { Access } from "./prot.js";

/** Formats of page tables by the names of the kernel's modules; ARM's two stages share one. */
export type FormatName = "vtdss" | "x86_64" | "amdv1" | "riscv64" | "arm_s1" | "arm_s2";

/** What an entry is. Numbers, because loops compare them. */
export const EMPTY = 0;
export const TABLE = 1;
export const LEAF = 2;
/** Present, but nothing that the format has at this level: hardware reports a fault. */
export const INVALID = 3;
export type EntryKind = typeof EMPTY | typeof TABLE | typeof LEAF | typeof INVALID;

/**
 * How entries of one format are read. Levels count from the smallest page upward: level 0 is where those are. A word comes as
 * its signed 32-bit halves `lo` and `hi`; frames are of 4 KiB and below 2^52. Masks follow from the layouts.
 */
export interface EntryReader {
  readonly name: FormatName;
  /** Base-2 logarithm of the smallest page, which is also the size of a table: 12; ARM has 14 and 16, too. */
  readonly granuleLg2: number;
  /** The layout of a leaf at a level. */
  leafLayout(level: number): Struct;
  /** The layout of an entry that leads to a table. */
  readonly tableLayout: Struct;
  /** A word without any of these bits in its low half is no entry. */
  readonly present: number;
  kindOf(lo: number, hi: number, level: number): EntryKind;
  /** Frame of the table that an entry leads to. */
  childFrame(lo: number, hi: number): number;
  /** Level of that table; one below unless the format can skip some. */
  childLevel(lo: number, hi: number, level: number): number;
  /** First frame that a leaf leads to. Not a multiple of the leaf's size in a damaged entry. */
  leafFrame(lo: number, hi: number, level: number): number;
  /** Base-2 logarithm of a leaf's bytes. More than one slot's where several slots hold one leaf. */
  leafLg2(lo: number, hi: number, level: number): number;
  leafAccess(lo: number, hi: number): Access;
  /** What an entry that leads to a table leaves of the rights below it. */
  tableAccess(lo: number, hi: number): Access;
  /** Bits of a leaf that say where it leads, what it allows, what it is, and that have to be zero. */
  same(level: number): Halves;
  /** What the low half of a leaf changes by when its address does by one frame. */
  readonly frameStep: number;
  /** Bits that have to be zero in a leaf at a level, and in an entry that leads to a table. */
  leafReserved(level: number): Halves;
  readonly tableReserved: Halves;
  /** Bits that hardware sets and clears by itself: accessed, dirty. */
  readonly hardwareBits: Halves;
}

/** How entries of one format are written. */
export interface EntryWriter {
  /**
   * A leaf of `2 ** lg2` bytes for a map call with `prot`; undefined for rights that the format refuses. It is the same in
   * all slots of the leaf.
   */
  leafWord(frame: number, lg2: number, prot: number): bigint;
  /** An entry of a table at `level` that leads to the table below it. */
  tableWord(childFrame: number, level: number): bigint;
}

export interface TableFormat extends EntryReader, EntryWriter {}

/** A page table in memory, and all that is needed to read it. */
export interface PageTable {
  readonly format: EntryReader;
  readonly root: PhysAddr;
  /** Number of levels: the top table is at `levels - 1`. */
  readonly levels: number;
  /** Bits of input addresses, as many as the top table decides over: of ARM's stage 2 it may be up to 16 tables in a row. */
  readonly vaBits: number;
  /** Addresses with the highest of these bits set have all higher ones set, too. */
  readonly signExtend: boolean;
}

/** Most levels that any format has: AMD's, which grow to that. */
export const mostLevels = 6;

/** Base-2 logarithm of the bytes that an entry at a level decides over. */
export const itemLg2 = ({ granuleLg2 }: Pick<EntryReader, "granuleLg2">, level: number): number =>
  granuleLg2 + (granuleLg2 - 3) * level;

/** Entries of a table that is not the top one. */
export const entriesOf = ({ granuleLg2 }: Pick<EntryReader, "granuleLg2">): number => 2 ** (granuleLg2 - 3);

/** Entries of the top table. */
export const rootEntries = ({ format, levels, vaBits }: Omit<PageTable, "root">): number =>
  2 ** Math.max(0, vaBits - itemLg2(format, levels - 1));

/** Powers of two up to 2^63: computing one takes longer than everything else that is done for a leaf. */
const powers = Float64Array.from({ length: 64 }, (_, exponent) => 2 ** exponent);

/** Frames of a page of `2 ** lg2` bytes, 2^12 to 2^64. */
export const framesOf = (lg2: number): number => powers[lg2 - frameLg2]!;

/** Frames that the entry of a level decides over, as a double. */
export const itemFrames = (format: Pick<EntryReader, "granuleLg2">, level: number): number =>
  framesOf(itemLg2(format, level));

/**
 * Turns input frames as a table counts them into those that the device sees: sign extended where the table does that. Below
 * 2^52.
 */
export function extender({
  vaBits,
  signExtend,
}: Pick<PageTable, "vaBits" | "signExtend">): (iova: number) => number {
  if (!signExtend) return (iova) => iova;
  const half = framesOf(vaBits - 1);
  const above = 2 ** 52 - 2 * half;
  return (iova) => (iova >= half ? iova + above : iova);
}
