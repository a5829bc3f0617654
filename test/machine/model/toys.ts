/** Handlers, files and FLBs of the test's own: they write down what is asked of them, and go wrong when told to. */
import type { Errno } from "../../../src/machine/errno.js";
import {
  type File,
  type FileHandler,
  type Flb,
  type Inode,
  type KernelCore,
  openFile,
  refusal,
} from "../../../src/machine/index.js";
import { type Pfn, physAddr } from "../../../src/memory/index.js";
import { type Trait, traits } from "./state.js";

export interface ToyInode extends Inode {
  readonly number: number;
  readonly trait: Trait;
  readonly order: number;
  value: number;
}

/** What is to go wrong, and what was called. */
export interface Script {
  flbPreserve?: string;
  flbRetrieve?: string;
  toyPreserve?: boolean;
  /** Number of the toy whose handler does not freeze it. */
  toyFreeze?: number;
  events: string[];
}

export const toyInode = (
  type: string,
  number: number,
  trait: Trait,
  order: number,
  value: number,
): ToyInode => ({
  type,
  number,
  trait,
  order,
  value,
  opens: 0,
  release() {},
});

/** Number, trait and order of a toy, and the address of its block, as one u64. */
const pack = ({ number, trait, order }: ToyInode, pa: bigint): bigint =>
  (BigInt(number) << 40n) | pa | BigInt(traits.indexOf(trait)) | BigInt(order << 2);
export function unpackToy(data: bigint) {
  return {
    number: Number(data >> 40n),
    pa: physAddr(data & 0xff_ffff_f000n),
    trait: traits[Number(data & 3n)]!,
    order: Number(data >> 2n) & 3,
  };
}

const valueAt = ({ ram }: KernelCore, pa: ReturnType<typeof physAddr>): number =>
  new DataView(ram.read(pa, 4).slice().buffer).getUint32(0, true);

function store({ ram }: KernelCore, pa: ReturnType<typeof physAddr>, value: number): void {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  ram.write(pa, bytes);
}

function takeBack({ kho, pages, abi }: KernelCore, pa: bigint, order: number, held: boolean): void {
  const pfn = Number(pa / BigInt(abi.pageSize)) as Pfn;
  if (!held && kho.restoreFolio(pfn, "toy in") !== order) throw new Error("a toy's block was not received");
  pages.free(pfn, order);
}

/** `toy` freezes, refuses to be finished too early and knows its inodes; `lone` has required callbacks alone. */
export function toyHandler(type: "toy" | "lone", script: Script): FileHandler {
  const { events } = script;
  const inodeOf = (file: File): ToyInode => file.inode as ToyInode;
  const required: FileHandler = {
    compatible: `${type}-v1`,
    canPreserve: ({ inode }) => inode.type === type,
    preserve(file, core) {
      if (script.toyPreserve) throw refusal("EACCES", "as told");
      const inode = inodeOf(file);
      const pa = core.kho.allocPreserve(2 ** inode.order * core.abi.pageSize, "toy");
      store(core, pa, inode.value);
      events.push(`preserve ${inode.number}`);
      return { data: pack(inode, pa), state: inode.number };
    },
    unpreserve(file, { data, state }, { kho, abi }) {
      const { number, pa, order } = unpackToy(data);
      if (state !== number || inodeOf(file).number !== number)
        throw new Error("a toy with the state of another");
      events.push(`unpreserve ${number}`);
      kho.unpreserveFree(pa, 2 ** order * abi.pageSize);
    },
    retrieve(data, core) {
      const { number, pa, trait, order } = unpackToy(data);
      if (trait === "broken") {
        events.push(`cannot retrieve ${number}`);
        throw refusal("ERANGE", "broken");
      }
      const value = valueAt(core, pa);
      events.push(`retrieve ${number}`);
      if (trait === "plain") takeBack(core, pa, order, false);
      else if (core.kho.restoreFolio(Number(pa / BigInt(core.abi.pageSize)), "toy in") !== order)
        throw new Error("a toy's block was not received");
      return openFile(toyInode(type, number, trait, order, value));
    },
    finish(data, status, core) {
      const { number, pa, trait, order } = unpackToy(data);
      events.push(`finish ${number} ${status}`);
      if (status !== "retrieved") takeBack(core, pa, order, false);
      else if (trait === "stubborn") takeBack(core, pa, order, true);
    },
  };
  if (type === "lone") return required;
  return {
    ...required,
    getId: ({ inode }) => inode,
    freeze(file, { data }, core) {
      const { number, value } = inodeOf(file);
      if (script.toyFreeze === number) {
        events.push(`cannot freeze ${number}`);
        throw refusal("ENODATA", "as told");
      }
      events.push(`freeze ${number}`);
      store(core, unpackToy(data).pa, value);
      return data;
    },
    unfreeze(file) {
      events.push(`unfreeze ${inodeOf(file).number}`);
    },
    canFinish(data, status) {
      const { number, trait } = unpackToy(data);
      events.push(`can finish ${number} ${status}`);
      return trait !== "stubborn" || status === "retrieved";
    },
  };
}

/** A handler that would take toys, too, and is asked too late. */
export function lateHandler(): FileHandler {
  const never = (): never => {
    throw new Error("the handler that was registered first is to be used");
  };
  return {
    compatible: "late-v1",
    canPreserve: ({ inode }) => inode.type === "toy" || inode.type === "lone",
    preserve: never,
    unpreserve: never,
    retrieve: never,
    finish: never,
  };
}

/** An FLB with a page of its own. */
export function toyFlb(name: string, script: Script): Flb<string> {
  const { events } = script;
  const fail = (when: string | undefined, errno: Errno): void => {
    if (when === name) throw refusal(errno, "as told");
  };
  return {
    name,
    preserve({ kho, abi }) {
      fail(script.flbPreserve, "ENODEV");
      const data = kho.allocPreserve(abi.pageSize, `flb ${name}`);
      events.push(`${name} preserve`);
      return { data, object: `${name} out` };
    },
    unpreserve(data, object, { kho, abi }) {
      if (object !== `${name} out`) throw new Error("an FLB with the object of another");
      events.push(`${name} unpreserve`);
      kho.unpreserveFree(physAddr(data), abi.pageSize);
    },
    retrieve(data, { kho, abi }) {
      if (script.flbRetrieve === name) events.push(`${name} cannot retrieve`);
      fail(script.flbRetrieve, "EIO");
      if (kho.restoreFolio(Number(data / BigInt(abi.pageSize)), `flb ${name} in`) !== 0)
        throw new Error("an FLB's page was not received");
      events.push(`${name} retrieve`);
      return `${name} in`;
    },
    finish(data, object, { pages, abi }) {
      if (object !== `${name} in`) throw new Error("an FLB with the object of another");
      events.push(`${name} finish`);
      pages.free(Number(data / BigInt(abi.pageSize)), 0);
    },
  };
}
