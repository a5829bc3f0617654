import { describe, expect, it } from "vitest";
import { readFdt } from "../../../formats/fdt/index.js";
import {
  followSetupData,
  handoffOfChosen,
  handoffOfNode,
  setupDataHead,
} from "../../../formats/kho/handoff.js";
import { decodeKexecMetadata } from "../../../formats/kho/metadata.js";
import { decodeScratch } from "../../../formats/kho/scratch.js";
import { physAddr } from "../../../src/memory/index.js";
import { dump, Ram } from "../../handover/synthetic/ram.js";
import { cells, join, node, packedTree, sequentialTree, text } from "../../handover/synthetic/trees.js";
import { contextOf } from "./support.js";

it("an x86 record for three scratch areas", () => {
  const ram = new Ram();
  ram.write(
    0x7ff0040n,
    dump(`
0000  00 00 00 00 00 00 00 00  0a 00 00 00 20 00 00 00
0010  00 10 a5 00 01 00 00 00  00 10 00 00 00 00 00 00
0020  00 00 fe 07 00 00 00 00  30 00 00 00 00 00 00 00`),
  );
  const { memory } = contextOf(ram).ctx;
  const { nodes, ended } = followSetupData(memory, physAddr(0x7ff0040));
  expect(ended).toBe("at-end");
  expect(nodes).toEqual([{ pa: 0x7ff0040n, next: 0n, type: 10, len: 32 }]);
  expect(handoffOfNode(memory, nodes[0]!)).toEqual({
    recordPa: 0x7ff0040n,
    fdtPa: 0x100a51000n,
    fdtSize: 4096n,
    scratchPa: 0x7fe0000n,
    scratchSize: 48n,
  });
});

it("a list that runs in a circle, and one that leaves the capture", () => {
  const ram = new Ram();
  ram.u64(0x1000n, 0x1100n);
  ram.u64(0x1100n, 0x1000n);
  const { memory } = contextOf(ram).ctx;
  expect(followSetupData(memory, physAddr(0x1000))).toMatchObject({
    ended: "cycle",
    nodes: [{ pa: 0x1000n }, { pa: 0x1100n }],
  });
  ram.u64(0x1100n, 0x9000n);
  expect(followSetupData(contextOf(ram).ctx.memory, physAddr(0x1000)).ended).toBe("absent");
});

it("a zero page leads to the list", () => {
  const page = new Uint8Array(4096);
  expect(setupDataHead(page)).toBeUndefined();
  page.set(new TextEncoder().encode("HdrS"), 0x202);
  page.set([0x40, 0, 0xff, 7], 0x250);
  expect(setupDataHead(page)).toBe(0x7ff0040n);
});

describe("a device tree", () => {
  const treeOf = (a: number, s: number, values: Record<string, Uint8Array>) =>
    readFdt(
      packedTree(
        node(
          "",
          [
            ["#address-cells", cells(BigInt(a), 1)],
            ["#size-cells", cells(BigInt(s), 1)],
          ],
          [node("chosen", Object.entries(values))],
        ),
      ),
    );
  it("with cells of 2 and 2, to the byte", () => {
    const value = dump("0000  00 00 00 01 00 a5 10 00 00 00 00 00 00 00 10 00");
    expect(join(cells(0x100a51000n, 2), cells(0x1000n, 2))).toEqual(value);
    expect(
      handoffOfChosen(
        treeOf(2, 2, {
          "linux,kho-fdt": value,
          "linux,kho-scratch": join(cells(0x7fe0000n, 2), cells(48n, 2)),
        }),
      ),
    ).toEqual({
      recordPa: 0n,
      fdtPa: 0x100a51000n,
      fdtSize: 4096n,
      scratchPa: 0x7fe0000n,
      scratchSize: 48n,
    });
  });
  it.each([
    [1, 1],
    [2, 1],
    [1, 2],
  ])("with cells of %i and %i", (a, s) => {
    const pair = (pa: bigint, size: bigint) => join(cells(pa, a), cells(size, s));
    expect(
      handoffOfChosen(
        treeOf(a, s, {
          "linux,kho-fdt": pair(0x8765_0000n, 65536n),
          "linux,kho-scratch": pair(0x10000n, 32n),
        }),
      ),
    ).toEqual({
      recordPa: 0n,
      fdtPa: 0x8765_0000n,
      fdtSize: 65536n,
      scratchPa: 0x10000n,
      scratchSize: 32n,
    });
  });
  it("wants both properties, each of one pair", () => {
    const pair = join(cells(0x1000n, 2), cells(0x1000n, 2));
    expect(handoffOfChosen(treeOf(2, 2, { "linux,kho-fdt": pair }))).toBeUndefined();
    expect(handoffOfChosen(treeOf(2, 2, { "linux,kho-scratch": pair }))).toBeUndefined();
    expect(
      handoffOfChosen(treeOf(2, 2, { "linux,kho-fdt": join(pair, pair), "linux,kho-scratch": pair })),
    ).toBeUndefined();
    expect(
      handoffOfChosen(treeOf(2, 1, { "linux,kho-fdt": pair, "linux,kho-scratch": pair })),
    ).toBeUndefined();
    expect(handoffOfChosen(readFdt(sequentialTree(node("", [["compatible", text("x")]]))))).toBeUndefined();
  });
});

it("three scratch areas", () => {
  const ram = new Ram();
  ram.write(
    0x7fe0000n,
    dump(`
0000  00 00 00 08 00 00 00 00  00 00 00 02 00 00 00 00
0010  00 00 00 60 00 00 00 00  00 00 00 10 00 00 00 00
0020  00 00 00 40 00 00 00 00  00 00 00 10 00 00 00 00`),
  );
  const { ctx, findings } = contextOf(ram);
  expect(decodeScratch(ctx, physAddr(0x7fe0000), 48n + 7n)).toEqual([
    { pa: 128n << 20n, size: 32n << 20n },
    { pa: 1536n << 20n, size: 256n << 20n },
    { pa: 1024n << 20n, size: 256n << 20n },
  ]);
  expect(findings).toEqual([]);
});

it("kexec metadata", () => {
  const blob = new Uint8Array(73);
  blob.set(dump("0000  01 00 00 00 37 2e 33 2e 34 00 00 00 00 00 00 00"));
  blob.set(dump("0000  00 00 00 00 00 02 00 00 00"), 0x40);
  const { ctx, findings } = contextOf(new Ram());
  expect(decodeKexecMetadata(ctx, blob, physAddr(0x101c20000))).toEqual({
    version: 1,
    previousRelease: "7.3.4",
    kexecCount: 2,
  });
  expect(findings).toEqual([]);
});
