/** How long this toolkit itself takes for a handover of some shape: measured, in JavaScript, and no kernel's time. */
import type { OrderCount } from "../../formats/kho/preserved.js";
import { decodeHandover, encodeHandover, placedAs } from "../handover/index.js";
import { captureOf, fallocate, Machine, type MemfdFile } from "../machine/index.js";
import { eachFile, type Shape, totalsOf } from "./shape.js";
import { spaceOf } from "./structures.js";

/** A phase of the simulated machine or of the library, with the wall time it took. */
export interface MeasuredPhase {
  readonly name: "preserve" | "leave" | "decode" | "encode" | "arrive" | "retrieve";
  readonly seconds: number;
}

/** What was measured, of a handover that may have been made smaller. */
export interface ToolkitTimes {
  /** Always true: measured by a clock, of this toolkit. */
  readonly measured: true;
  readonly sessions: number;
  readonly files: number;
  readonly folios: number;
  readonly runs: number;
  /** How many times more folios the shape has; 1 if it was measured whole. */
  readonly factor: number;
  readonly phases: readonly MeasuredPhase[];
}

/** Sizes up to which a shape is measured whole. */
const most = { sessions: 64, files: 128, folios: 1 << 16, pages: 1 << 20 };

/**
 * Has the simulated machine preserve a handover of the shape, leave, and be received; decodes and encodes it in between.
 * `now` gives milliseconds. Large shapes are scaled down, to the same order, and as many runs for a folio.
 * @throws KhoError `refused` if the release does not take the shape
 */
export function measureToolkit(shape: Shape, now: () => number): ToolkitTimes | undefined {
  const totals = totalsOf(shape);
  if (totals.memfds === 0) return undefined;
  const { order, folios: all } = mainOrder(shape);
  const files = Math.min(totals.memfds, most.files);
  const sessions = Math.min(totals.sessionsWithFiles, most.sessions, files);
  const room = Math.min(totals.folios, most.folios, Math.max(files, Math.floor(most.pages / 2 ** order)));
  const each = all === 0 ? 0 : Math.max(1, Math.floor(Math.min(room / files, all / totals.memfds)));
  const runs = Math.max(1, Math.round((spaceOf(shape).runs / Math.max(1, totals.folios)) * each));
  const bytes = each * 2 ** order * shape.pageSize;
  const memory = BigInt(4 * files * bytes + 2 ** 20 * shape.pageSize);
  const old = Machine.boot({ release: shape.release, pageSize: shape.pageSize, memory });
  const filler = old.memfd({ folioOrder: order });
  const memfds = Array.from({ length: files }, () =>
    populated(old, filler, order, bytes, runs, shape.pageSize),
  );

  const phases: MeasuredPhase[] = [];
  const timed = <T>(name: MeasuredPhase["name"], work: () => T): T => {
    const start = now();
    const result = work();
    phases.push({ name, seconds: (now() - start) / 1000 });
    return result;
  };
  timed("preserve", () => {
    for (let s = 0; s < sessions; s++) {
      const session = old.liveupdate.createSession(`session ${s}`);
      for (let f = s; f < files; f += sessions) session.preserve(memfds[f]!, BigInt(f));
    }
  });
  const departure = timed("leave", () => old.leave());
  const image = captureOf(departure);
  const options = { release: shape.release, ...(departure.bootData && { handoff: departure.bootData }) };
  const decoded = timed("decode", () => decodeHandover(image, options));
  timed("encode", () => encodeHandover(decoded.handover, placedAs(decoded.structures)));
  const next = timed("arrive", () => Machine.arrive(departure, { release: shape.release }));
  timed("retrieve", () => {
    for (let s = 0; s < sessions; s++) {
      const session = next.liveupdate.retrieveSession(`session ${s}`);
      for (let f = s; f < files; f += sessions) session.retrieve(BigInt(f));
    }
  });
  const folios = each * files;
  return {
    measured: true,
    sessions,
    files,
    folios,
    runs: runs * files,
    factor: folios === 0 ? 1 : Math.max(1, totals.folios / folios),
    phases,
  };
}

/** The order that most of the memory is in, up to that of 2 MiB with 4K pages, and its folios. */
function mainOrder(shape: Shape): { readonly order: number; readonly folios: number } {
  const counts = new Map<number, number>();
  eachFile(shape, (file, count) => {
    for (const { order, blocks } of file.folios) counts.set(order, (counts.get(order) ?? 0) + blocks * count);
  });
  const all = [...counts].map(([order, blocks]): OrderCount => ({ order, blocks }));
  const main = all.sort((a, b) => b.blocks * 2 ** b.order - a.blocks * 2 ** a.order)[0];
  return { order: Math.min(9, main?.order ?? 0), folios: main?.blocks ?? 0 };
}

/** A file that lies in so many runs: between two of them a folio goes to `filler`. */
function populated(
  machine: Machine,
  filler: MemfdFile,
  order: number,
  bytes: number,
  runs: number,
  pageSize: number,
): MemfdFile {
  const file = machine.memfd({ size: bytes, folioOrder: order });
  const folio = 2 ** order * pageSize;
  const folios = bytes / folio;
  for (let run = 0, done = 0; run < runs && done < folios; run++) {
    const until = Math.round(((run + 1) * folios) / runs);
    if (until > done) fallocate(file, 0, BigInt(done * folio), BigInt((until - done) * folio));
    done = until;
    if (runs > 1) fallocate(filler, 0, filler.inode.size, BigInt(folio));
  }
  return file;
}
