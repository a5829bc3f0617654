/** The model: what a kernel and its user space are to live update, in plain maps and lists. */
import { type Release, since } from "./releases.js";

/** Types of files. `toy` is known by its inode, `lone` by the open file, nobody takes `odd`. */
export type FileType = "memfd" | "hugetlb" | "linked" | "toy" | "lone" | "odd";
/** How a toy behaves: `stubborn` ones must be retrieved before they are finished, `broken` ones cannot be retrieved. */
export type Trait = "plain" | "stubborn" | "broken";
export const traits: readonly Trait[] = ["plain", "stubborn", "broken"];

export interface ModelInode {
  /** Of toys: the same over all kexecs. */
  readonly id: number;
  readonly type: FileType;
  opens: number;
  /** Times it is preserved now. */
  preserved: number;
  /** Bytes of a memfd, and its pages with anything but zeros. */
  size: bigint;
  readonly pages: Map<number, Uint8Array>;
  seals: number;
  readonly executable: boolean;
  /** A memfd that is preserved keeps its size. */
  frozen: boolean;
  /** Preserved with content: its pages are pinned. */
  pinned: boolean;
  /** What a toy says, how it behaves, and the order of the block that it is saved in. */
  value: number;
  readonly trait: Trait;
  readonly order: number;
  /** Pages of a memfd that was retrieved, as the bytes handed over had them. */
  folioPages?: number;
}

/** An open file, with the references of descriptors and of live update. */
export interface ModelFile {
  readonly kind: "file";
  readonly inode: ModelInode;
  pos: bigint;
  refs: number;
}
export interface ModelDevice {
  readonly kind: "device";
  refs: number;
}
export interface ModelSessionFile {
  readonly kind: "session";
  readonly session: ModelSession;
  refs: number;
}
export type ModelOpen = ModelFile | ModelDevice | ModelSessionFile;

/** What was handed over of one file. */
export interface Saved {
  readonly type: FileType;
  readonly id: number;
  readonly trait: Trait;
  readonly order: number;
  value: number;
  readonly size: bigint;
  readonly pages: ReadonlyMap<number, Uint8Array>;
  readonly seals: number;
  readonly pos: bigint;
  /** Pages of its folios, as found in the bytes. */
  folioPages: number;
}

/** A file in a session. */
export interface Held {
  readonly token: bigint;
  readonly compatible: string;
  /** Where its memory is counted among what was received: `file 2.0`. */
  readonly label: string;
  /** Of incoming files. */
  readonly saved?: Saved;
  /** LUO's reference. */
  file?: ModelFile;
  status: "untried" | "retrieved" | "failed";
  errno?: string;
  /** Seals when it was preserved: what is added later is not handed over. */
  readonly seals: number;
  /** What a toy wrote when it was preserved, or frozen last. */
  value: number;
}

export interface ModelSession {
  readonly kind: "outgoing" | "incoming";
  /** Bytes, one per character. */
  readonly name: string;
  readonly files: Held[];
  retrieved: boolean;
  /** Where the records of its files are counted among what was received. */
  readonly label: string;
}

export interface ModelFlb {
  readonly name: string;
  count: number;
  /** References that in-kernel users hold, of the outgoing and of the incoming object. */
  heldOut: number;
  heldIn: number;
  incoming: { count: number; retrieved: boolean; finished: boolean; errno?: string };
}

export interface ModelProcess {
  limit: number;
  fds: Map<number, ModelOpen>;
}

/** Memory that a driver preserves by itself. */
export interface Item {
  readonly id: number;
  readonly kind: "folio" | "range" | "area" | "own" | "blob";
  /** Blocks that it holds. */
  readonly blocks: readonly { readonly pfn: number; readonly order: number }[];
  /** Of a `range`: the pages to preserve. */
  readonly range?: { readonly pfn: number; readonly count: number };
  preserved: boolean;
  /** Name of the subtree that leads to a `blob`. */
  subtree?: string;
}

