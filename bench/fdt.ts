import { readFileSync } from "node:fs";
import {
  buildSequential,
  checkFdt,
  type FdtNode,
  nativeU32Property,
  nativeU64Property,
  readFdt,
  stringProperty,
  type TreeSource,
} from "../formats/fdt/index.js";
import type { Abi } from "../src/layout/index.js";
import { type KaitaiToken, kaitaiTokens } from "./kaitai.js";
import type { Peer, Subject } from "./measure.js";
import { native, nativePeer } from "./native.js";

/** A root tree as the kernel wrote it (they are all small), and one as large as trees get. */
export function fdtSubjects(): Subject[] {
  const path = "fixtures/6.18.15-resmem/fdt/first-out-fdt.dtb";
  const root = new Uint8Array(readFileSync(new URL(`../${path}`, import.meta.url)));
  return [
    ...subjectsOf("root tree", root, sourceOf(readFdt(root).root)),
    ...subjectsOf("large tree", buildSequential(largeTree()), largeTree()),
  ];
}

function subjectsOf(kind: string, blob: Uint8Array, source: TreeSource): Subject[] {
  const work = (verb: string): string => `${verb} a device tree of ${blob.length} bytes (${kind})`;
  const libfdt = native("fdt-libfdt", ["fdt"]);
  const pass = native("fdt-pass");
  const file = (libfdt ?? pass)?.file(`${kind.replace(" ", "-")}.dtb`, blob) ?? "";
  // A tree of a few nodes is no measure of a parser: what a call costs outweighs it.
  const isLarge = blob.length > 16384;
  // A stream of Kaitai's begins where its buffer does.
  const exact = blob.slice();
  const walk = (goal?: number): Peer[] => [
    ...nativePeer(
      { name: "libfdt -O2, node and property walk", ...(goal !== undefined && { goal }) },
      libfdt,
      ["walk", file],
    ),
    ...nativePeer({ name: "C -O2, one pass, no checks, no tree" }, pass, [file]),
    { name: "Kaitai, tokens to objects", run: () => kaitaiSum(kaitaiTokens(exact)) },
    { name: "plain loop to objects, no checks", run: () => plainRead(blob) },
  ];
  return [
    {
      name: work("read"),
      sameResult: true,
      ours: [{ name: "readFdt", run: () => sumOf(readFdt(blob).root, blob) }],
      peers: walk(isLarge ? 0.6 : undefined),
    },
    {
      name: `${work("read")}, and make a view of each value`,
      sameResult: true,
      ours: [{ name: "readFdt", run: () => sumOfViews(readFdt(blob).root) }],
      peers: walk(),
    },
    {
      name: work("check"),
      sameResult: true,
      ours: [{ name: "checkFdt", run: () => checkFdt(blob).length }],
      peers: [...nativePeer({ name: "libfdt -O2, fdt_check_full" }, libfdt, ["check", file])],
    },
    {
      name: work("build"),
      sameResult: true,
      ours: [{ name: "buildSequential", run: () => sampleOf(buildSequential(source)) }],
      peers: [...nativePeer({ name: "libfdt -O2, sequential writing" }, libfdt, ["build", file])],
    },
  ];
}

/** Every name and value looked at: their lengths and first bytes. Values are not made views of. */
function sumOf(node: FdtNode, blob: Uint8Array): number {
  let sum = node.name.length;
  for (const { name, length, valueOffset } of node.properties)
    sum += length + name.charCodeAt(0) + (length > 0 ? blob[valueOffset]! : 0);
  for (const child of node.children) sum += sumOf(child, blob);
  return sum;
}

function sumOfViews(node: FdtNode): number {
  let sum = node.name.length;
  for (const { name, value } of node.properties)
    sum += value.length + name.charCodeAt(0) + (value.length > 0 ? value[0]! : 0);
  for (const child of node.children) sum += sumOfViews(child);
  return sum;
}

/** The length of a blob and one byte of 64. */
function sampleOf(blob: Uint8Array): number {
  let sum = blob.length;
  for (let at = 0; at < blob.length; at += 64) sum += blob[at]!;
  return sum;
}

const sourceOf = ({ name, properties, children }: FdtNode): TreeSource => ({
  name,
  properties: properties.map(({ name, value }) => [name, value.slice()] as const),
  children: children.map(sourceOf),
});

/** Sessions with files, as if all of live update were in one tree: 58 KB, a few names again and again. */
function largeTree(): TreeSource {
  const abi: Abi = { byteOrder: "little", pageSize: 4096 };
  const number = (name: string, value: number) => [name, nativeU32Property(value, abi)] as const;
  const address = (name: string, value: number) => [name, nativeU64Property(BigInt(value), abi)] as const;
  const text = (name: string, value: string) => [name, stringProperty(value)] as const;
  const file = (session: number, i: number): TreeSource => ({
    name: `file@${i}`,
    properties: [
      text("compatible", "memfd-v1"),
      address("data", 0x1_4000_0000 + session * 65536 + i * 4096),
      address("size", (i + 1) * 2 ** 21),
      address("pos", 0),
      number("nr-folios", (i + 1) * 512),
      number("seals", i),
    ],
    children: [],
  });
  const session = (i: number): TreeSource => ({
    name: `session@${i.toString(16)}`,
    properties: [
      text("compatible", "luo-session-v2"),
      text("session-name", `vm-${i}`),
      number("count", 3),
      ["unused", new Uint8Array(0)],
    ],
    children: [0, 1, 2].map((k) => file(i, k)),
  });
  return {
    name: "",
    properties: [text("compatible", "kho-v2"), address("preserved-memory-map", 0x1_0000_0000)],
    children: Array.from({ length: 118 }, (_, i) => session(i)),
  };
}

function kaitaiSum(tokens: readonly KaitaiToken[]): number {
  let sum = 0;
  for (const { body } of tokens) {
    if (!body) continue;
    const { name } = body;
    if ("value" in body) sum += body.value.length + name.charCodeAt(0) + (body.value[0] ?? 0);
    else sum += name.length;
  }
  return sum;
}

interface PlainNode {
  readonly name: string;
  readonly properties: { name: string; value: Uint8Array }[];
  readonly children: PlainNode[];
}

/** Builds the same tree of names and values, and trusts the blob. */
function plainRead(blob: Uint8Array): number {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
  const strings = view.getUint32(12);
  const decoder = new TextDecoder();
  const text = (from: number): string => decoder.decode(blob.subarray(from, blob.indexOf(0, from)));
  const top: PlainNode = { name: "", properties: [], children: [] };
  const open = [top];
  for (let at = view.getUint32(8); ; ) {
    const token = view.getUint32(at);
    at += 4;
    const node = open.at(-1)!;
    if (token === 1) {
      const child: PlainNode = { name: text(at), properties: [], children: [] };
      node.children.push(child);
      open.push(child);
      at += (child.name.length + 4) & ~3;
    } else if (token === 2) open.pop();
    else if (token === 3) {
      const length = view.getUint32(at);
      const name = text(strings + view.getUint32(at + 4));
      node.properties.push({ name, value: blob.subarray(at + 8, at + 8 + length) });
      at += (8 + length + 3) & ~3;
    } else if (token === 9) break;
  }
  const sum = ({ name, properties, children }: PlainNode): number =>
    properties.reduce(
      (total, { name, value }) => total + value.length + name.charCodeAt(0) + (value[0] ?? 0),
      name.length,
    ) + children.reduce((total, child) => total + sum(child), 0);
  return sum(top.children[0]!);
}
