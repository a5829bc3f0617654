import { fillPages } from "../../formats/fill.js";
import { kernelOf, type MemfdVersion } from "../../formats/kernels.js";
import { blocksFor, encodeBlocks } from "../../formats/kho/blocks-encode.js";
import { encodeHandoff, encodeScratch, scratchSize } from "../../formats/kho/handoff-encode.js";
import { encodeBitmapMap, planBitmapMap } from "../../formats/kho/map-bitmaps-encode.js";
import { radixShape } from "../../formats/kho/map-radix.js";
import { encodeRadixMap, planRadixMap } from "../../formats/kho/map-radix-encode.js";
import { KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import { encodeKexecMetadata, kexecMetadataSize } from "../../formats/kho/metadata-encode.js";
import type { SubtreeRef } from "../../formats/kho/root.js";
import { encodeRoot } from "../../formats/kho/root-encode.js";
import { newRuns, type Runs } from "../../formats/kho/runs.js";
import { rootOf, type Skeleton } from "../../formats/kho/skeleton.js";
import { encodeVmalloc, vmallocChunks } from "../../formats/kho/vmalloc-encode.js";
import { encodeFileArea, encodeFlbPage, encodeLuoRoot, encodeSessionArea } from "../../formats/luo/encode.js";
import { luoFileSer, luoSessionSer } from "../../formats/luo/layout.js";
import { LUO_KHO_ENTRY_NAME } from "../../formats/luo/luo.js";
import { LUO_FILE_PGCNT, LUO_FLB_PGCNT, LUO_SESSION_PGCNT } from "../../formats/luo/records.js";
import { formOf } from "../../formats/luo/root.js";
import { encodeMemfd } from "../../formats/memfd/encode.js";
import {
  MEMFD_LUO_FOLIO_DIRTY,
  MEMFD_LUO_FOLIO_UPTODATE,
  memfdLuoFolioSer,
} from "../../formats/memfd/layout.js";
import type { Target } from "../../formats/target.js";
import type { Handoff } from "../../src/handover/model.js";
import { type Abi, encodeColumns, type Struct, sizeOf, type ValueOf } from "../../src/layout/index.js";
import {
  type ByteSource,
  type Memory,
  type MemoryRange,
  type PhysAddr,
  pfnOf,
  physAddr,
  type Segment,
  segmentedMemory,
  sparseMemory,
} from "../../src/memory/index.js";
import { type Geometry, geometryOf, newOrder, type Shape } from "./shape.js";

/** A host that hands the memory of its virtual machines over, a session with one memfd each. */
export interface HostPlan {
  /** `7.3`; every release with live update. */
  readonly release: string;
  /** Virtual machines, a power of two. */
  readonly vms: number;
  /** Bytes of each of them, a power of two. */
  readonly bytes: number;
  /** Order of the folios. */
  readonly order: number;
  /** Folios that lie side by side on average, a power of two or infinity; see {@link Shape}. */
  readonly mean: number;
}

/** A plan that was carried out. */
export interface Host {
  /** Everything but what the files hold. Folio lists are worked out whenever they are read. */
  readonly memory: Memory;
  /** What of it is no folio list. */
  readonly structures: readonly MemoryRange[];
  readonly handoff: Handoff;
  readonly scratch: readonly MemoryRange[];
  /** All preserved blocks. */
  readonly preserved: Runs;
  readonly shape: Shape;
  /** PFN of the first page that virtual machine `vm` may have. */
  firstPfn(vm: number): number;
}

export const flags = MEMFD_LUO_FOLIO_DIRTY | MEMFD_LUO_FOLIO_UPTODATE;
export const abi: Abi = { byteOrder: "little", pageSize: 4096 };
const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** Where what goes. The first two leave room for the structures and lists of 4 TiB. */
const structuresAt = 16 * MiB;
const scratchAt = [GiB, GiB + 64 * MiB, GiB + 512 * MiB];
const scratchBytes = 32 * MiB;
const listsAt = 2 * GiB;
const guestsAt = 32 * GiB;

const entriesPerPage = abi.pageSize / sizeOf(memfdLuoFolioSer, abi);

/** Pages of the list of one file. */
export const listPages = ({ folios }: Shape): number => Math.ceil(folios / entriesPerPage);

export const shapeOf = ({ bytes, order, mean }: HostPlan): Shape => ({
  folios: bytes / (abi.pageSize * 2 ** order),
  order,
  mean,
});

/** Makes the handover that a plan describes. */
export function makeHost(plan: HostPlan): Host {
  const kernel = kernelOf(plan.release);
  const memory = sparseMemory();
  const target: Target = {
    abi,
    kernel,
    write: memory.write,
    leave: (_, pa, length) => memory.cover(pa, length),
  };
  const shape = shapeOf(plan);
  const geometry = geometryOf(shape);
  const step = 2 ** shape.order;
  const firstPfn = (vm: number): number => guestsAt / abi.pageSize + vm * geometry.span * step;

  let next = structuresAt;
  const runs = newRuns();
  /** A block that is preserved, or is not: the map, and what the boot loader has. */
  const block = (order = 0, preserved = true): PhysAddr => {
    const size = abi.pageSize * 2 ** order;
    const pa = physAddr(Math.ceil(next / size) * size);
    next = Number(pa) + size;
    if (preserved) runs.push(order, pfnOf(pa, abi.pageSize), 1);
    return pa;
  };

  const fdtPa = block();
  const subtrees = [
    liveUpdate(target, plan, block),
    ...(kernel.metadata === undefined ? [] : [metadata(target, block())]),
  ];
  runs.push(0, listsAt / abi.pageSize, plan.vms * listPages(shape));
  for (let vm = 0; vm < plan.vms; vm++)
    for (const { place, count } of geometry.byPlace())
      runs.push(shape.order, firstPfn(vm) + place * step, count);
  const preserved = runs.finish();
  const skeleton = writeMap(target, preserved, () => block(0, false));
  const mapPa = rootOf(skeleton, abi);
  fillPages(target, fdtPa, 1, encodeRoot(kernel, { mapPa, subtrees }, abi), "fdt-slack");

  const scratch = scratchAt.map((pa) => ({ pa: physAddr(pa), size: BigInt(scratchBytes) }));
  const handoff: Handoff = {
    foundBy: "setup_data",
    recordPa: block(0, false),
    fdtPa,
    fdtSize: BigInt(abi.pageSize),
    scratchPa: block(0, false),
    scratchSize: scratchSize(scratch.length),
  };
  encodeScratch(target, handoff.scratchPa, scratch);
  encodeHandoff(target, handoff);
  const structures = memory.ranges.map(
    ({ pa, size }): Segment => ({ pa, size, source: sourceOf(memory, pa, size), at: 0 }),
  );
  return {
    memory: segmentedMemory([...structures, listSegment(plan)]).memory,
    structures,
    handoff,
    scratch,
    preserved,
    shape,
    firstPfn,
  };
}

const sourceOf = (memory: Memory, pa: PhysAddr, size: bigint): ByteSource => ({
  size: Number(size),
  read: (at, length) => memory.read(physAddr(pa + BigInt(at)), Math.min(length, Number(size) - at)),
});

/** The list pages of all files: in groups that neither follow each other nor keep to their file. */
function newListPfns(vms: number, pages: number) {
  const all = vms * pages;
  const group = Math.min(64, all);
  const order = newOrder(all / group);
  const first = listsAt / abi.pageSize;
  const moved = (page: number, to: (group: number) => number): number =>
    to(Math.floor(page / group)) * group + (page % group);
  return {
    to: (vm: number, page: number): number => first + moved(vm * pages + page, order.to),
    /** The list page that is `page` pages behind the first one, counted through all files. */
    from: (page: number): number => moved(page, order.from),
  };
}

/** The folio lists of a host, each page encoded when it is read. */
export function listSegment(plan: HostPlan): Segment {
  const shape = shapeOf(plan);
  const geometry = geometryOf(shape);
  const pages = listPages(shape);
  const listPfns = newListPfns(plan.vms, pages);
  const size = plan.vms * pages * abi.pageSize;
  const step = 2 ** shape.order;
  const columns = {
    pfn: new Float64Array(entriesPerPage),
    index: new Float64Array(entriesPerPage),
    flags: new Uint16Array(entriesPerPage).fill(flags),
  };
  const encodePage = (page: number, bytes: Uint8Array, at: number): void => {
    const which = listPfns.from(page);
    const vm = Math.floor(which / pages);
    const first = (which % pages) * entriesPerPage;
    const count = Math.min(entriesPerPage, shape.folios - first);
    fillColumns(geometry, first, count, guestsAt / abi.pageSize + vm * geometry.span * step, step, columns);
    encodeColumns(memfdLuoFolioSer, columns, bytes, at, count, abi);
  };
  const source: ByteSource = {
    size,
    read(at, length) {
      const end = Math.min(at + length, size);
      const from = Math.floor(at / abi.pageSize);
      const to = Math.ceil(end / abi.pageSize);
      const bytes = new Uint8Array(Math.max(0, to - from) * abi.pageSize);
      for (let page = from; page < to; page++) encodePage(page, bytes, (page - from) * abi.pageSize);
      const skip = at - from * abi.pageSize;
      return bytes.subarray(skip, skip + Math.max(0, end - at));
    },
  };
  return { pa: physAddr(listsAt), size: BigInt(size), source, at: 0 };
}

function fillColumns(
  { runAt }: Geometry,
  first: number,
  count: number,
  firstPfn: number,
  step: number,
  { pfn, index }: { readonly pfn: Float64Array; readonly index: Float64Array },
): void {
  for (let i = 0; i < count; ) {
    const run = runAt(first + i);
    const part = Math.min(run.count, count - i);
    for (let k = 0; k < part; k++) {
      pfn[i + k] = firstPfn + (run.place + k) * step;
      index[i + k] = (first + i + k) * step;
    }
    i += part;
  }
}

type Block = (order?: number) => PhysAddr;

/** A session with one memfd for each virtual machine, and what leads to them. */
function liveUpdate(target: Target, plan: HostPlan, block: Block): SubtreeRef {
  const { luo, memfd, flb } = target.kernel;
  if (luo === undefined || memfd === undefined)
    throw new Error(`${target.kernel.release} has no live update`);
  const container = luo === "luo-v1" ? "fdt" : "raw";
  const form = formOf(container, luo)!;
  const pa = block();
  const pages = listPages(shapeOf(plan));
  const listPfns = newListPfns(plan.vms, pages);
  const records = Array.from({ length: plan.vms }, (_, vm): ValueOf<typeof luoSessionSer> => {
    const list = Float64Array.from({ length: pages }, (_, page) => listPfns.to(vm, page));
    const file = { compatible: memfd, data: writeMemfd(target, memfd, plan, block, list), token: 1n };
    const files =
      form.files === "blocks"
        ? writeBlocks(target, block, luoFileSer, [file])
        : writeArea(block, LUO_FILE_PGCNT, (area) => encodeFileArea(target, area, [file]));
    return { name: `vm${vm}`, file_set_ser: { files, count: 1n } };
  });
  const sessions =
    form.sessions === "blocks"
      ? writeBlocks(target, block, luoSessionSer, records)
      : writeArea(block, LUO_SESSION_PGCNT, (area) => encodeSessionArea(target, area, records));
  const flbs = flb ? writeArea(block, LUO_FLB_PGCNT, (area) => encodeFlbPage(target, area, [])) : undefined;
  const root = { compatible: luo, liveupdateNumber: 1n, sessions, ...(flbs !== undefined && { flbs }) };
  return { name: LUO_KHO_ENTRY_NAME, pa, size: BigInt(encodeLuoRoot(target, pa, container, root)) };
}

function writeMemfd(
  target: Target,
  version: MemfdVersion,
  plan: HostPlan,
  block: Block,
  list: Float64Array,
): PhysAddr {
  const pa = block();
  const chunks = Array.from({ length: vmallocChunks(list.length, abi) }, () => block());
  const folios = encodeVmalloc(target, chunks, list, 0);
  const nrFolios = BigInt(shapeOf(plan).folios);
  encodeMemfd(
    target,
    version,
    pa,
    { pos: 0n, size: BigInt(plan.bytes), seals: 0, flags: 0, nrFolios },
    folios,
  );
  return pa;
}

function writeBlocks<R extends Struct>(
  target: Target,
  block: Block,
  record: R,
  records: readonly ValueOf<R>[],
): PhysAddr {
  const pages = Array.from({ length: blocksFor(record, records.length, abi) }, () => block());
  encodeBlocks(target, record, pages, records);
  return pages[0]!;
}

function writeArea(block: Block, pages: number, write: (area: PhysAddr) => void): PhysAddr {
  const area = block(Math.log2(pages));
  write(area);
  return area;
}

function metadata(target: Target, pa: PhysAddr): SubtreeRef {
  const version = target.kernel.metadata!;
  encodeKexecMetadata(target, pa, { version, previousRelease: target.kernel.release, kexecCount: 1 });
  return { name: KHO_METADATA_NODE_NAME, pa, size: BigInt(kexecMetadataSize(abi)) };
}

function writeMap(target: Target, runs: Runs, page: () => PhysAddr): Skeleton {
  const { bitmap } = target.kernel;
  if (bitmap === undefined) {
    const skeleton = planRadixMap(runs, radixShape(abi), abi, page);
    encodeRadixMap(target, skeleton, runs);
    return skeleton;
  }
  const skeleton = planBitmapMap(runs, bitmap, abi, page);
  encodeBitmapMap(target, skeleton, runs);
  return skeleton;
}
