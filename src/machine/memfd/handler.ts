import { isAtLeast, type MemfdVersion } from "../../../formats/kernels.js";
import { encodeFolios, encodeMemfd, folioListSize } from "../../../formats/memfd/encode.js";
import { type FolioRuns, newFolioRuns, pagesOf } from "../../../formats/memfd/folios.js";
import { MEMFD_LUO_ALL_SEALS, seals as sealBits } from "../../../formats/memfd/layout.js";
import { decodeMemfd, type Memfd, memfdLayouts } from "../../../formats/memfd/memfd.js";
import { foliosPath } from "../../../formats/paths.js";
import { decode, sizeOf } from "../../layout/index.js";
import { type Pfn, type PhysAddr, physAddr } from "../../memory/index.js";
import type { Code } from "../../report/codes.js";
import { KhoError } from "../../report/error.js";
import type { Finding } from "../../report/finding.js";
import { allocateZeroed } from "../allocate.js";
import { type Errno, errnoOf, refusal } from "../errno.js";
import { type File, type FileHandler, type KernelCore, openFile, type Preserved, pageOf } from "../kernel.js";
import type { VmallocDescriptor } from "../kho/types.js";
import { readingContext } from "../reading.js";
import { targetOf } from "../target.js";
import { DIRTY, UPTODATE } from "./folios.js";
import {
  addSealsTo,
  isMemfdFile,
  type MemfdFile,
  type MemfdInode,
  maxFileSize,
  newInode,
  pagesOfSize,
  populate,
} from "./inode.js";

/** What the handler keeps of a preserved memfd. */
export interface PreservedMemfd {
  /** All of the structure but what freeze renews. */
  readonly header: Pick<Memfd, "size" | "seals" | "flags" | "nrFolios">;
  readonly folios: FolioRuns;
  /** Where that list is. */
  readonly vmalloc: VmallocDescriptor;
  /** The pages that hold the list of folios. */
  readonly list: readonly Pfn[];
}

/** A handler that does not need to know the session. */
export interface MemfdHandler extends FileHandler<PreservedMemfd> {
  preserve(file: File, core: KernelCore): Preserved<PreservedMemfd>;
}

/** Live update's handler for memfds, mm/memfd_luo.c: `memfd-v1` of 6.19 and 7.0, `memfd-v2` since 7.1. */
export function memfdHandler(version: MemfdVersion): MemfdHandler {
  return {
    compatible: version,
    canPreserve: (file) => isMemfdFile(file) && file.inode.kind === "memfd",
    getId: (file) => file.inode,
    preserve: (file, core) => preserve(version, file as MemfdFile, core),
    unpreserve: (file, preserved, core) => unpreserve(version, file as MemfdFile, preserved, core),
    freeze(file, { data, state: { header, vmalloc } }, core) {
      encodeMemfd(targetOf(core), version, physAddr(data), { ...header, pos: file.pos }, vmalloc);
      return data;
    },
    retrieve: (data, core) => retrieve(version, data, core),
    finish(data, status, core) {
      if (status === "untried") discard(version, data, core);
    },
  };
}

/** What takes one step of a preserve back. */
type Undo = () => void;

function preserve(version: MemfdVersion, file: MemfdFile, core: KernelCore): Preserved<PreservedMemfd> {
  const { inode } = file;
  const { kho, abi } = core;
  const pages = pagesOfSize(inode.size, inode);
  if (version === "memfd-v2") {
    if ((inode.seals & ~MEMFD_LUO_ALL_SEALS) !== 0) throw refusal("EOPNOTSUPP", "the file has unknown seals");
    if (pages > 2 ** 32 - 1) throw refusal("EFBIG", `the file has ${pages} pages`);
  }
  const undo: Undo[] = [];
  try {
    inode.frozenMapping = true;
    undo.push(() => {
      inode.frozenMapping = false;
    });
    const size = sizeOf(memfdLayouts[version], abi);
    const data = kho.allocPreserve(size, `${inode.owner} header`);
    undo.push(() => kho.unpreserveFree(data, size));
    const { count, ...content } = pages === 0 ? noContent : preserveContent(inode, pages, undo);
    const header = {
      size: BigInt.asUintN(64, inode.size),
      seals: inode.seals,
      flags: 0,
      nrFolios: BigInt(count),
    };
    encodeMemfd(targetOf(core), version, data, { ...header, pos: file.pos }, content.vmalloc);
    return { data, state: { header, ...content } };
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  }
}

interface PreservedContent extends Omit<PreservedMemfd, "header"> {
  /** Folios. */
  readonly count: number;
}

const noContent: PreservedContent = {
  count: 0,
  folios: newFolioRuns().finish(),
  vmalloc: { first: physAddr(0), total_pages: 0, flags: 0, order: 0 },
  list: [],
};

