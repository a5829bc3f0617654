import { describe, expect, it } from "vitest";
import { faultsOf } from "./compare.js";
import {
  attempt,
  broken,
  chunked,
  dropped,
  every,
  expectFault,
  type Fault,
  ignored,
  live,
  luoV1,
  misread,
  notCanonical,
  nowhere,
  radix,
  smallPlan,
  stops,
} from "./fault.js";
import { formOf } from "./releases.js";
import { type Node, text, u64 } from "./trees.js";
import { type Written, write } from "./writer.js";

const old = ["6.16", "6.17.8", "6.17.9", "6.18"] as const;
const middle = ["6.19", "7.0"] as const;

function setProperty(node: Node, name: string, value: Uint8Array | undefined): void {
  const at = node.properties.findIndex(([known]) => known === name);
  if (value === undefined) node.properties.splice(at, 1);
  else if (at < 0) node.properties.push([name, value]);
  else node.properties[at] = [name, value];
}
const rootProperty = (name: string, value?: Uint8Array) => ({
  root: (tree: Node) => setProperty(tree, name, value),
});
const subtree = (tree: Node, name: string): Node => tree.children.find((node) => node.name === name)!;
const atRoot = ({ at }: Written) => ({ fdt: at("root") });
const atRecord = ({ at }: Written) => ({ handoff: at("setup_data") });
const addressName = (label: string): string => (formOf(label).kho === "kho-v1" ? "fdt" : "preserved-data");
/** Bytes of the root tree; every release has its header at the start. */
const header =
  (field: number, value: number) =>
  ({ ram, at }: Written) =>
    ram.write(at("root") + BigInt(field), [
      value >>> 24,
      (value >>> 16) & 255,
      (value >>> 8) & 255,
      value & 255,
    ]);

