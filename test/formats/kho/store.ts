import { newClaims } from "../../../formats/claims.js";
import { type Context, defaultLimits } from "../../../formats/context.js";
import { kernelOf } from "../../../formats/kernels.js";
import { bitmapSizeOf, decodeBitmapMap, decodeChunks } from "../../../formats/kho/map-bitmaps.js";
import { decodeRadixMap, type RadixShape } from "../../../formats/kho/map-radix.js";
import type { PreservedMemory } from "../../../formats/kho/preserved.js";
import { newRuns, type Runs } from "../../../formats/kho/runs.js";
import type { BitmapSize } from "../../../formats/kho/skeleton.js";
import type { Target } from "../../../formats/target.js";
import type { Memory, PhysAddr } from "../../../src/memory/index.js";
import { physAddr } from "../../../src/memory/index.js";
import { KhoError } from "../../../src/report/error.js";
import { abiOf } from "./support.js";

const frameSize = 4096;

/** Bytes by address, and how often and how each was accounted for. */
export class Store implements Target, Memory {
  readonly abi;
  readonly kernel;
  readonly ranges = [];
  readonly left: { what: string; pa: bigint; length: number }[] = [];
  readonly #frames = new Map<number, Uint8Array>();
  writes = 0;
  bytesWritten = 0;
  #next = 0x1_0000_0000n;

  constructor(pageSize: number, release = "7.3") {
    this.abi = abiOf(pageSize);
    this.kernel = kernelOf(release);
  }

  write(pa: PhysAddr, bytes: Uint8Array): void {
    this.writes++;
    this.bytesWritten += bytes.length;
    for (let done = 0; done < bytes.length; ) {
      const number = Number(pa + BigInt(done)) / frameSize;
      const into = Number((pa + BigInt(done)) % BigInt(frameSize));
      const count = Math.min(frameSize - into, bytes.length - done);
      let frame = this.#frames.get(Math.floor(number));
      if (!frame) this.#frames.set(Math.floor(number), (frame = new Uint8Array(frameSize)));
      frame.set(bytes.subarray(done, done + count), into);
      done += count;
    }
  }
  leave(what: string, pa: PhysAddr, length: number): void {
    this.left.push({ what, pa, length });
  }
  has(pa: PhysAddr, length: number): boolean {
    const last = Number((pa + BigInt(length - 1)) / BigInt(frameSize));
    for (let n = Number(pa / BigInt(frameSize)); n <= last; n++) if (!this.#frames.has(n)) return false;
    return true;
  }
  read(pa: PhysAddr, length: number): Uint8Array {
    if (!this.has(pa, length)) throw new KhoError("memory-absent", "nothing there", { pa, length });
    const into = Number(pa % BigInt(frameSize));
    const first = Number(pa / BigInt(frameSize));
    if (into + length <= frameSize) return this.#frames.get(first)!.subarray(into, into + length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = into + done;
      const count = Math.min(frameSize - (at % frameSize), length - done);
      const frame = this.#frames.get(first + Math.floor(at / frameSize))!;
      bytes.set(frame.subarray(at % frameSize, (at % frameSize) + count), done);
      done += count;
    }
    return bytes;
  }
  get pages(): number {
    return (this.#frames.size * frameSize) / this.abi.pageSize;
  }

  /** Somewhere for `length` bytes, aligned to them, as an arrow so that it can be handed on. */
  readonly place = (length = this.abi.pageSize): PhysAddr => {
    const unit = BigInt(length);
    const pa = ((this.#next + unit - 1n) / unit) * unit;
    this.#next = pa + unit;
    return physAddr(pa);
  };
  /** The same, as zeros. Not counted as written. */
  readonly allocate = (length = this.abi.pageSize): PhysAddr => {
    const pa = this.place(length);
    const { writes, bytesWritten } = this;
    this.write(pa, new Uint8Array(length));
    Object.assign(this, { writes, bytesWritten });
    return pa;
  };

  #context(): { ctx: Context; faults: string[] } {
    const faults: string[] = [];
    const ctx: Context = {
      memory: this,
      abi: this.abi,
      kernel: this.kernel,
      limits: defaultLimits,
      claims: newClaims(this.abi.pageSize),
      report: (severity, code, message) => faults.push(`${severity} ${code}: ${message}`),
    };
    return { ctx, faults };
  }
  decodeRadix(root: PhysAddr, shape: RadixShape): { map: PreservedMemory; faults: string[] } {
    const { ctx, faults } = this.#context();
    return { map: decodeRadixMap(ctx, root, shape)!, faults };
  }
  decodeBitmaps(first: PhysAddr, size: BitmapSize): { map: PreservedMemory; faults: string[] } {
    const { ctx, faults } = this.#context();
    const list = decodeChunks(ctx, first)!;
    if (size === "page" && bitmapSizeOf(list, this.abi) === 512) faults.push("bitmaps of 512 bytes");
    return { map: decodeBitmapMap(ctx, first, list, size), faults };
  }
}

export type Row = readonly [order: number, pfn: number, count: number];

export function runsOf(rows: Iterable<Row>): Runs {
  const runs = newRuns();
  for (const [order, pfn, count] of rows) runs.push(order, pfn, count);
  return runs.finish();
}

export const rowsOf = ({ length, order, pfn, count }: Runs): Row[] =>
  Array.from({ length }, (_, i) => [order[i]!, pfn[i]!, count[i]!]);
