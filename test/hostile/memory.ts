import { type Memory, type MemoryRange, type PhysAddr, physAddr } from "../../src/memory/index.js";
import { maxRead } from "../../src/memory/memory.js";
import { KhoError } from "../../src/report/error.js";

const pageSize = 4096;

/** What was asked of a memory. Both follow from the bytes alone, so that they stand in for time. */
export interface Cost {
  readonly reads: number;
  readonly bytes: number;
}

/**
 * Memory that can be changed: pages of 4096 bytes by frame number, and stretches of zeros of any size that nothing
 * stores, as the tail of an ELF segment is. Counts what is read. Changes are undone in the opposite order.
 */
export class Sparse implements Memory {
  readonly pages = new Map<number, Uint8Array>();
  readonly zeros: { readonly pa: bigint; readonly size: bigint }[] = [];
  #undo: (() => void)[] = [];
  #ranges: MemoryRange[] | undefined;
  #reads = 0;
  #bytes = 0;

  /** Adds the whole pages that hold `[pa, pa + length)`, zeros where there was nothing. */
  add(pa: bigint, bytes: Uint8Array): void {
    for (let at = pa - (pa % 4096n); at < pa + BigInt(bytes.length); at += 4096n)
      if (!this.pages.has(Number(at / 4096n))) this.pages.set(Number(at / 4096n), new Uint8Array(pageSize));
    this.#ranges = undefined;
    for (let i = 0; i < bytes.length; i++) {
      const at = pa + BigInt(i);
      this.pages.get(Number(at / 4096n))![Number(at % 4096n)] = bytes[i]!;
    }
  }

  get ranges(): readonly MemoryRange[] {
    if (this.#ranges) return this.#ranges;
    const ranges: { -readonly [K in keyof MemoryRange]: MemoryRange[K] }[] = [];
    for (const frame of [...this.pages.keys()].sort((a, b) => a - b)) {
      const pa = physAddr(BigInt(frame) * 4096n);
      const last = ranges.at(-1);
      if (last && last.pa + last.size === pa) last.size += 4096n;
      else ranges.push({ pa, size: 4096n });
    }
    for (const { pa, size } of this.zeros) ranges.push({ pa: physAddr(pa), size, zeros: true });
    this.#ranges = ranges.sort((a, b) => (a.pa < b.pa ? -1 : 1));
    return this.#ranges;
  }

  #zero(pa: bigint, length: number): boolean {
    return this.zeros.some((range) => pa >= range.pa && pa + BigInt(length) <= range.pa + range.size);
  }

  /** The first address of `[pa, pa + length)` that is absent. Looks at a page at a time, or at zeros as a whole. */
  #absent(pa: bigint, length: number): bigint | undefined {
    if (this.#zero(pa, length)) return undefined;
    const end = pa + BigInt(length);
    for (let at = pa; at < end; at = (at / 4096n + 1n) * 4096n)
      if (!this.pages.has(Number(at / 4096n)) && !this.#zero(at, 1)) return at < 1n << 64n ? at : pa;
    return undefined;
  }

  has(pa: PhysAddr, length: number): boolean {
    this.#reads++;
    return this.#absent(pa, length) === undefined;
  }

  read(pa: PhysAddr, length: number): Uint8Array {
    this.#reads++;
    const at = Number(pa % 4096n);
    const page = this.pages.get(Number(pa / 4096n));
    if (page && at + length <= pageSize) {
      this.#bytes += length;
      return page.subarray(at, at + length);
    }
    const missing = this.#absent(pa, length);
    if (missing !== undefined)
      throw new KhoError("memory-absent", `the capture holds no memory at ${missing.toString(16)}`, {
        pa: missing,
        length,
      });
    if (length > maxRead) throw new KhoError("limit-exceeded", "a read is too long", { pa, length });
    this.#bytes += length;
    const whole = new Uint8Array(length);
    if (this.#zero(pa, length)) return whole;
    for (let done = 0; done < length; ) {
      const from = Number((pa + BigInt(done)) % 4096n);
      const part = this.pages.get(Number((pa + BigInt(done)) / 4096n))?.subarray(from, from + length - done);
      if (part) whole.set(part, done);
      done += part?.length ?? pageSize - from;
    }
    return whole;
  }

  /** The byte at `pa`, which must be there. Not counted. */
  peek(pa: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) {
      const at = pa + BigInt(i);
      bytes[i] = this.pages.get(Number(at / 4096n))?.[Number(at % 4096n)] ?? 0;
    }
    return bytes;
  }

  /** Overwrites bytes that are there; others are left alone. */
  poke(pa: bigint, bytes: Uint8Array | readonly number[]): void {
    for (const [i, byte] of bytes.entries()) {
      const page = this.pages.get(Number((pa + BigInt(i)) / 4096n));
      const at = Number((pa + BigInt(i)) % 4096n);
      if (!page) continue;
      const old = page[at]!;
      page[at] = byte;
      this.#undo.push(() => {
        page[at] = old;
      });
    }
  }

  flip(pa: bigint, mask = 0xff): void {
    this.poke(pa, [this.peek(pa, 1)[0]! ^ mask]);
  }

  /** Overwrites an integer of `size` bytes, little-endian unless said otherwise, wrapped to its width. */
  put(pa: bigint, value: bigint, size = 8, big = false): void {
    const bytes = Array.from({ length: size }, (_, i) =>
      Number((BigInt.asUintN(64, value) >> BigInt(8 * i)) & 0xffn),
    );
    this.poke(pa, big ? bytes.reverse() : bytes);
  }

  get(pa: bigint, size = 8): bigint {
    return this.peek(pa, size).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  /** Takes the page of `pa` away. */
  drop(pa: bigint): void {
    const frame = Number(pa / 4096n);
    const page = this.pages.get(frame);
    if (!page) return;
    this.pages.delete(frame);
    this.#ranges = undefined;
    this.#undo.push(() => {
      this.pages.set(frame, page);
      this.#ranges = undefined;
    });
  }

  /** Makes everything as it was before the first change. */
  restore(): void {
    for (let undo = this.#undo.pop(); undo; undo = this.#undo.pop()) undo();
  }

  /** What was read since the last call. */
  spent(): Cost {
    const cost = { reads: this.#reads, bytes: this.#bytes };
    this.#reads = 0;
    this.#bytes = 0;
    return cost;
  }

  /** Bytes that are stored. */
  get size(): number {
    return this.pages.size * pageSize;
  }
}
