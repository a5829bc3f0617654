import { decode, sizeOf } from "../../src/layout/index.js";
import { type Block, readHeader } from "./header.js";
import { fdtAbi, fdtReserveEntry } from "./layout.js";
import { type Faults, type FdtProblem, faults } from "./problem.js";
import { stringsBlock } from "./strings.js";
import { type Limits, readStructure } from "./structure.js";
import type { Fdt, FdtReservation } from "./tree.js";

/** How {@link readFdt} reads. */
export interface FdtReadOptions {
  /** Read past damage and report it, instead of throwing at the first fault. Defaults to false. */
  readonly lenient?: boolean;
  /** Called for every fault of a lenient reading, in the order of discovery; also for one that is then thrown. */
  readonly report?: (problem: FdtProblem) => void;
  /** Nodes and properties together, and reservations for themselves. Defaults to 1,000,000. */
  readonly maxNodes?: number;
  /** Nodes open at once, the root included. Defaults to 64. */
  readonly maxDepth?: number;
}

/**
 * Reads a flattened device tree of version 16 or 17, or of a later one that says it is compatible with 17. One pass
 * over the structure block, in time linear in the size of the blob; values are not copied.
 *
 * `bytes` may be longer than the blob: what is behind `totalsize` is not looked at. It needs no alignment.
 *
 * A lenient reading of a blob that was cut, as copies of debugfs `kho/out/fdt` are, reports `fdt-truncated` once
 * and nothing else that follows from the cut. It gives the nodes and properties that are whole; a property whose
 * name was cut off has the name "".
 *
 * @throws KhoError in either mode `fdt-bad-magic`, or `fdt-truncated` if there is not even a header; in strict mode
 * also `fdt-bad-version`, `fdt-bad-layout`, `fdt-truncated`, `fdt-bad-structure`, `fdt-bad-string`, `limit-exceeded`
 */
export function readFdt(bytes: Uint8Array, options: FdtReadOptions = {}): Fdt {
  const { lenient = false, report, maxNodes = 1_000_000, maxDepth = 64 } = options;
  const found = faults(lenient, report);
  const limits = { maxNodes, maxDepth };
  const { header, reserveMap, structure, strings } = readHeader(bytes, found);
  const reservations = readReservations(bytes, reserveMap, limits, found);
  const names = stringsBlock(bytes, strings, found);
  const root = readStructure(bytes, structure, names, limits, found);
  return { bytes, header, root, reservations, complete: found.count === 0 };
}

const entrySize = sizeOf(fdtReserveEntry, fdtAbi);

/** Entries up to the first of size 0; the kernel's parser does not ask for its address to be 0 as well. */
function readReservations(
  bytes: Uint8Array,
  { start, end, limit }: Block,
  { maxNodes }: Limits,
  found: Faults,
): FdtReservation[] {
  const reservations: FdtReservation[] = [];
  for (let at = start; at + entrySize <= limit; at += entrySize) {
    const entry = decode(fdtReserveEntry, bytes, at, fdtAbi);
    if (entry.size === 0n) return reservations;
    if (reservations.length >= maxNodes) {
      found.add("limit-exceeded", at, entrySize, `there are more than ${maxNodes} reservations`);
      return reservations;
    }
    reservations.push(entry);
  }
  if (limit >= end)
    found.add(
      "fdt-bad-structure",
      start,
      Math.max(0, end - start),
      "the memory reservation block has no end",
    );
  return reservations;
}
