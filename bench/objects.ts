import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { Parser } from "binary-parser";
import * as bufferLayout from "buffer-layout";
import * as restructure from "restructure";
import { View } from "structurae";
import * as typedBinary from "typed-binary";
import { Struct } from "typed-struct";
import { memfdLuoFolioSer } from "../formats/memfd/layout.js";
import { type Abi, decodeMany, rows, sizeOf, type ValueOf } from "../src/layout/index.js";
import { kaitaiRecords } from "./kaitai.js";
import type { Contender, Peer, Subject } from "./measure.js";
import { xorshift } from "./random.js";

const abi: Abi = { byteOrder: "little", pageSize: 4096 };
const size = sizeOf(memfdLuoFolioSer, abi);

/**
 * Records to an array of plain objects, as libraries for binary structures give them. No library has a field of 52
 * bits: they read the first word as two halves, which is less work than ours. Numbers of the input are below 2^53, so
 * that also those that are inexact above give the same sum.
 */
export function objectsSubjects({ short }: { readonly short: boolean }): Subject[] {
  // The slowest library takes ten seconds for a million.
  const count = short ? 20_000 : 1_000_000;
  const bytes = recordsOf(count);
  const goal = 0.5;
  const peers = libraries(bytes, count);
  // The short mode has milliseconds of work here, in which one collection of garbage doubles a ratio.
  const withFloor = (floor: number): Peer[] => [
    ...peers.map((peer) => ({ ...peer, goal, floor })),
    // Without a goal: it leaves it to others to make a number of the index.
    inHalves(bytes, count),
  ];
  const name = `${short ? "20,000" : "a million"} records of ${size} bytes`;
  return [
    {
      name: `${name} to objects, read where they lie`,
      sameResult: true,
      ours: [lazyRows(bytes, count)],
      peers: withFloor(3),
    },
    {
      name: `${name} to objects of their own`,
      sameResult: true,
      ours: [plainObjects(bytes, count)],
      peers: withFloor(12),
    },
  ];
}

/** Entries of a folio list: PFNs of 40 bits, two flags, indices below 2^35. */
function recordsOf(count: number): Uint8Array {
  const words = new Uint32Array(count * 4);
  const random = xorshift(11);
  for (let i = 0; i < count; i++) {
    words[i * 4] = random();
    words[i * 4 + 1] = (random() & 0xff) | ((random() & 3) << 20);
    words[i * 4 + 2] = i * 5;
    words[i * 4 + 3] = i % 7;
  }
  return new Uint8Array(words.buffer);
}

/** Sum of all fields of all records, as the four words that they are made of: whoever decodes wants to read. */
function sumOf<T>(records: ArrayLike<T>, words: (record: T) => number): number {
  let sum = 0;
  for (let i = 0; i < records.length; i++) sum = (sum + words(records[i]!)) | 0;
  return sum >>> 0;
}

/** The words of a number below 2^53, added up. */
function halves(value: number | bigint): number {
  const exact = Number(value);
  const high = Math.floor(exact * 2 ** -32);
  return high + (exact - high * 2 ** 32);
}

interface Halves {
  low: number;
  high: number;
}

interface Words extends Halves {
  index: number;
  indexHigh: number;
}

const inThree = ({ low, high }: Halves, index: number | bigint): number => low + high + halves(index);
const inFour = ({ low, high, index, indexHigh }: Words): number => low + high + index + indexHigh;

function inHalves(bytes: Uint8Array, count: number): Peer {
  const words = new Parser()
    .endianness("little")
    .uint32("low")
    .uint32("high")
    .uint32("index")
    .uint32("indexHigh");
  const parser = new Parser().endianness("little").array("records", { type: words, length: count });
  return {
    name: "binary-parser (all in halves)",
    run: () => sumOf(parser.parse(bytes).records as Words[], inFour),
  };
}

const wordsOf = ({ pfn, flags, index }: ValueOf<typeof memfdLuoFolioSer>): number =>
  halves(pfn) + Number(flags) * 2 ** 20 + halves(index);

/** Views, whose members are read when they are asked for. */
const lazyRows = (bytes: Uint8Array, count: number): Contender => ({
  name: "rows",
  run: () => {
    const records = rows(memfdLuoFolioSer, bytes, 0, count, abi);
    let sum = 0;
    for (let i = 0; i < count; i++) sum = (sum + wordsOf(records.row(i))) | 0;
    return sum >>> 0;
  },
});

const plainObjects = (bytes: Uint8Array, count: number): Contender => ({
  name: "decodeMany",
  run: () => sumOf(decodeMany(memfdLuoFolioSer, bytes, 0, count, abi), wordsOf),
});

