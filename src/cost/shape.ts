/** The shape of a handover: how much there is of what, and where it lies, without a byte of its contents. */
import type { OrderCount } from "../../formats/kho/preserved.js";
import type { Stretch } from "./stretches.js";

/** Files that are alike. */
export interface FileShape {
  /** How many of them, at least 1. */
  readonly count: number;
  /** `other` is a handler of whose data no released format is known: its record alone is counted. */
  readonly handler: "memfd" | "other";
  /** Folios of one file by order, all that the file has once it is preserved. */
  readonly folios: readonly OrderCount[];
  /** Base pages of one file, among its folios of order 0, that nothing had populated before it was preserved. */
  readonly holes: number;
  /** Folios of one file that lie in scratch when it is preserved, which moves them elsewhere. */
  readonly inScratch: readonly OrderCount[];
}

/** Sessions that are alike. */
export interface SessionShape {
  /** How many of them, at least 1. */
  readonly count: number;
  /** The files of each. */
  readonly files: readonly FileShape[];
}

/** A `reserve_mem=` region that is handed over. */
export interface RegionShape {
  readonly name: string;
  /** Base pages. */
  readonly pages: number;
}

/** The scratch areas as a whole. */
export interface ScratchShape {
  /** Low memory, global, then one for each NUMA node. */
  readonly areas: number;
  /** Bytes of all of them; 0 if that is not known. */
  readonly bytes: number;
}

/** What the in-kernel test module hands over. */
export interface TestModuleShape {
  readonly folios: number;
  /** Order of the block that its tree lies in, which is larger than the tree. */
  readonly blobOrder: number;
}

/** A handover by its numbers. Everything that `src/cost` works out follows from this value and from nothing else. */
export interface Shape {
  /** The release that hands over, and whose layouts count: `7.3`, `6.19.10`. */
  readonly release: string;
  /** Bytes. */
  readonly pageSize: number;
  readonly arch: "x86_64" | "aarch64";
  readonly scratch: ScratchShape;
  /** The live-update subtree exists: always where the release has it, unless it is switched off. */
  readonly liveUpdate: boolean;
  readonly sessions: readonly SessionShape[];
  /** Entries of the FLB page. */
  readonly flbs: number;
  readonly regions: readonly RegionShape[];
  readonly testModule?: TestModuleShape;
  /** Where the preserved contents lie: folios of files, regions, and whatever else is no structure. */
  readonly data: readonly Stretch[];
  /**
   * Where the preserved structures lie: exactly, as a capture shows, or one behind the other from a page on, which is
   * how a kernel that has just booted takes them from its free lists.
   */
  readonly structures: { readonly stretches: readonly Stretch[] } | { readonly pfn: number };
  /** What this shape takes for granted because nobody said it. For people. */
  readonly assumed: readonly string[];
}

/** Sums over all files of a shape. */
export interface Totals {
  readonly sessions: number;
  /** Sessions with a file at least. */
  readonly sessionsWithFiles: number;
  readonly files: number;
  readonly memfds: number;
  readonly folios: number;
  /** Base pages of the folios. */
  readonly pages: number;
  readonly holes: number;
  /** Base pages of files that lie in scratch. */
  readonly inScratch: number;
}

const pagesOf = (counts: readonly OrderCount[]): number =>
  counts.reduce((sum, { order, blocks }) => sum + blocks * 2 ** order, 0);

/** Folios of one file. */
export const folioCountOf = ({ folios }: FileShape): number =>
  folios.reduce((sum, { blocks }) => sum + blocks, 0);

/** Base pages of one file. */
export const filePages = ({ folios }: FileShape): number => pagesOf(folios);

/** Files of one session. */
export const filesOf = ({ files }: SessionShape): number => files.reduce((sum, { count }) => sum + count, 0);

/** Calls `use` for each kind of file with how many there are of it in the whole shape. */
export function eachFile(
  { sessions }: Pick<Shape, "sessions">,
  use: (file: FileShape, count: number) => void,
): void {
  for (const session of sessions) for (const file of session.files) use(file, session.count * file.count);
}

export function totalsOf(shape: Pick<Shape, "sessions">): Totals {
  const sum = { files: 0, memfds: 0, folios: 0, pages: 0, holes: 0, inScratch: 0 };
  eachFile(shape, (file, count) => {
    sum.files += count;
    if (file.handler === "memfd") sum.memfds += count;
    sum.folios += folioCountOf(file) * count;
    sum.pages += filePages(file) * count;
    sum.holes += file.holes * count;
    sum.inScratch += pagesOf(file.inScratch) * count;
  });
  const count = (sessions: readonly SessionShape[]): number => sessions.reduce((all, s) => all + s.count, 0);
  return {
    ...sum,
    sessions: count(shape.sessions),
    sessionsWithFiles: count(shape.sessions.filter((session) => filesOf(session) > 0)),
  };
}
