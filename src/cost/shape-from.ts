/** The shape of a handover that nobody has made yet: from how many virtual machines there are, and what they have. */
import { kernelOf } from "../../formats/kernels.js";
import type { OrderCount } from "../../formats/kho/preserved.js";
import { pageShift } from "../layout/index.js";
import { blocksOf } from "../machine/kho/blocks.js";
import { KhoError } from "../report/error.js";
import {
  eachFile,
  type FileShape,
  type RegionShape,
  type SessionShape,
  type Shape,
  totalsOf,
} from "./shape.js";
import { endOf, type Stretch, singleRun, spread } from "./stretches.js";
import { placesOf, spaceOf } from "./structures.js";

/** A host in a few numbers. Bytes are integers below 2^53. */
export interface Parameters {
  readonly release: string;
  /** Bytes; 4096 unless given. Others make it an arm64 machine. */
  readonly pageSize?: number;
  /** Virtual machines; 1 unless given. */
  readonly vms?: number;
  /** Bytes of memory of each, 0 for none. */
  readonly memory: number;
  /** Memfds that the memory of each is in; 1 unless given. */
  readonly files?: number;
  /** Order of the folios; 0 unless given. What is left over at the end of a file is of order 0. */
  readonly order?: number;
  /** Sessions that the machines share; as many as machines unless given. */
  readonly sessions?: number;
  /** Files of other handlers, of whose data no released format is known: VFIO devices, IOMMU state. */
  readonly devices?: number;
  /** Entries of the FLB page. */
  readonly flbs?: number;
  readonly regions?: readonly RegionShape[];
  readonly scratch?: Shape["scratch"];
  /** Physically contiguous runs of all files' memory. */
  readonly runs?: number;
  /** Instead of `runs`: 0 for one run for each file, 1 for none of two folios being neighbours. */
  readonly fragmentation?: number;
  /** Bytes of each machine that nothing has touched when it is preserved. */
  readonly holes?: number;
  /** Bytes of each machine that lie in scratch when it is preserved. */
  readonly inScratch?: number;
  /** Physical address from which on everything lies; 4 GiB unless given. */
  readonly base?: number;
}

const defaultScratch = { areas: 3, bytes: 0 };
const defaultBase = 2 ** 32;

/**
 * Makes a shape from parameters. It lies as it would on a machine with nothing else: structures from `base` on, then the
 * files, the runs as even as can be and a block apart.
 * @throws KhoError `unknown-release`; `usage` for numbers that contradict each other
 */
export function shapeFrom(parameters: Parameters): Shape {
  const { release, vms = 1, devices = 0, pageSize = 4096 } = parameters;
  const kernel = kernelOf(release);
  const { sessions = Math.max(vms, devices > 0 ? 1 : 0), base = defaultBase } = parameters;
  if ((vms > 0 || devices > 0) && sessions < 1)
    throw usage("files are preserved in sessions, and there is none");
  const file = fileOf(parameters, pageSize);
  const liveUpdate = kernel.luo !== undefined;
  if (!liveUpdate && file && vms > 0)
    throw usage(`Linux ${release} has no live update: it hands over no files`, "6.19 or later, or --vms 0");
  const shape: Shape = {
    release,
    pageSize,
    arch: pageSize === 4096 ? "x86_64" : "aarch64",
    scratch: parameters.scratch ?? defaultScratch,
    liveUpdate,
    sessions: liveUpdate ? sessionsOf(sessions, vms, devices, file) : [],
    flbs: parameters.flbs ?? 0,
    regions: parameters.regions ?? [],
    data: [],
    structures: { pfn: Math.floor(base / pageSize) },
    assumed: [],
  };
  return placed(shape, parameters);
}

/** One memfd of one machine; none where machines have no memory. */
function fileOf(
  { memory, files = 1, order = 0, holes = 0, inScratch = 0 }: Parameters,
  pageSize: number,
): FileShape | undefined {
  if (memory === 0) return undefined;
  // Bytes are below 2^53, and the largest block is half of all that can be addressed.
  const most = 63 - pageShift({ byteOrder: "little", pageSize });
  if (order > most) throw usage(`there is no folio of order ${order}`, `0 to ${most}`);
  const pagesOf = (bytes: number): number => Math.ceil(bytes / files / pageSize);
  const pages = pagesOf(memory);
  const empty = pagesOf(holes);
  const moved = Math.ceil(pagesOf(inScratch) / 2 ** order);
  if (empty > pages) throw usage("there are more holes than memory");
  const large = Math.floor((pages - empty) / 2 ** order);
  if (large === 0 && order > 0 && empty < pages)
    throw usage(`what is populated of a file of ${pages} pages has no room for a folio of order ${order}`);
  const rest = pages - large * 2 ** order;
  if (moved > (order === 0 ? pages - empty : large)) throw usage("more memory is in scratch than there is");
  return {
    count: files,
    handler: "memfd",
    folios: counts([
      { order, blocks: order === 0 ? 0 : large },
      { order: 0, blocks: order === 0 ? pages : rest },
    ]),
    holes: empty,
    inScratch: counts([{ order, blocks: moved }]),
  };
}

