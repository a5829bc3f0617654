import { describe, expect, it } from "vitest";
import { scan } from "../../src/handover/index.js";
import { decodeHandover, KhoError } from "../../src/index.js";
import { u64s } from "./build.js";
import { type Capture, load, names } from "./captures.js";
import { allowed, endure, isNoticed } from "./endure.js";
import { Sparse } from "./memory.js";

const pathsOf = ({ decoded }: Capture, wanted: RegExp) =>
  decoded.structures.filter(({ path }) => wanted.test(path));
/** Codes of the findings; fails if nothing is noticed at all. */
function codesOf(capture: Capture, about: string): string[] {
  const outcome = endure(capture, about);
  expect(isNoticed(outcome, capture.decoded), about).toBe(true);
  return outcome.findings.map(({ code }) => code);
}

describe("lists that do not end", () => {
  it("setup_data: a node that leads to itself, and to an earlier one", () => {
    const { memory, image, decoded } = load("7.3-memfd");
    const { recordPa } = decoded.handover.handoff;
    const other = recordPa + 512n;
    memory.put(recordPa + 8n, 1n, 4);
    for (const next of [recordPa, other]) {
      memory.put(recordPa, next);
      memory.put(other, recordPa);
      memory.put(other + 8n, 1n, 4);
      memory.spent();
      expect(() => decodeHandover(image, { handoff: recordPa })).toThrow(
        expect.objectContaining({ code: "handoff-cycle" }),
      );
      expect(memory.spent().reads).toBeLessThan(20);
    }
  });

  it("chunks of the memory map", () => {
    for (const name of ["6.19.10-memfd", "6.18.15-resmem"] as const) {
      const capture = load(name);
      const chunks = pathsOf(capture, /^preserved\.chunks\[\d+\]$/);
      for (const from of chunks)
        for (const to of chunks) {
          if (capture.memory.get(from.pa) === to.pa) continue;
          capture.memory.put(from.pa, to.pa);
          const found = codesOf(capture, `${from.path} to ${to.path}`);
          if (chunks.indexOf(to) <= chunks.indexOf(from)) expect(found).toContain("map-cycle");
          capture.memory.restore();
        }
    }
  });

  it("blocks of sessions and of files", () => {
    const capture = load("7.3-memfd");
    const blocks = pathsOf(capture, /blocks\[\d+\]$/);
    expect(blocks.length).toBeGreaterThan(4);
    for (const from of blocks)
      for (const to of blocks) {
        if (capture.memory.get(from.pa) === to.pa) continue;
        capture.memory.put(from.pa, to.pa);
        const found = codesOf(capture, `${from.path} to ${to.path}`);
        const [list, other] = [from, to].map(({ path }) => path.replace(/\[\d+\]$/, ""));
        const back = list === other && blocks.indexOf(to) <= blocks.indexOf(from);
        if (back) expect(found).toContain("block-list-cycle");
        capture.memory.restore();
      }
  });

  it("chunks of vmalloc areas", () => {
    for (const name of names) {
      const capture = load(name);
      for (const from of pathsOf(capture, /(folios|folios_info)\.chunks\[\d+\]$/).slice(0, 4))
        for (const to of [from, ...pathsOf(capture, /chunks\[\d+\]$|memfd$|^root$/)]) {
          capture.memory.put(from.pa, to.pa);
          const found = codesOf(capture, `${from.path} to ${to.path}`);
          if (to === from) expect(found).toContain("vmalloc-bad-chunk");
          if (to.path === "root") expect(found).toContain("structure-reused");
          capture.memory.restore();
        }
    }
  });

  it("radix tables: every level to itself, to the root, and a leaf in place of a table", () => {
    const capture = load("7.3-resmem");
    const nodes = pathsOf(capture, /^preserved(\[\d+\])*$/);
    const root = nodes[0]!;
    for (const node of nodes) {
      const level = node.path.split("[").length;
      if (level === 6) continue;
      for (const to of [node.pa, root.pa, nodes.at(-1)!.pa])
        for (const entry of [0n, 1n, 511n]) {
          if (capture.memory.get(node.pa + entry * 8n) === to) continue;
          capture.memory.put(node.pa + entry * 8n, to);
          const found = codesOf(capture, `${node.path}[${entry}] to ${to.toString(16)}`);
          if (to !== nodes.at(-1)!.pa) expect(found.some((code) => code.startsWith("map-"))).toBe(true);
          capture.memory.restore();
        }
    }
  });

  it("setup_data records everywhere, each leading to the next: the search takes one look at each", () => {
    const memory = new Sparse();
    const list = 0x4000_0000n;
    for (let at = 0n; at < 4096n * 4n; at += 16n) memory.add(list + at, u64s(list + at + 16n, 1n));
    // Every sixteen bytes: the address of the next node, then the type and length of a hand-off record.
    const page = u64s(...Array.from({ length: 512 }, (_, i) => (i % 2 === 0 ? list : (32n << 32n) | 10n)));
    for (let i = 0n; i < 16n; i++) memory.add(0x10_0000n + i * 4096n, page);
    scan(memory);
    expect(memory.spent().reads).toBeLessThan(memory.size / 2);
  });

  it("zero pages that all lead to one long list", () => {
    const memory = new Sparse();
    for (let i = 0n; i < 32n; i++) {
      memory.add(i * 4096n, new Uint8Array(4096));
      memory.put(i * 4096n + 0x202n, 0x53726448n, 4);
      memory.put(i * 4096n + 0x250n, 64n * 4096n);
    }
    for (let i = 64n; i < 96n; i++) {
      memory.add(i * 4096n, new Uint8Array(4096));
      for (let at = 0n; at < 4096n; at += 16n) memory.put(i * 4096n + at, i * 4096n + at + 16n);
    }
    expect(scan(memory).candidates.every(({ usable }) => !usable)).toBe(true);
    // A list is followed for 1024 nodes, each of which is asked for and read.
    expect(memory.spent().reads).toBeLessThan(32 * 2 * 1024 + 1000);
  });

  it("a tree of 2 MiB at every page is not read at every page", () => {
    const memory = new Sparse();
    const bytes = new Uint8Array(4096);
    const view = new DataView(bytes.buffer);
    // Nothing but FDT_NOP, and in each page the header of a tree that reaches far.
    for (let at = 0; at < 4096; at += 4) view.setUint32(at, 4);
    for (const [i, value] of [0xd00dfeed, 2 << 20, 64, 64, 40, 17, 16, 0, 0, (2 << 20) - 64].entries())
      view.setUint32(i * 4, value);
    view.setBigUint64(40, 0n);
    view.setBigUint64(48, 0n);
    for (let i = 0n; i < 1024n; i++) memory.add(i * 4096n, bytes);
    scan(memory);
    const { bytes: read } = memory.spent();
    expect(read).toBeLessThan((64 << 20) + 8 * memory.size);
  });

  it("errors of hints that lead nowhere are KhoErrors", () => {
    const { image, memory } = load("7.3-resmem");
    for (const at of [0n, 1n, (1n << 64n) - 1n, 0xdead_0000n, 1n << 63n])
      for (const options of [{ fdt: at }, { handoff: at }, { fdt: at, handoff: at }])
        expect(() => decodeHandover(image, { ...options, mode: "forensic" })).toThrow(KhoError);
    expect(memory.spent().bytes).toBeLessThan(allowed(memory.size).bytes);
  });
});