/** Preserves the folios of a file that has `pages` pages, and a list of them. */
function preserveContent(inode: MemfdInode, pages: number, undo: Undo[]): PreservedContent {
  const { core, owner } = inode;
  const { kho, abi } = core;
  // The kernel keeps a pointer to each page while it pins them; a file that is too large fails here.
  if (pages * 8 > core.pages.freePages * abi.pageSize)
    throw refusal("ENOMEM", `no memory to pin ${pages} pages`);
  if (populate(inode, { from: 0, to: pages, limit: pages }, UPTODATE, "memfd hole") < pages)
    throw refusal("ENOMEM", "no pages for the holes of the file");
  inode.pins++;
  undo.push(() => {
    inode.pins--;
  });
  const { runs: folios, count } = collect(inode, pages);
  const what = `${owner} folio list`;
  const list: Pfn[] = [];
  undo.push(() => freeBlocks(list, 0, core));
  const bytes = folioListSize(count, core);
  while (list.length * abi.pageSize < bytes) list.push(allocateZeroed(core, 0, what));
  for (let run = 0; run < folios.length; run++) {
    const [pfn, order, blocks] = [folios.pfn[run]!, folios.order[run]!, folios.count[run]!];
    kho.preserveFolios(pfn, order, blocks);
    undo.push(() => kho.unpreserveFolios(pfn, order, blocks));
  }
  encodeFolios(targetOf(core), { pfns: list, order: 0 }, folios);
  const vmalloc = kho.preserveVmalloc(list, 0, what);
  undo.push(() => kho.unpreserveVmalloc(vmalloc));
  return { count, folios, vmalloc, list };
}

/** The folios below the end of the file, each dirty and up to date from now on. */
function collect({ folios, core }: MemfdInode, pages: number): { runs: FolioRuns; count: number } {
  const runs = newFolioRuns();
  let count = 0;
  folios.mark(0, pages, (index, pfn, order, flags) => {
    if ((flags & UPTODATE) === 0) core.ram.zero(pfn, 2 ** order);
    runs.push(index, pfn, order, DIRTY | UPTODATE);
    count++;
    return DIRTY | UPTODATE;
  });
  return { runs: runs.finish(), count };
}

function unpreserve(
  version: MemfdVersion,
  { inode }: MemfdFile,
  { data, state: { header, folios, vmalloc, list } }: Preserved<PreservedMemfd>,
  core: KernelCore,
): void {
  const { kho, abi } = core;
  if (header.nrFolios > 0n) {
    kho.unpreserveVmalloc(vmalloc);
    for (let run = folios.length - 1; run >= 0; run--)
      kho.unpreserveFolios(folios.pfn[run]!, folios.order[run]!, folios.count[run]!);
    freeBlocks(list, 0, core);
    inode.pins--;
  }
  kho.unpreserveFree(physAddr(data), sizeOf(memfdLayouts[version], abi));
  inode.frozenMapping = false;
}

function freeBlocks(blocks: readonly number[], order: number, { pages }: KernelCore): void {
  for (const pfn of blocks) pages.release(pfn, 2 ** order);
}

/** Takes over a received block and gives its pages back. What was not received is left alone, as the kernel warns only. */
function freeReceived(pfn: number, { kho, pages }: KernelCore, owner: string): void {
  const order = kho.restoreFolio(pfn, owner);
  if (order >= 0) pages.release(pfn, 2 ** order);
}

/** A memfd as the previous kernel left it, and where its list of folios is. */
interface Incoming {
  /** Undefined if there is nothing but garbage to read. */
  readonly memfd: Memfd | undefined;
  readonly findings: readonly Finding[];
  readonly list: VmallocDescriptor | undefined;
}

/** Reads what was handed over, past damage: what that means is left to the caller. */
function readIncoming(version: MemfdVersion, pa: PhysAddr, core: KernelCore): Incoming {
  const findings: Finding[] = [];
  const orderOf = (pfn: number): number => core.kho.receivedOrder(pfn);
  const memfd = decodeMemfd(readingContext(core, findings), version, pa, orderOf, "memfd");
  if (!memfd) return { memfd, findings, list: undefined };
  const layout = memfdLayouts[version];
  const bytes = core.ram.read(pa, sizeOf(layout, core.abi));
  return { memfd, findings, list: decode(layout, bytes, 0, core.abi).folios };
}

/** Faults of single folios: what becomes of these shows when they are taken over, one after the other. */
const ofFolios: readonly Code[] = ["folio-not-preserved", "folio-bad-index", "order-too-large"];

/** The first fault that ends a retrieve before any folio is looked at, or that ends it in any case. */
const stopping = ({ code, consequence, severity }: Finding): boolean =>
  consequence?.outcome === "panic" ||
  (consequence?.outcome === "refused" && !ofFolios.includes(code)) ||
  // Nobody can say what the kernel would do with what was not read.
  (code === "limit-exceeded" && severity === "error");

