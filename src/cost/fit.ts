import { type FileFit, fitFrom, type OrderFit } from "./constants.js";
import { eachFile, type FileShape, type Shape } from "./shape.js";

/** All files of a shape in a phase that goes file by file. */
export function filesCost(shape: Shape, fit: FileFit, sessionsWithFiles: number): number {
  let sum = 0;
  eachFile(shape, (file, count) => {
    sum += count * fileCost(file, fit);
  });
  return sessionsWithFiles === 0 ? 0 : fit.first + fit.session * sessionsWithFiles + sum;
}

/**
 * One file, folios of several orders each at their own rate. What a file costs as such is that of the fit of the order
 * that most of its folios have; for few folios of order 0 it was measured at one, and is taken to change evenly from
 * there to where the fit begins.
 */
function fileCost(file: FileShape, { smallFile, orders }: FileFit): number {
  let main = 0;
  let most = 0;
  let sum = 0;
  for (const { order, blocks } of file.folios) {
    sum += blocks * fitAt(orders, order).folio;
    if (blocks <= most) continue;
    most = blocks;
    main = order;
  }
  const { file: large } = fitAt(orders, main);
  const share = main === 0 ? Math.max(0, 1 - most / fitFrom) : 0;
  return sum + large + share * (smallFile - large);
}

/** Where a number of a fit comes from. */
export type Origin = "measured" | "interpolated" | "extrapolated";

/**
 * The fit of an order. Between orders that were measured it is taken to change evenly with the pages of a folio, beyond
 * the largest one to go on as it does before it: neither was measured.
 */
export function fitAt(orders: readonly OrderFit[], order: number): OrderFit & { readonly origin: Origin } {
  const exact = orders.find((fit) => fit.order === order);
  if (exact) return { ...exact, origin: "measured" };
  const above = orders.findIndex((fit) => fit.order > order);
  const i = above > 0 ? above : orders.length - 1;
  const [low, high] = [orders[i - 1]!, orders[i]!];
  const share = (2 ** order - 2 ** low.order) / (2 ** high.order - 2 ** low.order);
  return {
    order,
    // The cost of a file as such does not grow with its folios.
    file: above > 0 ? low.file + share * (high.file - low.file) : high.file,
    folio: low.folio + share * (high.folio - low.folio),
    measuredTo: 0,
    origin: above > 0 ? "interpolated" : "extrapolated",
  };
}
