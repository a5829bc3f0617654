/** A kernel around LUO that does as little as can be: pages from a counter, KHO as a set of blocks. */
import { newClaims } from "../../formats/claims.js";
import { type Context, defaultLimits } from "../../formats/context.js";
import { kernelOf } from "../../formats/kernels.js";
import type { Luo as DecodedLuo } from "../../formats/luo/luo.js";
import { decodeLuo } from "../../formats/luo/records.js";
import type { Abi } from "../../src/layout/index.js";
import { attempt, type Errno, errnoOf, refusal } from "../../src/machine/errno.js";
import type { Faults } from "../../src/machine/faults.js";
import {
  type File,
  type FileHandler,
  type Flb,
  type Inode,
  type KernelCore,
  openFile,
  pageOf,
  paOf,
  type RetrieveStatus,
} from "../../src/machine/kernel.js";
import type { Kho } from "../../src/machine/kho/types.js";
import type { IncomingLuo } from "../../src/machine/luo/incoming.js";
import { type Luo, newLuo } from "../../src/machine/luo/luo.js";
import type { PageAllocator } from "../../src/machine/pages.js";
import { newProcess, type Process } from "../../src/machine/process.js";
import type { Ram } from "../../src/machine/ram.js";
import type { Memory, Pfn, PhysAddr } from "../../src/memory/index.js";
import type { Finding } from "../../src/report/finding.js";

/** One release of each behaviour, and the page sizes. */
export const releases = ["6.19.10", "7.0", "7.1.13", "7.2", "7.3.4"] as const;
export const from = (first: string): string[] => releases.filter((release) => release >= first);
export const until = (last: string): string[] => releases.filter((release) => release < last);

export interface FakeOptions {
  readonly release?: string;
  readonly pageSize?: number;
  readonly faults?: Faults;
  readonly incoming?: IncomingLuo;
  readonly enabled?: boolean;
  readonly kho?: boolean;
  /** Blocks that the previous kernel preserved, by first page; and its memory. */
  readonly received?: ReadonlyMap<number, number>;
  readonly ram?: ReturnType<typeof fakeRam>;
  /** What finalizing is refused with. */
  readonly finalize?: Errno;
}

export function fakeRam(pageSize: number) {
  const frames = new Map<number, Uint8Array>();
  const frame = (pfn: number): Uint8Array => {
    let bytes = frames.get(pfn);
    if (!bytes) frames.set(pfn, (bytes = new Uint8Array(pageSize).fill(0xa5)));
    return bytes;
  };
  const each = (pa: bigint, length: number, visit: (bytes: Uint8Array, done: number) => void): void => {
    for (let done = 0; done < length; ) {
      const at = Number(pa) + done;
      const into = at % pageSize;
      const count = Math.min(pageSize - into, length - done);
      visit(frame(Math.floor(at / pageSize)).subarray(into, into + count), done);
      done += count;
    }
  };
  return {
    read(pa: bigint, length: number): Uint8Array {
      const out = new Uint8Array(length);
      each(pa, length, (bytes, done) => out.set(bytes, done));
      return out;
    },
    write(pa: bigint, bytes: Uint8Array): void {
      each(pa, bytes.length, (into, done) => into.set(bytes.subarray(done, done + into.length)));
    },
    zero(pfn: number, pages: number): void {
      for (let i = 0; i < pages; i++) frame(pfn + i).fill(0);
    },
    has: () => true,
    ranges: [{ start: 0n as PhysAddr, end: (1n << 40n) as PhysAddr }],
  };
}

/** A kernel with LUO, and everything a test wants to look at. */
export function fakeKernel(options: FakeOptions = {}) {
  const { release = "7.3.4", pageSize = 4096, faults = {}, incoming, received = new Map() } = options;
  const abi: Abi = { byteOrder: "little", pageSize };
  const ram = options.ram ?? fakeRam(pageSize);
  const lines: string[] = [];
  /** Order of each block held, by its first page. */
  const held = new Map<number, number>(received);
  const preserved = new Map<number, number>();
  const owners = new Map<number, string>();
  const taken = new Map<number, number>(received);
  const subtrees: { name: string; pa: PhysAddr; size: number }[] = [];
  const calls: string[] = [];
  let next = received.size > 0 ? 0x200000 : 0x100000;

  const pages = {
    allocate(order: number, owner: string): Pfn {
      next = Math.ceil(next / 2 ** order) * 2 ** order;
      held.set(next, order);
      owners.set(next, owner);
      next += 2 ** order;
      return (next - 2 ** order) as Pfn;
    },
    free(pfn: number, order: number): void {
      if (held.get(pfn) !== order) throw new Error(`page ${pfn} is not held with order ${order}`);
      held.delete(pfn);
    },
  };
  const orderOf = (size: number): number => Math.ceil(Math.log2(Math.ceil(size / pageSize)));
  const kho = {
    enabled: options.kho ?? true,
    allocPreserve(size: number, what: string): PhysAddr {
      const order = orderOf(size);
      if (faults.allocation?.(what, order)) throw refusal("ENOMEM", what);
      const pfn = pages.allocate(order, what);
      ram.zero(pfn, 2 ** order);
      preserved.set(pfn, order);
      return paOf(pfn, abi);
    },
    unpreserveFree(pa: PhysAddr, size: number): void {
      const pfn = pageOf(pa, abi);
      if (preserved.get(pfn) !== orderOf(size)) throw new Error(`page ${pfn} is not preserved like that`);
      preserved.delete(pfn);
      pages.free(pfn, orderOf(size));
    },
    addSubtree: (name: string, pa: PhysAddr, size: number) => subtrees.push({ name, pa, size }),
    removeSubtree: () => {},
    restoreFolio(pfn: number): number {
      const order = taken.get(pfn) ?? -1;
      taken.delete(pfn);
      return order;
    },
    finalize(): void {
      calls.push("finalize");
      if (options.finalize) throw refusal(options.finalize, "asked for");
    },
  };
  const core: KernelCore = {
    release,
    kernel: kernelOf(release),
    abi,
    ram: ram as unknown as Ram,
    pages: pages as unknown as PageAllocator,
    kho: kho as unknown as Kho,
    faults,
    log: (line) => lines.push(line),
  };
  const luo: Luo = newLuo(core, { enabled: options.enabled ?? true, ...(incoming && { incoming }) });
  return {
    core,
    luo,
    lines,
    calls,
    held,
    owners,
    preserved,
    taken,
    subtrees,
    ram,
    process: (descriptors = 1024): Process => newProcess({ luo, abi, descriptors }),
    /** Blocks held for this purpose. */
    holding: (what: string): number => [...held.keys()].filter((pfn) => owners.get(pfn) === what).length,
    /** What the decoder reads of what was handed over, and what it finds wrong; that it knows no toys is not. */
    handedOver: (): { luo: DecodedLuo; findings: Finding[] } => {
      const findings: Finding[] = [];
      const ctx: Context = {
        memory: ram as unknown as Memory,
        abi,
        kernel: core.kernel,
        limits: defaultLimits,
        claims: newClaims(pageSize),
        report: (severity, code, message, { path, pa = 0n, length = 0 }) => {
          if (code !== "file-unknown-handler") findings.push({ severity, code, message, path, pa, length });
        },
      };
      const { pa, size } = subtrees[0]!;
      return { luo: decodeLuo(ctx, ram.read(pa, size), pa)!, findings };
    },
  };
}