export interface Model {
  readonly release: Release;
  readonly pageSize: number;
  readonly processes: ModelProcess[];
  deviceOpen: boolean;
  /** Whether incoming sessions were read. */
  opened: "never" | "done" | "failed";
  /** Handed over and not yet listed. */
  waiting: ModelSession[];
  readonly outgoing: ModelSession[];
  readonly incoming: ModelSession[];
  /** Blocks of the session list, since 7.2. */
  sessionBlocks: number;
  readonly identities: Set<object>;
  /** In the order of registration. */
  readonly flbs: ModelFlb[];
  /** Counts of FLBs handed over; absent without FLB data. */
  readonly flbsReceived?: ReadonlyMap<string, number>;
  readonly number: bigint;
  readonly kexecCount: number;
  /** Callbacks that the command is to have called, in order. */
  events: string[];
  /** Pages that were handed over and that nobody has taken yet, by what they were. */
  readonly received: Map<string, number>;
  /** What the driver holds, and what its predecessor preserved. */
  readonly items: Item[];
  readonly itemsReceived: Item[];
  /** Names and addresses of subtrees handed over. */
  readonly subtreesReceived: ReadonlyMap<string, number>;
  /** First chunks of the areas that are preserved, or were handed over, by item. */
  readonly areas: Map<number, bigint>;
  /** 6.16 to 6.18. */
  finalized: boolean;
  /** Whether the image that is loaded has a hand-off; absent while none is loaded. */
  loaded?: boolean;
}

export interface Inherited
  extends Partial<
    Pick<
      Model,
      | "waiting"
      | "flbsReceived"
      | "number"
      | "kexecCount"
      | "received"
      | "itemsReceived"
      | "subtreesReceived"
      | "areas"
    >
  > {}

/** Descriptors that each process may have: the last one is soon short of them. */
export const limits = [4096, 1024, 4] as const;

/** A kernel that has just booted. */
export function newModel(release: Release, pageSize: number, inherited: Inherited = {}): Model {
  const names = since(release, "7.0") ? ["f1", "f2"] : [];
  return {
    release,
    pageSize,
    processes: limits.map((limit) => ({ limit, fds: new Map() })),
    deviceOpen: false,
    opened: "never",
    waiting: [],
    outgoing: [],
    incoming: [],
    sessionBlocks: 0,
    identities: new Set(),
    flbs: names.map((name) => ({
      name,
      count: 0,
      heldOut: 0,
      heldIn: 0,
      incoming: { count: 0, retrieved: false, finished: false },
    })),
    number: 1n,
    kexecCount: 1,
    events: [],
    received: new Map(),
    items: [],
    itemsReceived: [],
    areas: new Map(),
    subtreesReceived: new Map(),
    finalized: false,
    ...inherited,
  };
}

export const hasLuo = ({ release }: Pick<Model, "release">): boolean => since(release, "6.19.10");

let ids = 0;
/** A new number, from 1 on. Numbers start anew with each run, so that a failure can be replayed. */
export const nextId = (): number => ++ids;
export const restartIds = (): void => {
  ids = 0;
};

export function newInode(more: Partial<ModelInode> & Pick<ModelInode, "type">): ModelInode {
  return {
    id: nextId(),
    opens: 0,
    preserved: 0,
    size: 0n,
    pages: new Map(),
    seals: 0,
    executable: true,
    frozen: false,
    pinned: false,
    value: 0,
    trait: "plain",
    order: 0,
    ...more,
  };
}

export function openInode(inode: ModelInode, pos = 0n): ModelFile {
  inode.opens++;
  return { kind: "file", inode, pos, refs: 0 };
}

/** Every inode that is alive: something has it open. */
export function inodesOf({ processes, outgoing, incoming }: Model): Set<ModelInode> {
  const found = new Set<ModelInode>();
  for (const { fds } of processes)
    for (const open of fds.values()) if (open.kind === "file") found.add(open.inode);
  for (const { files } of [...outgoing, ...incoming])
    for (const { file } of files) if (file) found.add(file.inode);
  return found;
}
