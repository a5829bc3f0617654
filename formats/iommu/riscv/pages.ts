import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { readMemory } from "../../context.js";
import { frameLg2, frameOf } from "../entry.js";
import type { PageTable } from "../format.js";
import { type FrameSet, newFrameSet } from "../frames.js";
import { throughParent } from "../nested.js";
import { translate } from "../translate.js";
import type { IommuContext } from "../walk.js";

/** Reads the pages of directories, and bounds how many a listing reads. */
export interface PageReader {
  readonly ctx: IommuContext;
  /** Bytes that lie within one page. `parent` translates `pa`, where it is given. Absent memory is reported. */
  read(pa: PhysAddr, length: number, path: string, parent?: PageTable): Uint8Array | undefined;
  /** A whole page, of a walk through all of them. */
  page(pa: PhysAddr, path: string, parent?: PageTable): Uint8Array | undefined;
  /** True once the walk has come to a limit. */
  readonly ended: boolean;
}

const pageBytes = 2 ** frameLg2;

/** @param tables collects the frames of what was read */
export function newPageReader(ctx: IommuContext, tables: FrameSet): PageReader {
  const { limits } = ctx;
  const visited = newFrameSet();
  let visits = 0;
  let repeats = 0;
  let ended = false;

  /** Where an address is in memory; absent addresses stay what they are, so that the finding names them. */
  const real = (pa: PhysAddr, parent?: PageTable): PhysAddr =>
    parent ? (translate(ctx.memory, parent, pa).pa ?? pa) : pa;

  const read: PageReader["read"] = (pa, length, path, parent) => {
    const memory = parent ? throughParent(ctx.memory, parent) : ctx.memory;
    const bytes = readMemory({ memory, report: ctx.report }, pa, length, path);
    if (bytes) tables.add(frameOf(real(pa, parent)));
    return bytes;
  };
  return {
    ctx,
    get ended() {
      return ended;
    },
    read,
    page(pa, path, parent) {
      if (ended) return undefined;
      const frame = frameOf(real(physAddr(pa), parent));
      if (!visited.add(frame)) repeats++;
      visits++;
      if (visits > limits.maxTables || repeats > limits.maxSharedTables) {
        ended = true;
        const what =
          visits > limits.maxTables
            ? `directories have more than ${limits.maxTables} pages`
            : `pages of directories are reached again more than ${limits.maxSharedTables} times`;
        ctx.report("error", "limit-exceeded", what, { path, pa, length: pageBytes });
        return undefined;
      }
      return read(pa, pageBytes, path, parent);
    },
  };
}