function retrieve(version: MemfdVersion, data: bigint, core: KernelCore): File {
  const pa = physAddr(data);
  const { memfd, findings, list } = readIncoming(version, pa, core);
  const inode = newInode(core, {}, version === "memfd-v1" ? sealBits.F_SEAL_SEAL : 0);
  try {
    const fault = findings.find(stopping);
    const isCount = fault?.code === "folio-count";
    const isRefusedList =
      fault?.consequence?.outcome === "refused" && fault.path.startsWith(foliosPath("memfd"));
    // A list that cannot be restored shows when that is tried, which may warn; what is behind its end is read later.
    if (list && (isCount || isRefusedList)) {
      const blocks = core.kho.restoreVmalloc(list, inode.owner);
      if (isCount && !blocks) throw notRestored();
    }
    stopAt(fault);
    // Without a finding that stops there is a file.
    rebuild(version, inode, memfd!, list!);
  } catch (error) {
    // An oops leaves everything as it is.
    if (errnoOf(error) === undefined) throw error;
    inode.release();
    freeReceived(pageOf(pa, core.abi), core, inode.owner);
    throw error;
  }
  freeReceived(pageOf(pa, core.abi), core, inode.owner);
  const file = openFile(inode);
  // Negative ones are refused without telling, and the position stays at 0.
  if (memfd!.pos <= maxFileSize) file.pos = memfd!.pos;
  return file;
}

const notRestored = (): KhoError =>
  refusal("EINVAL", "the list of folios cannot be restored", "memfd.folios");

/** Throws what a fault means for the call: `refused`, or `machine-oops` where the kernel follows a pointer to nowhere. */
function stopAt(finding: Finding | undefined): void {
  if (!finding) return;
  const { code, message, consequence, severity: _, ...detail } = finding;
  if (consequence?.outcome === "refused") throw refusal(consequence.errno as Errno, message, detail.path);
  throw new KhoError(consequence ? "machine-oops" : code, message, {
    ...detail,
    ...(consequence && { consequence }),
  });
}

/** Gives a new inode what was handed over. */
function rebuild(version: MemfdVersion, inode: MemfdInode, memfd: Memfd, list: VmallocDescriptor): void {
  const { core, owner } = inode;
  if (version === "memfd-v2") addSealsTo(inode, memfd.seals);
  inode.size = BigInt.asIntN(64, memfd.size);
  if (memfd.nrFolios === 0n) return;
  const blocks = core.kho.restoreVmalloc(list, owner);
  if (!blocks) throw notRestored();
  const errno = takeFolios(inode, memfd.folios);
  freeBlocks(blocks, list.order, core);
  if (errno) throw refusal(errno, "a folio cannot be restored", "memfd.folios");
}

/** Takes over the folios in the order of the list. Behind one that cannot be, all are freed. */
function takeFolios({ core, folios, owner }: MemfdInode, runs: FolioRuns): Errno | undefined {
  const { abi, kho, pages, kernel } = core;
  let errno: Errno | undefined;
  let stopped = false;
  eachFolio(runs, (index, pfn, flags) => {
    if (stopped) return freeReceived(pfn, core, owner);
    const order = kho.restoreFolio(pfn, owner);
    stopped = true;
    if (order < 0) {
      // Up to 7.0 the error of the last step that could fail is returned, and with folios in the file that was none.
      if (folios.length === 0 || isAtLeast(kernel, "7.1")) errno = "EIO";
    } else if (index * abi.pageSize > Number(maxFileSize)) {
      // In the file, where no call reaches it.
      stopped = false;
    } else if (!folios.insert(index - (index % 2 ** order), pfn, order, flags & (DIRTY | UPTODATE))) {
      pages.release(pfn, 2 ** order);
      errno = "EEXIST";
    } else {
      stopped = false;
      // It keeps the index of its entry, and is found at another one: whoever maps the file, as most do, sees the report.
      if (index % 2 ** order !== 0)
        core.log(`WARNING: bad page map: the folio at PFN ${pfn} is not at page ${index}`);
    }
  });
  return errno;
}

/** Single folios, in the order of the list. */
function eachFolio(runs: FolioRuns, visit: (index: number, pfn: number, flags: number) => void): void {
  for (let run = 0; run < runs.length; run++) {
    const step = 2 ** runs.order[run]!;
    for (let done = 0; done < pagesOf(runs, run); done += step)
      visit(runs.index[run]! + done, runs.pfn[run]! + done, runs.flags[run]!);
  }
}

/** Frees all that was handed over of a file that nobody retrieved. */
function discard(version: MemfdVersion, data: bigint, core: KernelCore): void {
  const owner = "memfd";
  const { memfd, findings, list } = readIncoming(version, physAddr(data), core);
  stopAt(findings.find(({ consequence }) => consequence?.outcome === "panic"));
  if (!memfd) return;
  const blocks = memfd.nrFolios > 0n ? core.kho.restoreVmalloc(list!, owner) : undefined;
  if (blocks) {
    eachFolio(memfd.folios, (_index, pfn) => freeReceived(pfn, core, owner));
    freeBlocks(blocks, list!.order, core);
  }
  freeReceived(pageOf(physAddr(data), core.abi), core, owner);
}
