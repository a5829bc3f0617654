import { readFileSync } from "node:fs";
import { type FdtNode, readFdt } from "../formats/fdt/index.js";
import type { Subject } from "./measure.js";

/** A root tree as the kernel wrote it. They are all this small. */
export function fdtSubject(): Subject {
  const path = "fixtures/6.18.15-resmem/fdt/first-out-sub_fdts-memblock.dtb";
  const blob = new Uint8Array(readFileSync(new URL(`../${path}`, import.meta.url)));
  return {
    name: `read a device tree of ${blob.length} bytes (${path})`,
    sameResult: true,
    baseline: { name: "plain loop, no checks", run: () => plainRead(blob) },
    contenders: [{ name: "readFdt", run: () => valueBytes(readFdt(blob).root) }],
  };
}

const valueBytes = (node: FdtNode): number =>
  node.properties.reduce((sum, { name, value }) => sum + name.length + value.length, 0) +
  node.children.reduce((sum, child) => sum + child.name.length + valueBytes(child), 0);

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
  const sum = (node: PlainNode): number =>
    node.properties.reduce((total, { name, value }) => total + name.length + value.length, 0) +
    node.children.reduce((total, child) => total + child.name.length + sum(child), 0);
  return sum(top.children[0]!);
}
