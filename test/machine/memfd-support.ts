import { newClaims } from "../../formats/claims.js";
import { type Context, defaultLimits } from "../../formats/context.js";
import { kernelOf } from "../../formats/kernels.js";
import { khoVmallocChunk, vmallocPerChunk } from "../../formats/kho/layout.js";
import { decodeVmalloc } from "../../formats/kho/vmalloc.js";
import { type Abi, decode, encode } from "../../src/layout/index.js";
import { refusal } from "../../src/machine/errno.js";
import type { Faults } from "../../src/machine/faults.js";
import { type KernelCore, pageOf, paOf } from "../../src/machine/kernel.js";
import type { Kho } from "../../src/machine/kho/types.js";
import { newPageAllocator, type PageAllocator } from "../../src/machine/pages.js";
import { newRam, type Ram } from "../../src/machine/ram.js";
import { type Pfn, type PhysAddr, physAddr } from "../../src/memory/index.js";
import type { Finding } from "../../src/report/finding.js";

/** A kernel for tests of memfds, with a KHO that only keeps lists. */
export interface TestKernel extends KernelCore {
  /** Order of each preserved block, by its first PFN. */
  readonly preserved: Map<number, number>;
  /** What was handed over and not yet taken. */
  readonly received: Map<number, number>;
  readonly lines: string[];
}

export interface TestOptions {
  readonly release?: string;
  readonly pageSize?: number;
  /** Pages of RAM. */
  readonly pages?: number;
  readonly faults?: Faults;
  readonly ram?: Ram;
  readonly received?: ReadonlyMap<number, number>;
}

/** PFN of the first page of RAM. */
const start = 0x100;

export function testKernel(options: TestOptions = {}): TestKernel {
  const { release = "7.3.4", pageSize = 4096, pages: total = 4096, faults = {} } = options;
  const abi: Abi = { byteOrder: "little", pageSize };
  const range = { pa: physAddr(BigInt(start * pageSize)), size: BigInt(total * pageSize) };
  const ram = options.ram ?? newRam({ ranges: [range], pageSize });
  const pages = newPageAllocator({ ranges: [{ pfn: start, pages: total, node: 0 }], pageSize });
  const received = new Map(options.received);
  for (const [pfn, order] of received) pages.reserve(pfn, 2 ** order, "received");
  const preserved = new Map<number, number>();
  const lines: string[] = [];
  const kernel = kernelOf(release);
  const memory = { ram, pages, faults };
  const kho = fakeKho(abi, memory, preserved, received);
  return {
    release,
    kernel,
    abi,
    ...memory,
    kho,
    log: (line) => lines.push(line),
    preserved,
    received,
    lines,
  };
}

/** The next kernel, on the same bytes; what was not preserved is gone. */
export function nextKernel(old: TestKernel, release: string): TestKernel {
  const ram = old.ram.snapshot();
  const { abi } = old;
  const total = old.pages.freePages + old.pages.holdings().reduce((sum, { pages }) => sum + pages, 0);
  const options = { release, pageSize: abi.pageSize, pages: total, ram, received: old.preserved };
  const next = testKernel(options);
  for (const { pfn, pages } of next.pages.vacancies()) ram.poison(pfn, pages);
  return next;
}

/** Pages that are held, by owner. */
export function held({ pages }: { readonly pages: PageAllocator }): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { owner, pages: count } of pages.holdings()) sums[owner] = (sums[owner] ?? 0) + count;
  return sums;
}

/** What decoders read the kernel's memory with. */
export function contextFor({ ram, abi, kernel }: KernelCore, findings: Finding[]): Context {
  return {
    memory: ram,
    abi,
    kernel,
    limits: defaultLimits,
    claims: newClaims(abi.pageSize),
    report: (severity, code, message, { path, pa = 0n, length = 0, consequence }) =>
      findings.push({ severity, code, message, path, pa, length, ...(consequence && { consequence }) }),
  };
}