const faults: Record<string, Fault> = {
  // The hand-off record.
  "record of length 0": {
    forms: every,
    damage: ({ ram, at }) => ram.u32(at("record") + 12n, 0),
    options: atRecord,
    code: "handoff-malformed",
    path: "handoff",
    pa: ({ at }) => at("record"),
    does: ignored(),
    strict: "throws",
  },
  "fdt_size 0": {
    forms: every,
    damage: ({ ram, at }) => ram.u64(at("record") + 24n, 0n),
    options: atRecord,
    code: "handoff-malformed",
    path: "handoff",
    does: ({ metadata }) => ignored(metadata ? undefined : "EFAULT"),
    strict: "throws",
  },
  "scratch_size 0": {
    forms: every,
    damage: ({ ram, at }) => ram.u64(at("record") + 40n, 0n),
    options: atRecord,
    code: "scratch-malformed",
    path: "scratch",
    does: ignored("EFAULT"),
    strict: "throws",
  },
  "scratch_size 0 and no address": {
    forms: ["6.18", "7.3"],
    damage: ({ ram, at }) => {
      ram.u64(at("record") + 32n, 0n);
      ram.u64(at("record") + 40n, 0n);
    },
    options: atRecord,
    code: "scratch-malformed",
    path: "scratch",
    does: ignored("EFAULT"),
    strict: "throws",
  },
  "scratch_size 15": {
    forms: every,
    damage: ({ ram, at }) => ram.u64(at("record") + 40n, 15n),
    options: atRecord,
    code: "scratch-malformed",
    path: "scratch",
    does: stops(),
    strict: "throws",
  },
  "scratch array outside RAM": {
    forms: every,
    damage: ({ ram, at }) => ram.u64(at("record") + 32n, nowhere),
    options: atRecord,
    // Or not captured, which looks the same.
    code: "memory-absent",
    severity: "warning",
    path: "scratch",
    pa: () => nowhere,
    does: null,
    strict: "reads",
  },
  "scratch array of zeros": {
    forms: every,
    damage: ({ ram, at }) => ram.write(at("scratch"), new Uint8Array(48)),
    options: atRecord,
    code: "scratch-malformed",
    path: "scratch",
    does: stops(),
    strict: "throws",
  },
  "record in the page of the root": {
    forms: every,
    damage: ({ ram, at }) => ram.write(at("root") + 0x800n, ram.read(at("record"), 48)),
    options: ({ at }) => ({ handoff: at("root") + 0x800n }),
    code: "structure-reused",
    path: "handoff",
    pa: ({ at }) => at("root"),
    does: misread("boot"),
    strict: "reads",
  },
  "scratch array in the page of the root": {
    forms: every,
    damage: ({ ram, at }) => {
      ram.write(at("root") + 0x800n, ram.read(at("scratch"), 48));
      ram.u64(at("record") + 32n, at("root") + 0x800n);
    },
    options: atRecord,
    code: "structure-reused",
    path: "handoff",
    pa: ({ at }) => at("root"),
    does: misread("boot"),
    strict: "reads",
  },

  // The root tree.
  "root version 1": {
    forms: every,
    damage: header(20, 1),
    options: atRoot,
    code: "fdt-bad-version",
    path: "root",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "root compatible with 18 only": {
    forms: every,
    damage: header(24, 18),
    options: atRoot,
    code: "fdt-bad-version",
    path: "root",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "root totalsize below the header": {
    forms: every,
    damage: header(4, 39),
    options: atRoot,
    code: "fdt-bad-layout",
    path: "root",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "structure block outside": {
    forms: every,
    damage: header(8, 0x10000),
    options: atRoot,
    code: "fdt-bad-layout",
    path: "root",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "strings block outside": {
    forms: every,
    damage: header(12, 0x10000),
    options: atRoot,
    code: "fdt-bad-layout",
    path: "root",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "reserve map outside": {
    forms: every,
    damage: header(16, 0x10000),
    options: atRoot,
    code: "fdt-bad-layout",
    path: "root",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "reserve map unaligned, from 7.1": {
    forms: radix,
    damage: header(16, 0x2c),
    options: atRoot,
    code: "fdt-unaligned",
    path: "root",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "structure block unaligned, from 7.1": {
    forms: radix,
    damage: header(8, 0x3a),
    options: atRoot,
    code: "fdt-unaligned",
    path: "root",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "root of an unknown version": {
    forms: every,
    hooks: rootProperty("compatible", text("kho-v9")),
    options: atRoot,
    code: "compatible-unknown",
    path: "compatible",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "root without a version": {
    forms: every,
    hooks: rootProperty("compatible"),
    options: atRoot,
    code: "property-missing",
    path: "compatible",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "kho-v3 read by 7.2": {
    forms: ["7.1"],
    reader: "7.2",
    code: "compatible-mismatch",
    path: "compatible",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "kho-v4 read by 7.1": {
    forms: ["7.2", "7.3"],
    reader: "7.1",
    code: "compatible-mismatch",
    path: "compatible",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "kho-v1 read by 7.1": {
    forms: chunked,
    reader: "7.1",
    code: "compatible-mismatch",
    path: "compatible",
    does: ignored("EINVAL"),
    strict: "throws",
  },
  "kho-v4 read by 6.18": {
    forms: ["7.3"],
    reader: "6.18",
    code: "compatible-mismatch",
    path: "compatible",
    does: ignored("EINVAL"),
    strict: "throws",
  },

  // The memory map's address.
  "no map property": {
    forms: every,
    hooks: rootProperty("preserved-memory-map"),
    options: atRoot,
    code: "property-missing",
    path: "preserved-memory-map",
    does: ({ label }) => ignored(label === "6.19" || label === "7.0" ? "ENOENT" : undefined),
    strict: "throws",
  },
  "map property of 4 bytes": {
    forms: every,
    hooks: rootProperty("preserved-memory-map", new Uint8Array(4)),
    options: atRoot,
    code: "property-bad-length",
    path: "preserved-memory-map",
    does: ({ label }) => ignored(label === "6.19" || label === "7.0" ? "ENOENT" : undefined),
    strict: "throws",
  },
  "map 0, up to 6.18": {
    forms: old,
    hooks: rootProperty("preserved-memory-map", u64(0n)),
    options: atRoot,
    code: "map-missing",
    severity: "info",
    path: "preserved-memory-map",
    does: null,
    strict: "reads",
  },
  "map 0, from 6.19": {
    forms: [...middle, ...radix],
    hooks: rootProperty("preserved-memory-map", u64(0n)),
    options: atRoot,
    code: "map-missing",
    path: "preserved-memory-map",
    does: ({ metadata }) => ignored(metadata ? undefined : "ENOENT"),
    strict: "throws",
  },
  "map outside RAM": {
    forms: every,
    hooks: rootProperty("preserved-memory-map", u64(nowhere)),
    options: atRoot,
    code: "memory-absent",
    path: /^preserved/,
    pa: () => nowhere,
    does: stops(),
    strict: "throws",
  },
  "map not canonical": {
    forms: every,
    hooks: rootProperty("preserved-memory-map", u64(notCanonical)),
    options: atRoot,
    code: "memory-absent",
    path: /^preserved/,
    pa: () => notCanonical,
    does: stops(),
    strict: "throws",
  },
  "chunk list that begins unaligned": {
    forms: chunked,
    damage: ({ ram, at }) =>
      ram.write(at("root"), patchedMap(ram.read(at("root"), 4096), at("map"), at("map") + 8n)),
    options: atRoot,
    code: "map-bad-chunk",
    path: "preserved.chunks[0]",
    does: stops(),
    strict: "throws",
  },
  "radix root unaligned": {
    forms: radix,
    damage: ({ ram, at }) =>
      ram.write(at("root"), patchedMap(ram.read(at("root"), 4096), at("map"), at("map") + 8n)),
    options: atRoot,
    code: "map-bad-node",
    path: "preserved",
    pa: ({ at }) => at("map") + 8n,
    does: stops(),
    strict: "throws",
  },

  // Chunks and bitmaps.
  "next chunk outside RAM": {
    forms: chunked,
    damage: ({ ram, map }) => ram.u64(lastChunk(map.at), nowhere),
    code: "memory-absent",
    path: /^preserved\.chunks\[\d\]$/,
    pa: () => nowhere,
    does: stops(),
    strict: "throws",
  },
  "chunk list in a circle": {
    forms: chunked,
    damage: ({ ram, map }) => ram.u64(lastChunk(map.at), map.root),
    code: "map-cycle",
    path: /^preserved\.chunks\[\d\]$/,
    pa: ({ map }) => map.root,
    does: stops(),
    strict: "throws",
  },
  "too many entries in a chunk": {
    forms: chunked,
    damage: ({ ram, map }) => ram.u32(map.root + 12n, 256),
    code: "map-bad-chunk",
    path: "preserved.chunks[0]",
    pa: ({ map }) => map.root,
    does: stops(),
    strict: "throws",
  },
  "no bitmap": {
    forms: chunked,
    damage: ({ ram, map }) => ram.u64(map.root + 24n, 0n),
    code: "map-bad-bitmap",
    path: "preserved.chunks[0].bitmaps[0]",
    pa: ({ map }) => map.root + 16n,
    does: stops(),
    strict: "throws",
  },
  "bitmap outside RAM": {
    forms: chunked,
    damage: ({ ram, map }) => ram.u64(map.root + 24n, nowhere),
    code: "memory-absent",
    path: "preserved.chunks[0].bitmaps[0]",
    pa: () => nowhere,
    does: stops(),
    strict: "throws",
  },
  "order 64": {
    forms: chunked,
    damage: ({ ram, map }) => ram.u32(map.root + 8n, 64),
    code: "map-bad-chunk",
    path: "preserved.chunks[0].bitmaps[0]",
    does: stops(),
    strict: "throws",
  },
  "order 31": {
    forms: chunked,
    damage: ({ ram, map }) => ram.u32(map.root + 8n, 31),
    code: "order-too-large",
    path: "preserved.runs",
    does: stops(),
    strict: "throws",
  },
  "phys_start unaligned": {
    forms: chunked,
    damage: ({ ram, map }) => ram.u64(map.root + 16n, 0x1000n),
    code: "map-bad-bitmap",
    path: "preserved.chunks[0].bitmaps[0]",
    pa: ({ map }) => map.root + 16n,
    does: misread("boot"),
    strict: "reads",
  },
  "bitmaps of 512 bytes read as pages": {
    forms: ["6.16", "6.17.8"],
    reader: "6.18",
    code: "map-bad-bitmap",
    path: "preserved",
    does: misread("boot"),
    strict: "reads",
  },

  // The radix tree.
  "root table with an entry to itself": {
    forms: radix,
    damage: ({ ram, map }) => ram.u64(map.root, map.root),
    code: "map-cycle",
    path: /^preserved\[/,
    pa: ({ map }) => map.root,
    does: stops(),
    strict: "throws",
  },
  "a table where a leaf is due": {
    forms: radix,
    damage: ({ ram, map }) => ram.u64(lowestTable(map.at), lowestTable(map.at)),
    code: "map-cycle",
    path: /^preserved\[/,
    does: stops(),
    strict: "throws",
  },
  "child unaligned": {
    forms: radix,
    damage: ({ ram, map }) => ram.u64(map.root + 8n, map.root + 0x10n),
    code: "map-bad-node",
    path: "preserved[1]",
    does: stops(),
    strict: "throws",
  },
  "child outside RAM": {
    forms: radix,
    damage: ({ ram, map }) => ram.u64(map.root + 8n, nowhere),
    code: "memory-absent",
    path: "preserved[1]",
    pa: () => nowhere,
    does: stops(),
    strict: "throws",
  },
  "child not canonical": {
    forms: radix,
    damage: ({ ram, map }) => ram.u64(map.root + 8n, notCanonical),
    code: "memory-absent",
    path: "preserved[1]",
    does: stops(),
    strict: "throws",
  },
  "entry for keys wider than keys are": {
    forms: radix,
    damage: ({ ram, map }) => ram.u64(map.root + 8n * 4n, map.root + 0x1000n),
    code: "map-bad-node",
    path: "preserved[4]",
    pa: ({ map }) => map.root + 32n,
    does: stops(),
    strict: "throws",
  },
  "bits for keys 0 and 1": {
    forms: radix,
    damage: (written) => strayBits(written, 0b11),
    code: "map-bad-key",
    path: "preserved[0][0][0][0][0]",
    does: misread("boot"),
    strict: "reads",
  },

  // What is preserved.
  "block in scratch": {
    forms: every,
    plan: { stray: [{ pfn: 0x60000, order: 3 }] },
    code: "block-in-scratch",
    path: "scratch[1]",
    pa: () => 0x60000000n,
    does: misread("boot"),
    strict: "reads",
  },
  "blocks that overlap": {
    forms: every,
    plan: {
      stray: [
        { pfn: 2 ** 22, order: 3 },
        { pfn: 2 ** 22 + 4, order: 1 },
      ],
    },
    code: "block-overlap",
    path: "preserved.runs",
    pa: () => 0x400004000n,
    does: misread("boot"),
    strict: "reads",
  },
  "a block over all of scratch, up to 7.1": {
    forms: [...chunked, "7.1"],
    plan: { stray: [{ pfn: 0, order: 20 }], reserveMem: [] },
    code: "block-in-scratch",
    path: "scratch[0]",
    does: misread("boot"),
    strict: "reads",
  },
  "a block over all of scratch, from 7.2": {
    forms: ["7.2", "7.3"],
    plan: { stray: [{ pfn: 0, order: 20 }], reserveMem: [] },
    code: "block-in-scratch",
    path: "scratch[0]",
    does: stops(),
    strict: "throws",
  },
  "a block too large for 32 bits": {
    forms: [...chunked, "7.1"],
    plan: { stray: [{ pfn: 2 ** 22, order: 19 }] },
    code: "order-too-large",
    path: "preserved.runs",
    pa: () => 2n ** 34n,
    does: misread("boot"),
    strict: "reads",
  },
  "root not in the map": {
    forms: every,
    hooks: { preserved: (blocks, at) => blocks.filter(({ pfn }) => pfn !== Number(at("root") >> 12n)) },
    code: "page-not-preserved",
    path: "root",
    pa: ({ at }) => at("root"),
    does: misread("boot"),
    strict: "reads",
  },

  // Subtrees.
  ...Object.fromEntries(
    (["memblock", "kho_test", "kexec-metadata", "LUO"] as const).flatMap((name) => {
      const forms = name === "LUO" ? live : name === "kexec-metadata" ? radix : every;
      const does = name === "LUO" ? stops("EINVAL") : dropped("EINVAL");
      const strict = name === "LUO" ? "throws" : "reads";
      const change =
        (key: "address" | "size", value?: Uint8Array) =>
        ({ label }: { label: string }) => ({
          root: (tree: Node) =>
            setProperty(subtree(tree, name), key === "address" ? addressName(label) : "blob-size", value),
        });
      const path = (key: "address" | "size") =>
        new RegExp(`^subtrees\\.${name}\\.${key === "size" ? "blob-size" : "(fdt|preserved-data)"}$`);
      return Object.entries({
        [`${name} without an address`]: {
          forms,
          hooks: change("address"),
          code: "property-missing",
          path: path("address"),
          does,
          strict,
        },
        [`${name} with an address of 4 bytes`]: {
          forms,
          hooks: change("address", new Uint8Array(4)),
          code: "property-bad-length",
          path: path("address"),
          does,
          strict,
        },
        [`${name} without a size`]: {
          forms: radix,
          hooks: change("size"),
          code: "property-missing",
          path: path("size"),
          does,
          strict,
        },
        [`${name} with a size of 16 bytes`]: {
          forms: radix,
          hooks: change("size", new Uint8Array(16)),
          code: "property-bad-length",
          path: path("size"),
          does,
          strict,
        },
        [`${name} outside RAM`]: {
          forms,
          hooks: change("address", u64(nowhere)),
          code: "memory-absent",
          path: `subtrees.${name}`,
          pa: () => nowhere,
          does: stops(),
          strict: "throws",
        },
      } satisfies Record<string, Fault>);
    }),
  ),

  // kexec-metadata.
  "metadata of 3 bytes": {
    forms: radix,
    hooks: { root: (tree) => setProperty(subtree(tree, "kexec-metadata"), "blob-size", u64(3n)) },
    code: "blob-size-mismatch",
    severity: "warning",
    path: "kexec_metadata",
    does: dropped(),
    strict: "reads",
  },
  "metadata of 72 bytes": {
    forms: radix,
    hooks: { root: (tree) => setProperty(subtree(tree, "kexec-metadata"), "blob-size", u64(72n)) },
    code: "blob-size-mismatch",
    severity: "warning",
    path: "kexec_metadata",
    does: dropped(),
    strict: "reads",
  },
  "metadata of version 2": {
    forms: radix,
    damage: ({ ram, at }) => ram.u32(at("metadata"), 2),
    code: "metadata-unknown-version",
    severity: "warning",
    path: "kexec_metadata",
    pa: ({ at }) => at("metadata"),
    does: dropped(),
    strict: "reads",
  },
  "metadata with a release that has no NUL": {
    forms: radix,
    damage: ({ ram, at }) => ram.write(at("metadata") + 4n, new Uint8Array(65).fill(0x37)),
    code: "string-unterminated",
    severity: "warning",
    path: "kexec_metadata.previous_release",
    pa: ({ at }) => at("metadata") + 4n,
    does: null,
    strict: "reads",
  },

  // reserve_mem.
  "memblock of another version": {
    forms: every,
    hooks: { memblock: (tree) => setProperty(tree, "compatible", text("memblock-v2")) },
    code: "reserve-mem-malformed",
    path: "reserve_mem.compatible",
    does: dropped(),
    strict: "reads",
  },
  "region of another version": {
    forms: every,
    hooks: { memblock: (tree) => setProperty(tree.children[0]!, "compatible", text("reserve-mem-v2")) },
    code: "reserve-mem-malformed",
    path: "reserve_mem.trace.compatible",
    does: dropped(),
    strict: "reads",
  },
  "region without a start": {
    forms: every,
    hooks: { memblock: (tree) => setProperty(tree.children[0]!, "start", undefined) },
    code: "reserve-mem-malformed",
    path: "reserve_mem.trace.start",
    does: dropped(),
    strict: "reads",
  },
  "region with a size of 4 bytes": {
    forms: every,
    hooks: { memblock: (tree) => setProperty(tree.children[0]!, "size", new Uint8Array(4)) },
    code: "reserve-mem-malformed",
    path: "reserve_mem.trace.size",
    does: dropped(),
    strict: "reads",
  },
  "region that is not preserved": {
    forms: every,
    hooks: { memblock: (tree) => setProperty(tree.children[0]!, "start", u64(0x18000000n)) },
    code: "page-not-preserved",
    path: "reserve_mem.trace",
    pa: () => 0x18000000n,
    does: misread("boot"),
    strict: "reads",
  },
  "nine regions": {
    forms: every,
    plan: {
      reserveMem: Array.from({ length: 9 }, (_, i) => ({
        name: `r${i}`,
        start: 0x12000000n + BigInt(i) * 0x1000n,
        size: 0x1000n,
      })),
    },
    code: "reserve-mem-malformed",
    severity: "warning",
    path: "reserve_mem",
    does: null,
    strict: "reads",
  },
};

function lastChunk(at: Map<string, bigint>): bigint {
  const chunks = [...at].filter(([name]) => name.startsWith("chunk"));
  return chunks.at(-1)![1];
}
/** The table right above the leaves. */
const lowestTable = (at: Map<string, bigint>): bigint =>
  [...at].find(([name]) => name.split("/").length === 4)![1];

/** The page of a tree with its map property changed from one address to another. */
function patchedMap(page: Uint8Array, from: bigint, to: bigint): Uint8Array {
  const view = new DataView(page.buffer);
  for (let at = 0; at + 8 <= page.length; at += 4)
    if (view.getBigUint64(at, true) === from) {
      view.setBigUint64(at, to, true);
      return page;
    }
  throw new Error("the page does not have the address of the map");
}

/** Sets low bits of the leaf for the smallest keys, making the path to it. */
function strayBits({ ram, map }: Written, bits: number): void {
  let table = map.root;
  let next = 0x60_0000_0000n;
  for (let level = 5; level >= 1; level--) {
    let child = ram.getU64(table);
    if (child === 0n) {
      child = next;
      next += 0x1000n;
      ram.have(child, 4096);
      ram.u64(table, child);
    }
    table = child;
  }
  ram.u8(table, bits);
}

describe.each(Object.entries(faults))("%s", (_, fault) => {
  it.each(fault.forms.map((label) => [label]))("written by %s", (label) => expectFault(fault, label));
});

describe("faults of the root tree that leave nothing to read", () => {
  it.each(every.map((label) => [label]))("no magic, %s", (label) => {
    const written = write(smallPlan(formOf(label)));
    ram0(written);
    const options = { release: formOf(label).release, fdt: written.at("root") };
    expect(attempt(written, options).error).toMatchObject({
      code: "fdt-bad-magic",
      consequence: ignored("EINVAL"),
    });
    expect(attempt(written, { ...options, mode: "forensic" }).error).toMatchObject({
      code: "not-a-handover",
    });
  });
  const ram0 = ({ ram, at }: Written): void => ram.write(at("root"), [0, 0, 0, 0]);
});

describe("what kernels accept is no fault", () => {
  const accepted: Record<
    string,
    { forms: readonly string[]; hooks?: Fault["hooks"]; damage?: Fault["damage"]; options?: Fault["options"] }
  > = {
    "record of length 31": {
      forms: every,
      damage: ({ ram, at }) => ram.u32(at("record") + 12n, 31),
      options: atRecord,
    },
    "record of length 40": {
      forms: every,
      damage: ({ ram, at }) => ram.u32(at("record") + 12n, 40),
      options: atRecord,
    },
    "fdt_size 64": {
      forms: every,
      damage: ({ ram, at }) => ram.u64(at("record") + 24n, 64n),
      options: atRecord,
    },
    "fdt_size 8192": {
      forms: every,
      damage: ({ ram, at }) => ram.u64(at("record") + 24n, 8192n),
      options: atRecord,
    },
    "scratch_size with something left over": {
      forms: every,
      damage: ({ ram, at }) => ram.u64(at("record") + 40n, 55n),
      options: atRecord,
    },
    "a list of versions with the own one": {
      forms: every,
      hooks: ({ kho }) => rootProperty("compatible", Uint8Array.from([...text("kho-v0"), ...text(kho)])),
    },
    "metadata that is longer": {
      forms: radix,
      hooks: { root: (tree) => setProperty(subtree(tree, "kexec-metadata"), "blob-size", u64(80n)) },
    },
    "page beyond the tree with leftovers": {
      forms: every,
      damage: ({ ram, at }) => ram.write(at("root") + 2048n, new Uint8Array(2048).fill(0xff)),
    },
    "memblock as a list of versions": {
      forms: every,
      hooks: {
        memblock: (tree) =>
          setProperty(tree, "compatible", Uint8Array.from([...text("x"), ...text("memblock-v1")])),
      },
    },
    "a chunk without entries": {
      forms: chunked,
      damage: ({ ram, map }) => {
        ram.have(nowhere, 4096);
        ram.u64(lastChunk(map.at), nowhere);
      },
    },
  };
  describe.each(Object.entries(accepted))("%s", (_, { forms, options, ...rest }) => {
    it.each(forms.map((label) => [label]))("read by %s", (label) => {
      const fault = { ...rest, forms, code: "", path: "", does: null, strict: "reads" } as Fault;
      const written = broken(fault, label);
      const result = attempt(written, { release: formOf(label).release, ...options?.(written) });
      expect(result.error).toBeUndefined();
      expect(faultsOf(result)).toEqual([]);
    });
  });

  it.each(chunked.map((label) => [label]))("an unaligned reserve map before 7.1, %s", (label) => {
    const written = write(smallPlan(formOf(label)));
    header(16, 0x2c)(written);
    expect(
      attempt(written, { release: formOf(label).release, fdt: written.at("root") }).error,
    ).toBeUndefined();
  });

  it.each([...luoV1.slice(2), "7.2", "7.3"].map((label) => [label]))(
    "a size of a tree that its reader does not look at, %s",
    (label) => {
      for (const name of label === "7.1" ? ["memblock", "LUO", "kho_test"] : ["memblock", "kho_test"])
        for (const size of [8n, 5000n]) {
          const written = write(smallPlan(formOf(label)), {
            root: (tree) => setProperty(subtree(tree, name), "blob-size", u64(size)),
          });
          const { findings, error } = attempt(written, { release: label });
          expect(error).toBeUndefined();
          expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
        }
    },
  );
});