export type FakeKernel = ReturnType<typeof fakeKernel>;

/** What the next kernel finds, made from what the decoder reads. Every block but the root's and the FLBs' carries. */
export function handOver(old: FakeKernel): FakeOptions & { incoming: IncomingLuo } {
  const { luo } = old.handedOver();
  const blocks = (what: string): PhysAddr[] =>
    [...old.preserved.keys()]
      .filter((pfn) => old.owners.get(pfn)?.startsWith(what))
      .map((pfn) => paOf(pfn, old.core.abi));
  const files = blocks("luo file");
  return {
    received: new Map(old.preserved),
    ram: old.ram,
    incoming: {
      number: luo.liveupdateNumber,
      sessions: luo.sessions.map(({ name, files: of }, i) => ({
        name,
        files: of,
        carrying: i === 0 ? files : [],
      })),
      ...(old.core.kernel.flb && { flbs: luo.flbs }),
      carrying: blocks("luo session"),
    },
  };
}

export interface ToyInode extends Inode {
  readonly number: bigint;
  released: boolean;
}

/** A file that the toy handler takes, with a number to know it by; held once, by the test. */
export function toyFile(number = 1n, type = "toy"): File<ToyInode> {
  return openFile<ToyInode>({
    type,
    number,
    opens: 0,
    released: false,
    release() {
      this.released = true;
    },
  });
}

/** A handler that writes down what is asked of it. `refuse` names the errno of a step: `preserve 3`, `finish 1`. */
export function toyHandler(
  events: string[],
  refuse: (event: string) => Errno | undefined = () => undefined,
  more: Partial<FileHandler> = {},
): FileHandler {
  const did = (what: string, number: bigint): void => {
    const event = `${what} ${number}`;
    events.push(event);
    const errno = refuse(event);
    if (errno) throw refusal(errno, event);
  };
  const numberOf = (file: File): bigint => (file.inode as ToyInode).number;
  return {
    compatible: "toy-v1",
    canPreserve: (file) => file.inode.type === "toy",
    preserve(file) {
      did("preserve", numberOf(file));
      return { data: numberOf(file), state: `state of ${numberOf(file)}` };
    },
    unpreserve(file, { state }) {
      if (state !== `state of ${numberOf(file)}`) throw new Error(`wrong state: ${state}`);
      did("unpreserve", numberOf(file));
    },
    freeze(file, { data }) {
      did("freeze", numberOf(file));
      return data;
    },
    unfreeze: (file) => did("unfreeze", numberOf(file)),
    retrieve(data) {
      did("retrieve", data);
      return toyFile(data);
    },
    canFinish(data, status) {
      events.push(`can finish ${data} ${status}`);
      return refuse(`can finish ${data}`) === undefined;
    },
    finish: (data, status: RetrieveStatus) => did(`finish ${status}`, data),
    ...more,
  };
}

/** An FLB that writes down what is asked of it. */
export function toyFlb(
  events: string[],
  name = "flb",
  refuse: (event: string) => Errno | undefined = () => undefined,
): Flb<string> {
  const did = (what: string): void => {
    events.push(`${name}: ${what}`);
    const errno = refuse(`${name}: ${what}`);
    if (errno) throw refusal(errno, what);
  };
  return {
    name,
    preserve() {
      did("preserve");
      return { data: 0xf1bn, object: `${name} of this kernel` };
    },
    unpreserve: (data, object) => did(`unpreserve ${data.toString(16)} ${object}`),
    retrieve(data) {
      did(`retrieve ${data.toString(16)}`);
      return `${name} of the kernel before`;
    },
    finish: (data, object) => did(`finish ${data.toString(16)} ${object}`),
  };
}

/** The errno of a call, or `ok`. */
export function outcome(call: () => unknown): Errno | "ok" {
  const result = attempt(call);
  return "errno" in result ? result.errno : "ok";
}

export { errnoOf };
