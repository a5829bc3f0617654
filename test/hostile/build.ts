import { fdtAbi, fdtHeader } from "../../formats/fdt/layout.js";
import type { DecodeOptions, Image } from "../../src/index.js";
import { encode } from "../../src/layout/index.js";
import { Sparse } from "./memory.js";

/** A node of a tree: properties by name, and children. */
export interface Node {
  readonly name: string;
  readonly properties?: readonly (readonly [string, Uint8Array])[];
  readonly children?: readonly Node[];
}

const text = new TextEncoder();
/** Text with its NUL. */
export const string = (value: string): Uint8Array => text.encode(`${value}\0`);

/** Integers of 8 bytes, little-endian. */
export function u64s(...values: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setBigUint64(i * 8, BigInt.asUintN(64, value), true);
  return bytes;
}

/** An integer of 4 bytes, little-endian. */
export const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** A flattened tree, laid out in the simplest way. */
export function flatten(root: Node): Uint8Array {
  const structure: number[] = [];
  let strings = "";
  const word = (value: number): void => {
    structure.push(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
  };
  const bytes = (value: Uint8Array): void => {
    for (const byte of value) structure.push(byte);
    while (structure.length % 4 !== 0) structure.push(0);
  };
  const put = ({ name, properties = [], children = [] }: Node): void => {
    word(1);
    bytes(string(name));
    for (const [property, value] of properties) {
      if (!strings.includes(`${property}\0`)) strings += `${property}\0`;
      word(3);
      word(value.length);
      word(strings.indexOf(`${property}\0`));
      bytes(value);
    }
    children.forEach(put);
    word(2);
  };
  put(root);
  word(9);
  const start = 56;
  const names = text.encode(strings);
  const end = start + structure.length;
  const header = encode(
    fdtHeader,
    {
      magic: 0xd00dfeed,
      totalsize: end + names.length,
      off_dt_struct: start,
      off_dt_strings: end,
      off_mem_rsvmap: 40,
      version: 17,
      last_comp_version: 16,
      boot_cpuid_phys: 0,
      size_dt_strings: names.length,
      size_dt_struct: structure.length,
    },
    fdtAbi,
  );
  const blob = new Uint8Array(end + names.length);
  blob.set(header);
  blob.set(structure, start);
  blob.set(names, end);
  return blob;
}

/** A handover made by hand: pages are handed out one after another, from 1 MiB on. */
export class Builder {
  readonly memory = new Sparse();
  #next = 0x10_0000n;

  /** Whole pages with these bytes; their address. */
  page(bytes: Uint8Array = new Uint8Array(1), align = 4096n): bigint {
    this.#next = ((this.#next + align - 1n) / align) * align;
    const pa = this.#next;
    this.memory.add(pa, bytes);
    this.#next += BigInt(Math.ceil(bytes.length / 4096)) * 4096n;
    return pa;
  }

  /** A root of `kho-v4` (or as named) with these subtrees. */
  root(
    subtrees: readonly (readonly [string, bigint, bigint])[],
    map = this.page(),
    compatible = "kho-v4",
  ): bigint {
    const v1 = compatible === "kho-v1";
    return this.page(
      flatten({
        name: "",
        properties: [
          ["compatible", string(compatible)],
          ["preserved-memory-map", u64s(map)],
        ],
        children: subtrees.map(([name, pa, size]) => ({
          name,
          properties: v1
            ? [["fdt", u64s(pa)]]
            : [
                ["preserved-data", u64s(pa)],
                ["blob-size", u64s(size)],
              ],
        })),
      }),
    );
  }

  /** A table of the radix tree with these entries. */
  table(entries: Readonly<Record<number, bigint>>): bigint {
    const pa = this.page();
    for (const [i, entry] of Object.entries(entries)) this.memory.put(pa + BigInt(i) * 8n, entry);
    return pa;
  }

  get image(): Image {
    return { kind: "elf", memory: this.memory, arch: "x86_64", byteOrder: "little", findings: [] };
  }

  /** What {@link endure} takes. */
  capture(options: DecodeOptions) {
    this.memory.spent();
    return { image: this.image, memory: this.memory, options, name: "built", decoded: undefined as never };
  }
}

/** A session block of `luo-v5` with one record for each name, files and count. */
export function sessionBlock(
  sessions: readonly (readonly [string | Uint8Array, bigint, bigint])[],
  next = 0n,
): Uint8Array {
  const bytes = new Uint8Array(4096);
  bytes.set(u64s(next, BigInt(sessions.length)));
  for (const [i, [name, files, count]] of sessions.entries()) {
    bytes.set(typeof name === "string" ? text.encode(name) : name, 16 + i * 80);
    bytes.set(u64s(files, count), 16 + i * 80 + 64);
  }
  return bytes;
}

/** A block of files that all have the same handler. */
export function fileBlock(
  data: readonly bigint[],
  handler: string | Uint8Array = "memfd-v2",
  next = 0n,
): Uint8Array {
  const bytes = new Uint8Array(4096);
  bytes.set(u64s(next, BigInt(data.length)));
  for (const [i, pa] of data.entries()) {
    bytes.set(typeof handler === "string" ? text.encode(handler) : handler, 16 + i * 64);
    bytes.set(u64s(pa, BigInt(i)), 16 + i * 64 + 48);
  }
  return bytes;
}

/** A memfd of 7.1 and later. */
export function memfd({ size = 4096n, folios = 1n, first = 0n, pages = 1, order = 0 }): Uint8Array {
  const bytes = new Uint8Array(48);
  bytes.set(u64s(0n, size, 0n, folios, first));
  new DataView(bytes.buffer).setUint32(40, pages, true);
  new DataView(bytes.buffer).setUint16(44, 1, true);
  new DataView(bytes.buffer).setUint16(46, order, true);
  return bytes;
}

/** The root of `luo-v5`. */
export function luoRoot(sessions: bigint, flbs = 0n): Uint8Array {
  const bytes = new Uint8Array(32);
  bytes.set(string("luo-v5"));
  bytes.set(u64s(1n, sessions, flbs), 8);
  return bytes;
}
