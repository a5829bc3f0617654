import { encode, encodeInto, sizeOf } from "../../src/layout/index.js";
import {
  FDT_LAST_SUPPORTED_VERSION,
  FDT_MAGIC,
  FDT_OLDEST_READABLE_VERSION,
  type FdtHeader,
  fdtAbi,
  fdtHeader,
  fdtReserveEntry,
} from "./layout.js";
import type { FdtReservation } from "./tree.js";

/** The three blocks of a tree. */
export interface Blocks {
  readonly reservations: readonly FdtReservation[];
  /** With its FDT_END. */
  readonly structure: Uint8Array;
  readonly strings: Uint8Array;
}

const headerSize = sizeOf(fdtHeader, fdtAbi);
const entrySize = sizeOf(fdtReserveEntry, fdtAbi);
const roundUp = (size: number, unit: number): number => Math.ceil(size / unit) * unit;

/**
 * Where the reservations begin, the only difference between the two ways in which libfdt lays out a blob: a tree that
 * is written in one go aligns them to their own size, one that was edited and packed to 8 bytes.
 */
const reservationsAt = {
  sequential: roundUp(headerSize, entrySize),
  packed: roundUp(headerSize, 8),
} as const;

/** Bytes of the reservations with their terminator. */
export const reservationsSize = (reservations: readonly FdtReservation[]): number =>
  (reservations.length + 1) * entrySize;

/** Lays the blocks out without gaps between them; `totalsize` is exact. `kept` is what an edit does not change. */
export function assemble(
  mode: keyof typeof reservationsAt,
  { reservations, structure, strings }: Blocks,
  kept: Partial<Pick<FdtHeader, "last_comp_version" | "boot_cpuid_phys">> = {},
): Uint8Array {
  const off_mem_rsvmap = reservationsAt[mode];
  const off_dt_struct = off_mem_rsvmap + reservationsSize(reservations);
  const off_dt_strings = off_dt_struct + structure.length;
  const totalsize = off_dt_strings + strings.length;
  const { last_comp_version = FDT_OLDEST_READABLE_VERSION, boot_cpuid_phys = 0 } = kept;
  const header: FdtHeader = {
    magic: FDT_MAGIC,
    totalsize,
    off_dt_struct,
    off_dt_strings,
    off_mem_rsvmap,
    version: FDT_LAST_SUPPORTED_VERSION,
    last_comp_version,
    boot_cpuid_phys,
    size_dt_strings: strings.length,
    size_dt_struct: structure.length,
  };
  const blob = new Uint8Array(totalsize);
  blob.set(encode(fdtHeader, header, fdtAbi));
  for (const [i, entry] of reservations.entries())
    encodeInto(fdtReserveEntry, entry, blob, off_mem_rsvmap + i * entrySize, fdtAbi);
  blob.set(structure, off_dt_struct);
  blob.set(strings, off_dt_strings);
  return blob;
}
