import type { ChosenConstants } from "./constants.js";
import type { Counts } from "./counts.js";
import { fitAt, type Origin } from "./fit.js";
import { eachFile, type Shape, totalsOf } from "./shape.js";

/** Largest numbers that were measured; beyond them the formulas go on. */
const measured = { sessions: 200, runs: 16_384, items: 131_072 };

/** What there is to say against the numbers of a model. */
export function cautionsOf(
  shape: Shape,
  { constants, standIn, note }: ChosenConstants,
  { items, runs }: Counts,
): string[] {
  const { sessions, holes } = totalsOf(shape);
  const found: string[] = standIn ? [note] : [];
  const fits = constants.retrieve.orders;
  const orders = new Map<number, Origin>();
  /** Most folios of one file, by order. */
  const largest = new Map<number, number>();
  eachFile(shape, ({ folios }) => {
    for (const { order, blocks } of folios) {
      orders.set(order, fitAt(fits, order).origin);
      largest.set(order, Math.max(largest.get(order) ?? 0, blocks));
    }
  });
  for (const origin of ["interpolated", "extrapolated"] as const) {
    const list = [...orders].filter(([, from]) => from === origin).map(([order]) => order);
    if (list.length > 0)
      found.push(
        `folios of order ${list.sort((a, b) => a - b).join(", ")} were not measured: ${origin} from orders 0, 4 and 9`,
      );
  }
  if (shape.pageSize !== 4096 || shape.arch !== "x86_64")
    found.push(
      `counted on x86-64 with 4K pages, and taken over for ${shape.arch} with ${shape.pageSize / 1024}K pages`,
    );
  const beyond = [
    ...fits
      .filter(({ order, measuredTo }) => (largest.get(order) ?? 0) > measuredTo)
      .map(
        ({ order, measuredTo }) =>
          `${largest.get(order)} folios of order ${order} in a file (measured up to ${measuredTo})`,
      ),
    ...(items > measured.items ? [`${items} preserved blocks (up to ${measured.items})`] : []),
    ...(runs > measured.runs ? [`${runs} runs (up to ${measured.runs})`] : []),
    ...(sessions > measured.sessions ? [`${sessions} sessions (up to ${measured.sessions})`] : []),
  ];
  if (beyond.length > 0) found.push(`extrapolated: ${beyond.join(", ")}`);
  const { borrowed } = constants;
  const used = borrowed.filter(
    (what) =>
      (what !== "holes" || holes > 0) &&
      (what !== "64K folios" || [...orders.keys()].some((o) => o > 0 && o < 9)),
  );
  if (used.length > 0) found.push(`constants of another kernel for ${used.join(", ")}`);
  return found;
}
