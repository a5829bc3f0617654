/** The modelled blackout against the size of memory: the same machines with more or less of it. */
import { pageShift } from "../layout/index.js";
import { type MachineFacts, modelOf } from "./model.js";
import { type Shape, totalsOf } from "./shape.js";
import { shapeFrom } from "./shape-from.js";

/** One order and one way to lie. */
export interface SweepLine {
  readonly order: number;
  /** `contiguous`: each file is one run. `scattered`: no two folios are neighbours. */
  readonly layout: "contiguous" | "scattered";
  readonly points: readonly SweepPoint[];
}

export interface SweepPoint {
  /** Bytes of all files. */
  readonly memory: number;
  /**
   * Modelled, within the blackout, without `memblock_free_all`: that has less to do the more is preserved, and with
   * large folios more than makes up for the rest.
   */
  readonly instructions: number;
}

/** Bytes of memory from where to where. */
const from = 2 ** 26;
const until = 2 ** 42;

/** Works the model out for powers of two of memory, for small folios, 16 pages and 2 MiB. */
export function sweep(shape: Shape, facts: MachineFacts = {}): SweepLine[] {
  const { memfds, sessions } = totalsOf(shape);
  const { release, pageSize } = shape;
  const vms = Math.max(1, memfds);
  const huge = 21 - pageShift({ byteOrder: "little", pageSize });
  const orders = [...new Set([0, Math.min(4, huge), huge])];
  return orders.flatMap((order) =>
    (["contiguous", "scattered"] as const).map((layout): SweepLine => {
      const points: SweepPoint[] = [];
      for (let memory = from; memory <= until; memory *= 2) {
        // Files without a whole folio would be of another order.
        if (memory < vms * 2 ** order * pageSize) continue;
        const { phases } = modelOf(
          shapeFrom({
            release,
            pageSize,
            vms,
            sessions: Math.max(1, sessions),
            memory: memory / vms,
            order,
            fragmentation: layout === "scattered" ? 1 : 0,
          }),
          facts,
        );
        const instructions = phases.reduce(
          (sum, { id, when, instructions: own }) =>
            sum + (when === "blackout" && id !== "free-all" ? own : 0),
          0,
        );
        points.push({ memory, instructions });
      }
      return { order, layout, points };
    }),
  );
}
