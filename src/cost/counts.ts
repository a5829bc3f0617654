import type { Abi } from "../layout/index.js";
import { listPages } from "./live-update.js";
import { eachFile, folioCountOf, type Shape } from "./shape.js";
import { idleShape, type SpaceCost, spaceOf } from "./structures.js";

/** What the phases of the early boot depend on. */
export interface Counts {
  /** Preserved blocks beyond those that are there with nothing preserved. */
  readonly items: number;
  /** The same as the fits of `memory_init` count: folios with their lists, without the other pages of one file. */
  readonly fitted: number;
  /** Base pages of the items. */
  readonly pages: number;
  /** Contiguous runs, at least 1 where there are items. */
  readonly runs: number;
  /** Nodes of the tree beyond those that are there with nothing preserved. */
  readonly nodes: number;
  /** Chunks of the memory map, of a release that has them. */
  readonly chunks: number;
}

/** Pages that the fits, of one file in one session, have in their constant: two blocks, header, chunk, a list page. */
const pagesOfOneFile = 5;

/** Counts them, as the fits count. */
export function countsOf(shape: Shape, space: SpaceCost, abi: Abi): Counts {
  const idle = spaceOf(idleShape(shape));
  const sum = ({ orders }: SpaceCost, unit: (order: number) => number): number =>
    orders.reduce((all, { order, blocks }) => all + blocks * unit(order), 0);
  const items = Math.max(0, sum(space, () => 1) - sum(idle, () => 1));
  let lists = 0;
  eachFile(shape, (file, count) => {
    const folios = folioCountOf(file);
    // The first page of a list counts as one of the file's own.
    lists += count * Math.max(0, listPages(folios, abi) - 1);
  });
  return {
    items,
    fitted: Math.max(0, items - lists - pagesOfOneFile),
    pages: Math.max(0, sum(space, (order) => 2 ** order) - sum(idle, (order) => 2 ** order)),
    runs: items === 0 ? 0 : Math.max(1, space.runs),
    nodes: Math.max(0, space.map.nodes - idle.map.nodes),
    chunks: space.map.rows.find(({ what }) => what.startsWith("chunks"))?.count ?? 0,
  };
}