function fakeKho(
  abi: Abi,
  { ram, pages, faults }: { ram: Ram; pages: PageAllocator; faults: Faults },
  preserved: Map<number, number>,
  received: Map<number, number>,
): Kho {
  const absent = (): never => {
    throw new Error("not in this fake");
  };
  const add = (pfn: number, order: number): void => {
    if (faults.allocation?.("node", 0)) throw refusal("ENOMEM", "no node");
    preserved.set(pfn, order);
  };
  /** Every block or none. */
  const addAll = (pfns: readonly number[], order: number): void => {
    const done: number[] = [];
    try {
      for (const pfn of pfns) {
        add(pfn, order);
        done.push(pfn);
      }
    } catch (error) {
      for (const pfn of done) remove(pfn, order);
      throw error;
    }
  };
  const remove = (pfn: number, order: number): void => {
    if (preserved.get(pfn) !== order) throw new Error(`${pfn} is not preserved with order ${order}`);
    preserved.delete(pfn);
  };
  const orderFor = (size: number): number => Math.ceil(Math.log2(Math.ceil(size / abi.pageSize)));
  const allocPreserve = (size: number, what: string): PhysAddr => {
    const order = orderFor(size);
    const pfn = faults.allocation?.(what, order) ? undefined : pages.allocate(order, what);
    if (pfn === undefined) throw refusal("ENOMEM", what);
    ram.zero(pfn, 2 ** order);
    preserved.set(pfn, order);
    return paOf(pfn, abi);
  };
  const unpreserveFree = (pa: PhysAddr, size: number): void => {
    remove(pageOf(pa, abi), orderFor(size));
    pages.free(pageOf(pa, abi), orderFor(size));
  };
  const restoreFolio = (pfn: number, owner: string): number => {
    const order = received.get(pfn) ?? -1;
    if (order < 0) return -1;
    received.delete(pfn);
    pages.recut(pfn, 2 ** order, owner);
    return order;
  };
  const perChunk = vmallocPerChunk(abi);
  const chunksOf = (first: PhysAddr): PhysAddr[] => {
    const chunks: PhysAddr[] = [];
    for (let pa = first; pa !== 0n; pa = decode(khoVmallocChunk, ram.read(pa, abi.pageSize), 0, abi).hdr.next)
      chunks.push(pa);
    return chunks;
  };
  return {
    enabled: true,
    finalized: false,
    receivedRuns: undefined,
    preserveFolio: add,
    preserveFolios(pfn, order, count) {
      addAll(
        Array.from({ length: count }, (_, i) => pfn + i * 2 ** order),
        order,
      );
    },
    unpreserveFolio: remove,
    unpreserveFolios(pfn, order, count) {
      for (let i = 0; i < count; i++) remove(pfn + i * 2 ** order, order);
    },
    preservePages: absent,
    unpreservePages: absent,
    allocPreserve,
    unpreserveFree,
    preserveVmalloc(blocks, order, what) {
      // Last chunk first, so that each knows the next one. A full last chunk has an empty one behind it.
      const count = Math.floor(blocks.length / perChunk) + 1;
      let next = physAddr(0);
      try {
        for (let i = count - 1; i >= 0; i--) {
          const phys = BigUint64Array.from({ length: perChunk }, (_, k) => {
            const pfn = blocks[i * perChunk + k];
            return pfn === undefined ? 0n : paOf(pfn, abi);
          });
          const pa = allocPreserve(abi.pageSize, `${what} chunk`);
          ram.write(pa, encode(khoVmallocChunk, { hdr: { next }, phys }, abi));
          next = pa;
        }
        addAll(blocks, order);
      } catch (error) {
        for (const pa of chunksOf(next)) unpreserveFree(pa, abi.pageSize);
        throw error;
      }
      return { first: next, total_pages: blocks.length * 2 ** order, flags: 1, order };
    },
    unpreserveVmalloc({ first, total_pages, order }) {
      const area = decodeVmalloc(
        contextFor({ ram, abi, kernel: kernelOf("7.3") } as KernelCore, []),
        { first, total_pages, flags: 1, order },
        "",
      );
      for (const pfn of area.pfns) remove(pfn, order);
      for (const pa of chunksOf(first)) unpreserveFree(pa, abi.pageSize);
    },
    addSubtree: absent,
    removeSubtree: absent,
    retrieveSubtree: absent,
    receivedOrder: (pfn) => received.get(pfn) ?? -1,
    restoreFolio,
    restorePages: absent,
    restoreVmalloc(descriptor, owner) {
      const findings: Finding[] = [];
      const ctx = contextFor({ ram, abi, kernel: kernelOf("7.3") } as KernelCore, findings);
      const area = decodeVmalloc(ctx, descriptor, "");
      if (!area.complete || area.pfns.some((pfn) => received.get(pfn) !== area.order)) return undefined;
      for (const pfn of area.pfns) restoreFolio(pfn, owner);
      for (const pa of chunksOf(descriptor.first))
        if (restoreFolio(pageOf(pa, abi), owner) === 0) pages.release(pageOf(pa, abi), 1);
      return area.pfns as Pfn[];
    },
    onFinalize: absent,
    finalize: absent,
  } as Kho;
}
