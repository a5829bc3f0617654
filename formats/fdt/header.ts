import { decode, offsetOf, sizeOf } from "../../src/layout/index.js";
import { hex } from "../../src/report/hex.js";
import {
  FDT_FIRST_SUPPORTED_VERSION,
  FDT_LAST_SUPPORTED_VERSION,
  FDT_MAGIC,
  FDT_MAX_TOTALSIZE,
  FDT_OLDEST_READABLE_VERSION,
  FDT_TAGSIZE,
  type FdtHeader,
  fdtAbi,
  fdtHeader,
  fdtReserveEntry,
} from "./layout.js";
import type { Faults } from "./problem.js";

/** Where one block of the blob is. All three count bytes from the start of the blob. */
export interface Block {
  readonly start: number;
  /** Where the header says that it ends. */
  readonly end: number;
  /**
   * Where the readable bytes of it end. Below `end` only if a fault that says why has been reported, so running
   * out of bytes before `end` needs no report of its own.
   */
  readonly limit: number;
}

/** A header and the blocks that it describes. */
export interface Extents {
  readonly header: FdtHeader;
  readonly reserveMap: Block;
  readonly structure: Block;
  readonly strings: Block;
}

const headerSize = sizeOf(fdtHeader, fdtAbi);
const fieldSize = sizeOf(fdtHeader.fields.magic, fdtAbi);
const at = (field: keyof FdtHeader): number => offsetOf(fdtHeader, field, fdtAbi);

/**
 * Reads and checks everything that the header says.
 * @throws KhoError `fdt-bad-magic`, `fdt-truncated` if there is no header; in strict mode also `fdt-bad-version`,
 * `fdt-bad-layout`
 */
export function readHeader(bytes: Uint8Array, faults: Faults): Extents {
  requireMagic(bytes, faults);
  const header = decode(fdtHeader, bytes, 0, fdtAbi);
  const version = readableVersion(header, faults);
  // Version 16 has no size_dt_struct: the header is shorter, and the structure block runs to the end of the blob.
  const smallest = version === FDT_OLDEST_READABLE_VERSION ? at("size_dt_struct") : headerSize;
  const { totalsize } = header;
  const plausible = totalsize >= smallest && totalsize <= FDT_MAX_TOTALSIZE;
  if (!plausible)
    faults.add("fdt-bad-layout", at("totalsize"), fieldSize, `totalsize ${totalsize} is impossible`, {
      expected: `${smallest} to ${FDT_MAX_TOTALSIZE}`,
      actual: `${totalsize}`,
    });
  else if (totalsize > bytes.length)
    faults.add(
      "fdt-truncated",
      bytes.length,
      totalsize - bytes.length,
      `the blob has ${totalsize} bytes, ${bytes.length} are there`,
      { expected: `${totalsize} bytes`, actual: `${bytes.length} bytes` },
    );

  const readable = Math.min(bytes.length, FDT_MAX_TOTALSIZE);
  const block = (
    field: "off_mem_rsvmap" | "off_dt_struct" | "off_dt_strings",
    alignment: number,
    size: number | undefined,
  ): Block => {
    const start = header[field];
    const end = size === undefined ? totalsize : start + size;
    if (start % alignment !== 0)
      faults.add("fdt-unaligned", at(field), fieldSize, `${field} is not aligned to ${alignment} bytes`, {
        expected: `a multiple of ${alignment}`,
        actual: hex(start),
      });
    if (plausible && (start < smallest || start > end || end > totalsize)) {
      const range = `${hex(start)} to ${hex(end)}`;
      const room = `${hex(smallest)} to ${hex(totalsize)}`;
      faults.add("fdt-bad-layout", at(field), fieldSize, `the block at ${field}, ${range}, leaves the blob`, {
        expected: `within ${room}`,
        actual: range,
      });
    }
    // Behind totalsize is what a page held before; only a totalsize that is itself in doubt is overruled.
    const limit = plausible && end <= totalsize ? Math.min(end, readable) : readable;
    return { start, end, limit };
  };
  const sized = version !== FDT_OLDEST_READABLE_VERSION;
  const reserveMap = block("off_mem_rsvmap", sizeOf(fdtReserveEntry.fields.address, fdtAbi), undefined);
  const structure = block("off_dt_struct", FDT_TAGSIZE, sized ? header.size_dt_struct : undefined);
  const strings = block("off_dt_strings", 1, header.size_dt_strings);
  if (!sized) header.size_dt_struct = Math.max(0, structure.end - structure.start);
  return { header, reserveMap, structure, strings };
}

function requireMagic(bytes: Uint8Array, faults: Faults): void {
  const magic = [24, 16, 8, 0].map((shift) => (FDT_MAGIC >>> shift) & 0xff);
  const first = bytes.subarray(0, magic.length);
  if (first.some((byte, i) => byte !== magic[i])) {
    const written = (list: Iterable<number>): string =>
      [...list].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw faults.fatal("fdt-bad-magic", at("magic"), first.length, "this is no flattened device tree", {
      expected: written(magic),
      actual: written(first),
    });
  }
  if (bytes.length < headerSize)
    throw faults.fatal(
      "fdt-truncated",
      bytes.length,
      headerSize - bytes.length,
      `the header has ${headerSize} bytes, ${bytes.length} are there`,
      { expected: `${headerSize} bytes`, actual: `${bytes.length} bytes` },
    );
}

/** The version to read the blob as: one that is not readable is taken for a damaged 17. */
function readableVersion(header: FdtHeader, faults: Faults): number {
  const { version, last_comp_version } = header;
  const refuse = (field: keyof FdtHeader, message: string, expected: string): void =>
    faults.add("fdt-bad-version", at(field), fieldSize, message, { expected, actual: `${header[field]}` });
  if (version < FDT_FIRST_SUPPORTED_VERSION)
    refuse("version", `version ${version} is unknown`, `at least ${FDT_FIRST_SUPPORTED_VERSION}`);
  else if (version < FDT_OLDEST_READABLE_VERSION)
    refuse(
      "version",
      `version ${version} has another structure block, which is not supported`,
      `at least ${FDT_OLDEST_READABLE_VERSION}`,
    );
  if (last_comp_version > FDT_LAST_SUPPORTED_VERSION)
    refuse(
      "last_comp_version",
      `last_comp_version ${last_comp_version} is too new`,
      `at most ${FDT_LAST_SUPPORTED_VERSION}`,
    );
  else if (last_comp_version > version)
    refuse(
      "last_comp_version",
      `last_comp_version ${last_comp_version} is above version ${version}`,
      `at most ${version}`,
    );
  return version === FDT_OLDEST_READABLE_VERSION ? version : FDT_LAST_SUPPORTED_VERSION;
}