function libraries(bytes: Uint8Array, count: number): Peer[] {
  const record = new Parser().endianness("little").uint32("low").uint32("high").uint64("index");
  const parser = new Parser().endianness("little").array("records", { type: record, length: count });
  const binaryParser: Peer = {
    name: "binary-parser (halves)",
    run: () => sumOf(parser.parse(bytes).records, (r: Halves & { index: bigint }) => inThree(r, r.index)),
  };
  const Entry = new View().create<Halves & { index: bigint }>({
    $id: "Entry",
    type: "object",
    properties: {
      low: { type: "integer", btype: "uint32" },
      high: { type: "integer", btype: "uint32" },
      index: { type: "integer", btype: "biguint64" },
    },
    required: ["low", "high", "index"],
  });
  const view = new DataView(bytes.buffer);
  const structurae: Peer = {
    name: "structurae (halves)",
    run: () => {
      const records = new Array<Halves & { index: bigint }>(count);
      for (let i = 0; i < count; i++) records[i] = Entry.decode(view, i * size, size);
      return sumOf(records, (r) => inThree(r, r.index));
    },
  };

  const { object, arrayOf, u32, BufferReader } = typedBinary;
  const schema = arrayOf(object({ low: u32, high: u32, index: u32, indexHigh: u32 }), count);
  const typed: Peer = {
    name: "typed-binary (all in halves)",
    run: () => sumOf(schema.read(new BufferReader(bytes.buffer, { endianness: "little" })), inFour),
  };

  const entry = bufferLayout.struct([
    bufferLayout.u32("low"),
    bufferLayout.u32("high"),
    bufferLayout.nu64("index"),
  ]);
  const sequence = bufferLayout.seq(entry, count);
  const buffer = Buffer.from(bytes.buffer);
  const layout: Peer = {
    name: "buffer-layout (halves, u64 inexact)",
    run: () => sumOf(sequence.decode(buffer), (r: Halves & { index: number }) => inThree(r, r.index)),
  };

  const { uint32le } = restructure;
  const array = new restructure.Array(
    new restructure.Struct({ low: uint32le, high: uint32le, index: uint32le, indexHigh: uint32le }),
    count,
  );
  const restructured: Peer = {
    name: "restructure (all in halves)",
    run: () => sumOf(array.fromBuffer(bytes), inFour),
  };

  const Compiled = new Struct("Entry").UInt32LE("low").UInt32LE("high").BigUInt64LE("index").compile();
  const typedStruct: Peer = {
    name: "typed-struct (halves)",
    run: () => {
      const records = new Array<Halves & { index: bigint }>(count);
      for (let i = 0; i < count; i++) {
        const { low, high, index } = new Compiled(buffer.subarray(i * size, (i + 1) * size));
        records[i] = { low, high, index };
      }
      return sumOf(records, (r) => inThree(r, r.index));
    },
  };

  const kaitai: Peer = {
    name: "Kaitai (halves, u64 inexact)",
    run: () => sumOf(kaitaiRecords(bytes), (r) => inThree(r, r.index)),
  };

  return [protobuf(bytes, count), kaitai, binaryParser, structurae, typed, layout, restructured, typedStruct];
}

/** The same records as a message of a message each, in protobuf's own encoding. */
function protobuf(bytes: Uint8Array, count: number): Peer {
  const { UINT64, UINT32, MESSAGE } = FieldDescriptorProto_Type;
  const field = (name: string, number: number, type: FieldDescriptorProto_Type, repeated?: string) => ({
    name,
    number,
    type,
    label: repeated ? FieldDescriptorProto_Label.REPEATED : FieldDescriptorProto_Label.OPTIONAL,
    ...(repeated && { typeName: repeated }),
  });
  const file = create(FileDescriptorProtoSchema, {
    name: "entries.proto",
    package: "bench",
    syntax: "proto3",
    messageType: [
      {
        name: "Entry",
        field: [field("pfn", 1, UINT64), field("flags", 2, UINT32), field("index", 3, UINT64)],
      },
      { name: "Entries", field: [field("entries", 1, MESSAGE, ".bench.Entry")] },
    ],
  });
  const registry = createFileRegistry(file, () => undefined);
  const Entry = registry.getMessage("bench.Entry")!;
  const Entries = registry.getMessage("bench.Entries") as DescMessage;
  interface Record {
    pfn: bigint;
    flags: number;
    index: bigint;
  }
  type List = Message & { entries: Record[] };
  const entries = decodeMany(memfdLuoFolioSer, bytes, 0, count, abi).map(({ pfn, flags, index }) =>
    create(Entry, { pfn: BigInt(pfn), flags, index }),
  );
  const encoded = toBinary(Entries, create(Entries, { entries }));
  return {
    name: "protobuf-es (its own encoding)",
    run: () =>
      sumOf(
        (fromBinary(Entries, encoded) as List).entries,
        ({ pfn, flags, index }) => halves(pfn) + flags * 2 ** 20 + halves(index),
      ),
  };
}
