/** Changes single members of a handover in memory, where its layouts say that they are, and keeps account of it. */
import type { Kernel } from "../../../formats/kernels.js";
import type { Handover } from "../../handover/index.js";
import {
  type Abi,
  type ArrayOf,
  decode,
  encode,
  memberOf,
  type Struct,
  sizeOf,
  type ValueOf,
} from "../../layout/index.js";
import { type PhysAddr, physAddr } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";
import type { Good } from "./good.js";

/** Bytes that differ from the good handover. */
export interface Change {
  /** The kernel's name of the structure, or the path of a tree's node. */
  readonly structure: string;
  readonly member: string;
  readonly pa: PhysAddr;
  readonly was: Uint8Array;
  readonly is: Uint8Array;
}

/** A departure that is being spoilt. */
export interface Editor {
  readonly departure: Good["departure"];
  readonly kernel: Kernel;
  readonly abi: Abi;
  /** As it was. */
  readonly handover: Handover;
  readonly changes: readonly Change[];
  /** Preserved pages that nothing leads to, see {@link Good.spare}. */
  readonly spare: readonly PhysAddr[];
  /** The first byte of the structure that decoding calls `path`. */
  at(path: string): PhysAddr;
  /** A structure as it is now. */
  get<S extends Struct>(layout: S, pa: PhysAddr): ValueOf<S>;
  /** Gives one member of the structure at `pa` another value. */
  set<S extends Struct, M extends keyof ValueOf<S> & string>(
    layout: S,
    pa: PhysAddr,
    member: M,
    value: ValueOf<S>[M],
  ): void;
  /** Gives one element of an array in the structure at `pa` another value. */
  setElement<S extends Struct>(
    layout: S,
    pa: PhysAddr,
    member: keyof ValueOf<S> & string,
    index: number,
    value: unknown,
  ): void;
  /** Overwrites bytes that belong to what is named. */
  write(structure: string, member: string, pa: PhysAddr, bytes: Uint8Array): void;
}

/** Opens a good handover for changes; the good one stays as it is. */
export function editorOf(good: Good, kernel: Kernel): Editor {
  const memory = good.departure.memory.snapshot();
  const departure = { ...good.departure, memory };
  const { abi } = departure.hardware;
  const changes: Change[] = [];
  const write = (structure: string, member: string, pa: PhysAddr, bytes: Uint8Array): void => {
    const was = memory.read(pa, bytes.length).slice();
    memory.write(pa, bytes);
    changes.push({ structure, member, pa, was, is: bytes.slice() });
  };
  return {
    departure,
    kernel,
    abi,
    handover: good.handover,
    changes,
    spare: good.spare,
    write,
    at(path) {
      const found = good.structures.find((claim) => claim.path === path);
      if (!found) throw new KhoError("not-found", `the handover has no ${path}`);
      return found.pa;
    },
    get: (layout, pa) => decode(layout, memory.read(pa, sizeOf(layout, abi)), 0, abi),
    set(typed, pa, member, value) {
      const layout: Struct = typed;
      const { offset, size } = memberOf(layout, member, abi);
      const bytes = memory.read(pa, sizeOf(layout, abi));
      const values: object = decode(layout, bytes, 0, abi);
      // Encoded with all others: a bit field shares its unit with them.
      const whole = encode(layout, { ...values, [member]: value } as ValueOf<Struct>, abi);
      write(layout.name, member, physAddr(pa + BigInt(offset)), whole.slice(offset, offset + size));
    },
    setElement(layout: Struct, pa: PhysAddr, member: string, index: number, value: unknown) {
      const { offset, layout: field } = memberOf(layout, member, abi);
      const { element } = field as ArrayOf;
      const at = physAddr(pa + BigInt(offset + index * sizeOf(element, abi)));
      write(layout.name, `${member}[${index}]`, at, encode(element, value as never, abi));
    },
  };
}
