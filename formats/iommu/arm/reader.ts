import { endOfMemory, firstNot, type Memory, type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import { readMemory } from "../../context.js";
import { frameLg2, frameOf } from "../entry.js";
import type { PageTable } from "../format.js";
import type { FrameSet } from "../frames.js";
import { throughParent } from "../nested.js";
import { translate } from "../translate.js";
import type { IommuContext } from "../walk.js";

/** A piece of a table. */
export interface Piece {
  /** Bytes from the start of the table. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Reads stream tables and tables of context descriptors, and bounds how much a listing reads. */
export interface StructureReader {
  readonly ctx: IommuContext;
  /** Bytes that lie within one page. `parent` translates `pa`, where it is given. Absent memory is reported. */
  read(pa: PhysAddr, length: number, path: string, parent?: PageTable): Uint8Array | undefined;
  /**
   * What of a table of `count` entries of `size` bytes is there: whole entries, at most a page of them at once. What the
   * capture holds as zeros is left out. Memory that is absent is reported once. The table is below 2^53 bytes and aligned to
   * its entries, whose size is a power of two up to a page's.
   */
  pieces(pa: PhysAddr, count: number, size: number, path: string, parent?: PageTable): Generator<Piece>;
  /** Where an address that `parent` translates is in memory; where it leads nowhere, the address itself. */
  real(pa: PhysAddr, parent?: PageTable): PhysAddr;
  /** Counts an entry that is listed, up to `limits.maxRecords`; false from there on. */
  list(): boolean;
  /** Counts a page or descriptor that a listing looks into, up to `limits.maxTables`; false from there on. */
  look(): boolean;
}

const pageBytes = 2 ** frameLg2;

/** @param tables collects the frames of what was read, other than a guest's */
export function newReader(ctx: IommuContext, tables: FrameSet): StructureReader {
  const { limits, memory } = ctx;
  let listed = 0;
  let looked = 0;

  const bounded = (count: number, most: number, what: string): boolean => {
    if (count === most + 1)
      ctx.report("error", "limit-exceeded", `the SMMU has more than ${most} ${what}`, { path: "devices" });
    return count <= most;
  };
  const look = (): boolean =>
    bounded(++looked, limits.maxTables, "pages and descriptors of streams and contexts");
  const behind = (parent?: PageTable): Memory => (parent ? throughParent(memory, parent) : memory);

  return {
    ctx,
    look,
    list: () => bounded(++listed, limits.maxRecords, "streams and substreams"),
    real: (pa, parent) => (parent ? (translate(memory, parent, pa).pa ?? pa) : pa),
    read(pa, length, path, parent) {
      const bytes = readMemory({ memory: behind(parent), report: ctx.report }, pa, length, path);
      if (bytes && !parent) tables.add(frameOf(pa));
      return bytes;
    },
    *pieces(pa, count, size, path, parent) {
      const length = count * size;
      const from = behind(parent);
      let missing = 0;
      for (let at = 0; at < length; ) {
        const here = physAddr(pa + BigInt(at));
        // Behind a parent nothing tells what there is but looking.
        const { kind, end } = parent ? unknown : stretchAt(from, here);
        const left = Math.min(Number(end - here), length - at);
        const whole = left - (left % size);
        if (kind === "zeros" && whole > 0) {
          at += whole;
          continue;
        }
        if (kind === "absent") {
          const gone = Math.ceil(left / size) * size;
          missing += gone;
          at += gone;
          continue;
        }
        if (!look()) return;
        const room = Math.min(length - at, pageBytes - Number(here % BigInt(pageBytes)));
        // A capture can end within a page.
        const there = from.has(here, room) ? room : Math.min(room, whole);
        if (there > 0 && from.has(here, there)) {
          if (!parent) tables.add(frameOf(here));
          yield { at, bytes: from.read(here, there) };
          at += there;
        } else {
          const gone = whole === 0 ? size : room;
          missing += gone;
          at += gone;
        }
      }
      if (missing > 0)
        ctx.report("error", "memory-absent", `${missing} of the ${length} bytes at ${hex(pa)} are missing`, {
          path,
          pa,
          length,
          expected: `${length} bytes at ${hex(pa)}`,
          actual: parent ? "not mapped, or not captured" : "not captured",
        });
    },
  };
}

/** A stretch of memory that is alike, from an address up to `end`. */
interface Stretch {
  readonly kind: "stored" | "zeros" | "absent";
  readonly end: bigint;
}

function stretchAt({ ranges }: Memory, pa: bigint): Stretch {
  const range = ranges[firstNot(0, ranges.length, (i) => ranges[i]!.pa + ranges[i]!.size <= pa)];
  if (!range) return { kind: "absent", end: endOfMemory };
  if (range.pa > pa) return { kind: "absent", end: range.pa };
  return { kind: range.zeros ? "zeros" : "stored", end: range.pa + range.size };
}

const unknown: Stretch = { kind: "stored", end: endOfMemory };