const counts = (all: readonly OrderCount[]): OrderCount[] =>
  all.filter(({ blocks }) => blocks > 0).sort((a, b) => a.order - b.order);

/** Machines and devices dealt out to sessions, the first ones getting what does not go into all. */
function sessionsOf(
  sessions: number,
  vms: number,
  devices: number,
  file: FileShape | undefined,
): SessionShape[] {
  if (sessions === 0) return [];
  const share = (all: number, from: number): number =>
    Math.floor(all / sessions) + (from < all % sessions ? 1 : 0);
  const borders = [...new Set([0, vms % sessions, devices % sessions, sessions])].sort((a, b) => a - b);
  return borders.slice(0, -1).map((from, i) => {
    const machines = share(vms, from);
    const others = share(devices, from);
    const device: FileShape = { count: others, handler: "other", folios: [], holes: 0, inScratch: [] };
    return {
      count: borders[i + 1]! - from,
      files: [
        ...(file && machines > 0 ? [{ ...file, count: file.count * machines }] : []),
        ...(others > 0 ? [device] : []),
      ],
    };
  });
}

/** How contents are laid out. */
export type Layout = Pick<Parameters, "runs" | "fragmentation">;

/**
 * The shape with its contents laid out anew behind its structures, in as many runs as `layout` says, which is one for
 * each file unless it does.
 * @throws KhoError `usage` for more runs than folios, or fewer than one
 */
export function placed(shape: Shape, layout: Layout): Shape {
  const { runs, fragmentation } = layout;
  if (runs !== undefined && fragmentation !== undefined) throw usage("either runs or fragmentation is given");
  const pfn = "pfn" in shape.structures ? shape.structures.pfn : (shape.structures.stretches[0]?.pfn ?? 0);
  const bare: Shape = { ...shape, data: [], structures: { pfn } };
  const { structureOrders } = spaceOf(bare);
  const { memfds } = totalsOf(shape);
  const blocks = new Map<number, number>();
  eachFile(shape, ({ folios }, count) => {
    for (const folio of folios)
      blocks.set(folio.order, (blocks.get(folio.order) ?? 0) + folio.blocks * count);
  });
  const main = [...blocks].reduce<readonly [number, number]>(
    (most, each) => (each[1] * 2 ** each[0] > most[1] * 2 ** most[0] ? each : most),
    [0, 0],
  );
  const files = Math.max(1, Math.min(memfds, main[1]));
  const wanted = runs ?? Math.round(files + (fragmentation ?? 0) * (main[1] - files));
  if (main[1] > 0 && !(wanted >= 1 && wanted <= main[1]))
    throw usage(`${main[1]} folios do not lie in ${wanted} runs`, `1 to ${main[1]}`);
  let at = placesOf(bare, structureOrders).reduce((end, stretch) => Math.max(end, endOf(stretch)), pfn);
  const data: Stretch[] = [];
  const add = (stretches: readonly Stretch[]): void => {
    for (const stretch of stretches) {
      data.push(stretch);
      // A page is left free, so that they are runs of their own.
      at = endOf(stretch) + 1;
    }
  };
  for (const { pages } of shape.regions) {
    // Aligned like the largest block that it holds, as whoever asks for one does.
    const unit = 2 ** Math.floor(Math.log2(pages));
    const start = Math.ceil((at + 1) / unit) * unit;
    const kernel = kernelOf(shape.release);
    add([...blocksOf(start, pages, kernel, () => 0)].map((each) => singleRun(each.order, each.pfn, 1)));
  }
  at++;
  for (const [order, count] of [...blocks].sort((a, b) => b[0] - a[0]))
    add(spread(order, at, count, order === main[0] ? wanted : Math.min(files, count)));
  const assumed =
    runs === undefined && fragmentation === undefined && main[1] > 0
      ? [
          `each file is one physically contiguous run (${files} in all): on a machine that has been up for long it is not`,
        ]
      : [];
  return { ...bare, data, assumed: [...shape.assumed, ...assumed] };
}

const usage = (message: string, expected?: string): KhoError =>
  new KhoError("usage", message, expected === undefined ? {} : { expected });
