import { memfdLuoFolioSer } from "../formats/memfd/layout.js";
import { type Abi, columns, encodeColumns, sizeOf } from "../src/layout/index.js";
import type { Contender, Peer, Subject } from "./measure.js";
import { native, nativePeer } from "./native.js";
import { xorshift } from "./random.js";

const abi: Abi = { byteOrder: "little", pageSize: 4096 };
const size = sizeOf(memfdLuoFolioSer, abi);
const inPage = abi.pageSize / size;
const count = 2 ** 20;
const names = ["pfn", "flags", "index"] as const;
const goal = 2.5;

/** Columns of some rows; the arrays are there before they are filled. */
interface Rows {
  readonly pfn: Float64Array;
  readonly flags: Uint16Array;
  readonly index: Float64Array;
}

const newRows = (length: number): Rows => ({
  pfn: new Float64Array(length),
  flags: new Uint16Array(length),
  index: new Float64Array(length),
});

/** Entries of folio lists to columns and back, all at once and page by page as a decoder comes by them. */
export function recordsSubjects(): Subject[] {
  const bytes = entries();
  const all = newRows(count);
  columns(memfdLuoFolioSer, bytes, 0, count, names, abi, { ...all });
  const page = newRows(inPage);
  const pageInto = { ...page };
  const allInto = { ...all };
  const out = new Uint8Array(bytes.length);
  const pages = Array.from({ length: count / inPage }, (_, i) => {
    const part = <A extends Float64Array | Uint16Array>(column: A): A =>
      column.subarray(i * inPage, (i + 1) * inPage) as A;
    return {
      bytes: bytes.subarray(i * abi.pageSize, (i + 1) * abi.pageSize),
      rows: { pfn: part(all.pfn), flags: part(all.flags), index: part(all.index) },
    };
  });
  const onePage = out.subarray(0, abi.pageSize);

  const c = native("records");
  const file = c?.file("records.bin", bytes) ?? "";
  const inC = (work: string, rows: number): Peer[] =>
    nativePeer({ name: "C -O2, no checks", goal }, c, [work, file, `${rows}`]);
  const withoutGoal = (peers: readonly Peer[]): Peer[] => peers.map(({ goal: _, ...peer }) => peer);
  const subject = (name: string, ours: Contender, peers: readonly Peer[]): Subject => ({
    name,
    sameResult: true,
    ours: [ours],
    peers,
  });
  const plain = (name: string, run: () => number): Peer => ({ name, run });
  return [
    subject(
      `${count} records of ${size} bytes to columns`,
      {
        name: "columns, into what is there",
        run: () => {
          columns(memfdLuoFolioSer, bytes, 0, count, names, abi, allInto);
          return sumOfColumns(0, all);
        },
      },
      [
        ...inC("decode", count),
        plain("plain loop, no checks", () => {
          plainDecode(bytes, count, all);
          return sumOfColumns(0, all);
        }),
      ],
    ),
    subject(
      `${count} records of ${size} bytes to new columns`,
      {
        name: "columns",
        run: () => sumOfColumns(0, columns(memfdLuoFolioSer, bytes, 0, count, names, abi) as unknown as Rows),
      },
      withoutGoal(inC("decode", count)),
    ),
    subject(
      `${count} records of ${size} bytes to columns, page by page`,
      {
        name: "columns, into what is there",
        run: () =>
          pages.reduce((sum, one) => {
            columns(memfdLuoFolioSer, one.bytes, 0, inPage, names, abi, pageInto);
            return sumOfColumns(sum, page);
          }, 0),
      },
      [
        ...withoutGoal(inC("decode", inPage)),
        plain("plain loop, no checks", () =>
          pages.reduce((sum, one) => {
            plainDecode(one.bytes, inPage, page);
            return sumOfColumns(sum, page);
          }, 0),
        ),
      ],
    ),
    subject(
      `${count} records of ${size} bytes from columns`,
      {
        name: "encodeColumns",
        run: () => {
          encodeColumns(memfdLuoFolioSer, allInto, out, 0, count, abi);
          return sumOfBytes(0, out);
        },
      },
      [
        ...inC("encode", count),
        plain("plain loop, no checks", () => {
          plainEncode(all, out, count);
          return sumOfBytes(0, out);
        }),
      ],
    ),
    subject(
      `${count} records of ${size} bytes from columns, page by page`,
      {
        name: "encodeColumns",
        run: () =>
          pages.reduce((sum, { rows }) => {
            encodeColumns(memfdLuoFolioSer, { ...rows }, onePage, 0, inPage, abi);
            return sumOfBytes(sum, onePage);
          }, 0),
      },
      [
        ...withoutGoal(inC("encode", inPage)),
        plain("plain loop, no checks", () =>
          pages.reduce((sum, { rows }) => {
            plainEncode(rows, onePage, inPage);
            return sumOfBytes(sum, onePage);
          }, 0),
        ),
      ],
    ),
  ];
}

/** PFNs of 40 bits, flags of all kinds, indices below 2^35: the words of a little-endian machine. */
function entries(): Uint8Array {
  const words = new Uint32Array(count * 4);
  const random = xorshift(5);
  for (let i = 0; i < count; i++) {
    words[i * 4] = random();
    words[i * 4 + 1] = (random() & 0xff) | ((random() & 0xfff) << 20);
    words[i * 4 + 2] = i * 3;
    words[i * 4 + 3] = i & 7;
  }
  return new Uint8Array(words.buffer);
}

/** One row of 97 is looked at: whoever filled it filled all. */
const step = 97;

function sumOfColumns(start: number, { pfn, flags, index }: Rows): number {
  let sum = start;
  for (let i = 0; i < pfn.length; i += step)
    sum = (sum * 31 + (pfn[i]! % 2 ** 32) + flags[i]! + (index[i]! % 2 ** 32)) % 2 ** 32;
  return sum;
}

function sumOfBytes(start: number, bytes: Uint8Array): number {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  let sum = start;
  for (let i = 0; i < words.length; i += step * 4)
    sum = (sum * 31 + words[i]! + words[i + 1]! + words[i + 2]!) % 2 ** 32;
  return sum;
}

function plainDecode(bytes: Uint8Array, rows: number, { pfn, flags, index }: Rows): void {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, rows * 4);
  for (let i = 0, w = 0; i < rows; i++, w += 4) {
    const high = words[w + 1]!;
    pfn[i] = (high & 0xfffff) * 2 ** 32 + words[w]!;
    flags[i] = high >>> 20;
    index[i] = words[w + 3]! * 2 ** 32 + words[w + 2]!;
  }
}

function plainEncode({ pfn, flags, index }: Rows, bytes: Uint8Array, rows: number): void {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, rows * 4);
  for (let i = 0, w = 0; i < rows; i++, w += 4) {
    words[w] = pfn[i]!;
    words[w + 1] = (pfn[i]! * 2 ** -32) | (flags[i]! << 20);
    words[w + 2] = index[i]!;
    words[w + 3] = index[i]! * 2 ** -32;
  }
}
