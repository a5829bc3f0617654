import { byIndex, pagesOf } from "../../formats/memfd/folios.js";
import {
  MEMFD_LUO_ALL_SEALS,
  MEMFD_LUO_FOLIO_UPTODATE,
  seals as sealBits,
} from "../../formats/memfd/layout.js";
import type { Memfd } from "../../formats/memfd/memfd.js";
import type { File } from "../handover/index.js";
import { hex } from "../report/hex.js";
import { humanBytes, plural } from "./text.js";

/** What a folio list comes to. */
export interface FolioSummary {
  readonly folios: number;
  /** Folios per order, ascending. */
  readonly orders: readonly { readonly order: number; readonly folios: number }[];
  /** Stretches that are adjacent in the file and in memory. */
  readonly runs: number;
  /** Memory that the folios take, in bytes. */
  readonly bytes: bigint;
  /** Stretches of the file, up to its size, that no folio covers. */
  readonly holes: number;
  readonly holeBytes: number;
  /** Folios that were never filled and read as zeros. */
  readonly unfilled: number;
}

/** Sums up a folio list. Linear in its runs; they are sorted first if the writer did not do so. */
export function summarise({ folios, size }: Memfd, pageSize: number): FolioSummary {
  const orders = new Map<number, number>();
  let count = 0;
  let pages = 0;
  let unfilled = 0;
  let holes = 0;
  let holeBytes = 0;
  let end = 0;
  const fileEnd = Number(size);
  const gap = (from: number, to: number): void => {
    if (to <= from) return;
    holes++;
    holeBytes += to - from;
  };
  for (const i of byIndex(folios)) {
    count += folios.count[i]!;
    pages += pagesOf(folios, i);
    orders.set(folios.order[i]!, (orders.get(folios.order[i]!) ?? 0) + folios.count[i]!);
    if ((folios.flags[i]! & MEMFD_LUO_FOLIO_UPTODATE) === 0) unfilled += folios.count[i]!;
    const start = folios.index[i]! * pageSize;
    gap(end, Math.min(start, fileEnd));
    end = Math.max(end, start + pagesOf(folios, i) * pageSize);
  }
  gap(end, fileEnd);
  return {
    folios: count,
    orders: [...orders].sort(([a], [b]) => a - b).map(([order, folios]) => ({ order, folios })),
    runs: folios.length,
    bytes: BigInt(pages) * BigInt(pageSize),
    holes,
    holeBytes,
    unfilled,
  };
}

/** `0`, `0,4`, `0-3,9`: the orders in use. */
export function ordersText(orders: readonly { readonly order: number }[]): string {
  const parts: string[] = [];
  for (let i = 0; i < orders.length; i++) {
    const first = orders[i]!.order;
    while (i + 1 < orders.length && orders[i + 1]!.order === orders[i]!.order + 1) i++;
    const last = orders[i]!.order;
    parts.push(first === last ? `${first}` : `${first}${last === first + 1 ? "," : "-"}${last}`);
  }
  return parts.join(",");
}

/** `5 folios (orders 0,9), 3 runs, 2 holes of 4 KiB`. */
export function folioText(summary: FolioSummary): string {
  const { folios, orders, runs, holes, holeBytes, unfilled } = summary;
  if (folios === 0) return holes > 0 ? "no folios, all hole" : "no folios";
  return [
    `${plural(folios, "folio")} (${orders.length === 1 ? "order" : "orders"} ${ordersText(orders)})`,
    plural(runs, "run"),
    ...(holes > 0 ? [`${plural(holes, "hole")} of ${humanBytes(holeBytes)}`] : []),
    ...(unfilled > 0 ? [`${unfilled} never filled`] : []),
  ].join(", ");
}

/** `SEAL|GROW`, without the prefix F_SEAL_; bits that no kernel knows in hex; empty for none. */
export function sealsText(seals: number): string {
  const names = Object.entries(sealBits).flatMap(([name, bit]) =>
    (seals & bit) !== 0 ? [name.slice("F_SEAL_".length)] : [],
  );
  const rest = (seals & ~MEMFD_LUO_ALL_SEALS) >>> 0;
  return [...names, ...(rest === 0 ? [] : [hex(rest)])].join("|");
}

/** A token as it is shown: hex, which is how it can be told from an index. */
export const tokenText = ({ token }: Pick<File, "token">): string => hex(token);
