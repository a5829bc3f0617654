/**
 * A second opinion: writes whole handovers of every release from a description, with plain numbers at plain offsets
 * and none of the project's layouts.
 */

import {
  type Allocate,
  type Block,
  blocksOfRange,
  type MapAddresses,
  writeChunks,
  writeRadix,
} from "./map.js";
import { Ram } from "./ram.js";
import type { Form } from "./releases.js";
import { cells, join, type Node, node, packedTree, sequentialTree, text, u32, u64 } from "./trees.js";

const utf8 = new TextEncoder();
const bytesOf = (name: string | Uint8Array): Uint8Array =>
  typeof name === "string" ? utf8.encode(name) : name;

export interface FolioPlan {
  /** Offset in the file in base pages. */
  index: number;
  order: number;
  /** 3, dirty and up to date, unless given. */
  flags?: number;
  /** Bytes at its start; a folio without content is not in the capture. */
  content?: Uint8Array;
  /** True for an entry with PFN 0. */
  hole?: boolean;
}

export interface MemfdPlan {
  size: bigint;
  pos?: bigint;
  seals?: number;
  flags?: number;
  folios: FolioPlan[];
  /** Order of the pages of the folio list. */
  listOrder?: number;
}

export interface FilePlan {
  token: bigint;
  /** What to write where it is not a memfd of the release. */
  compatible?: string | Uint8Array;
  data?: bigint;
  memfd?: MemfdPlan;
}

export interface SessionPlan {
  name: string | Uint8Array;
  files: FilePlan[];
}

export interface Plan {
  form: Form;
  pageSize: number;
  /** How the next kernel is told: cells are those of the device tree, [address, size]. */
  handoff: "setup_data" | { cells: [number, number] } | "nothing";
  scratch: { pa: bigint; size: bigint }[];
  /** First address to put things at. */
  base?: bigint;
  liveupdateNumber?: bigint;
  sessions?: SessionPlan[];
  /** Fewer records to a block than fit; writers fill blocks, readers take any number from 1 on. */
  perBlock?: number;
  flbs?: { name: string; data: bigint; count: bigint }[];
  reserveMem?: { name: string; start: bigint; size: bigint }[];
  metadata?: { release: string; count: number };
  /** Orders of the test module's folios. */
  khoTest?: number[];
  unknown?: { name: string; blob: Uint8Array }[];
  /** Preserved memory that nothing refers to. */
  stray?: Block[];
  /** Blocks whose bits were cleared again: their bitmaps and leaves stay. */
  cleared?: Block[];
}

/** Where a description can be changed before the bytes that follow from it are made. */
export interface Hooks {
  root?: (tree: Node) => void;
  luo?: (tree: Node) => void;
  memblock?: (tree: Node) => void;
  khoTest?: (tree: Node) => void;
  /** Blocks of the memory map. */
  preserved?: (blocks: Block[], at: Written["at"]) => Block[];
}

export interface Written {
  ram: Ram;
  plan: Plan;
  /** Addresses by name: `root`, `session[0]`, `memfd[0][1].chunk[2]`. Throws for a name that there is not. */
  at(name: string): bigint;
  names(): string[];
  map: MapAddresses;
  preserved: Block[];
  /** PFN of each folio by session, file and entry; 0 for holes. */
  folios: number[][][];
  testFolios: Block[];
  core(machine?: number): Uint8Array;
}

const highest = (a: bigint, b: bigint): bigint => (a > b ? a : b);

export function write(plan: Plan, hooks: Hooks = {}): Written {
  const { form, pageSize } = plan;
  const ram = new Ram();
  const addresses = new Map<string, bigint>();
  const preserved: Block[] = [];
  const shift = Math.log2(pageSize);
  const pfnOf = (pa: bigint): number => Number(pa >> BigInt(shift));

  let next = plan.base ?? 0x1_0000_0000n;
  const allocate: Allocate = (size) => {
    const align = highest(BigInt(size), BigInt(pageSize));
    const pa = ((next + align - 1n) / align) * align;
    next = pa + align;
    return pa;
  };
  /** A preserved block of `2 ** order` pages, in the capture. */
  const block = (name: string, order = 0): bigint => {
    const pa = allocate(pageSize * 2 ** order);
    ram.have(pa, pageSize * 2 ** order);
    preserved.push({ pfn: pfnOf(pa), order });
    addresses.set(name, pa);
    return pa;
  };

  // The root comes first, as it does at boot.
  const root = block("root");

  /** An area of preserved pages with a list of where they are; returns the 16 bytes that describe it. */
  const vmalloc = (name: string, content: Uint8Array, order = 0): Uint8Array => {
    if (content.length === 0) return new Uint8Array(16);
    const unit = pageSize * 2 ** order;
    const count = Math.ceil(content.length / unit);
    const perChunk = pageSize / 8 - 1;
    const pages: bigint[] = [];
    for (let i = 0; i < count; i++) {
      const page = block(`${name}.array[${i}]`, order);
      ram.write(page, content.subarray(i * unit, (i + 1) * unit));
      pages.push(page);
    }
    // A chunk that has become full is followed by another one, also if nothing goes there.
    const chunks = Math.floor(count / perChunk) + 1;
    let before = 0n;
    for (let c = 0; c < chunks; c++) {
      const chunk = block(`${name}.chunk[${c}]`);
      if (before !== 0n) ram.u64(before, chunk);
      for (const [i, page] of pages.slice(c * perChunk, (c + 1) * perChunk).entries())
        ram.u64(chunk + 8n + BigInt(8 * i), page);
      before = chunk;
    }
    const descriptor = new Uint8Array(16);
    const view = new DataView(descriptor.buffer);
    view.setBigUint64(0, addresses.get(`${name}.chunk[0]`)!, true);
    view.setUint32(8, count * 2 ** order, true);
    view.setUint16(12, order === 0 ? 1 : 3, true);
    view.setUint16(14, order, true);
    return descriptor;
  };

  const folios: number[][][] = [];
  const memfd = (
    name: string,
    { size, pos = 0n, seals = 0, flags = 0, folios: list, listOrder }: MemfdPlan,
  ): { pa: bigint; pfns: number[] } => {
    const pa = block(name);
    const content = new Uint8Array(list.length * 16);
    const view = new DataView(content.buffer);
    const pfns = list.map((folio, i) => {
      let pfn = 0;
      if (!folio.hole) {
        const at = allocate(pageSize * 2 ** folio.order);
        pfn = pfnOf(at);
        preserved.push({ pfn, order: folio.order });
        if (folio.content) {
          ram.have(at, Math.min(pageSize * 2 ** folio.order, 1 << 16));
          ram.write(at, folio.content);
        }
      }
      // 52 bits of page frame number below 12 bits of flags.
      view.setUint32(i * 16, pfn % 2 ** 32, true);
      view.setUint32(i * 16 + 4, Math.floor(pfn / 2 ** 32) + (folio.flags ?? 3) * 2 ** 20, true);
      view.setBigUint64(i * 16 + 8, BigInt(folio.index), true);
      return pfn;
    });
    const area = vmalloc(name, content, listOrder);
    ram.u64(pa, pos);
    ram.u64(pa + 8n, size);
    let rest = pa + 16n;
    if (form.memfd === "memfd-v2") {
      ram.u32(pa + 16n, seals);
      ram.u32(pa + 20n, flags);
      rest += 8n;
    }
    ram.u64(rest, BigInt(list.length));
    ram.write(rest + 8n, area);
    return { pa, pfns };
  };

  const luo = form.luo;
  /** Records of `size` bytes, in one block after another; `where` is told the address of each. */
  const blockList = (
    name: string,
    size: number,
    count: number,
    where: (i: number, pa: bigint) => void,
  ): bigint => {
    const most = plan.perBlock ?? Math.floor((pageSize - 16) / size);
    let first = 0n;
    let before = 0n;
    for (let from = 0, b = 0; from < count; from += most, b++) {
      const pa = block(`${name}.block[${b}]`);
      if (before === 0n) first = pa;
      else ram.u64(before, pa);
      before = pa;
      ram.u64(pa + 8n, BigInt(Math.min(most, count - from)));
      for (let i = from; i < Math.min(from + most, count); i++)
        where(i, pa + 16n + BigInt((i - from) * size));
    }
    return first;
  };

  let luoBlob: { pa: bigint; size: number } | undefined;
  if (luo) {
    const blobPa = block("luo");
    const sessions = plan.sessions ?? [];
    const writeFile = (s: number, f: number, pa: bigint): void => {
      const file = sessions[s]!.files[f]!;
      addresses.set(`file[${s}][${f}]`, pa);
      const made = file.memfd && memfd(`memfd[${s}][${f}]`, file.memfd);
      folios[s]![f] = made?.pfns ?? [];
      ram.write(pa, bytesOf(file.compatible ?? form.memfd ?? ""));
      ram.u64(pa + 48n, made?.pa ?? file.data ?? 0n);
      ram.u64(pa + 56n, file.token);
    };
    const writeSession = (s: number, pa: bigint): void => {
      const { name, files } = sessions[s]!;
      addresses.set(`session[${s}]`, pa);
      folios[s] = [];
      ram.write(pa, bytesOf(name));
      let first = 0n;
      if (luo.files === "blocks")
        first = blockList(`files[${s}]`, 64, files.length, (f, at) => writeFile(s, f, at));
      else if (files.length > 0) {
        first = block(`files[${s}]`, 1);
        for (let f = 0; f < files.length; f++) writeFile(s, f, first + BigInt(64 * f));
      }
      ram.u64(pa + 64n, first);
      ram.u64(pa + 72n, BigInt(files.length));
    };
    let sessionsPa = 0n;
    if (luo.sessions === "blocks") sessionsPa = blockList("sessions", 80, sessions.length, writeSession);
    else {
      sessionsPa = block("sessions", 4);
      ram.u64(sessionsPa, BigInt(sessions.length));
      for (let s = 0; s < sessions.length; s++) writeSession(s, sessionsPa + 8n + BigInt(80 * s));
    }
    let flbsPa = 0n;
    if (luo.flb) {
      flbsPa = block("flbs");
      ram.u64(flbsPa, 1n);
      ram.u64(flbsPa + 8n, BigInt(plan.flbs?.length ?? 0));
      for (const [i, { name, data, count }] of (plan.flbs ?? []).entries()) {
        const pa = flbsPa + 16n + BigInt(64 * i);
        ram.write(pa, bytesOf(name));
        ram.u64(pa + 48n, data);
        ram.u64(pa + 56n, count);
      }
    }
    const number = plan.liveupdateNumber ?? 1n;
    const numbers = [number, sessionsPa, flbsPa];
    if (luo.root === "structure") {
      ram.write(blobPa, utf8.encode(luo.compatible));
      for (const [i, value] of numbers.entries()) ram.u64(blobPa + BigInt(8 + 8 * i), value);
      luoBlob = { pa: blobPa, size: 32 };
    } else {
      let tree: Node;
      if (luo.root === "pointer") {
        const header = block("luo.header");
        for (const [i, value] of numbers.entries()) ram.u64(header + BigInt(8 * i), value);
        tree = node("", [
          ["compatible", text(luo.compatible)],
          ["luo-abi-header", u64(header)],
        ]);
      } else tree = luoTree(number, sessionsPa, luo.flb ? flbsPa : undefined);
      hooks.luo?.(tree);
      const bytes = sequentialTree(tree);
      ram.write(blobPa, bytes);
      luoBlob = { pa: blobPa, size: bytes.length };
    }
  }

  /** In the order in which kernels add them. */
  const subtrees: { name: string; pa: bigint; size: number }[] = [];
  if (form.metadata && plan.metadata) {
    const pa = block("metadata");
    ram.write(pa, metadataBlob(plan.metadata.release, plan.metadata.count));
    subtrees.push({ name: "kexec-metadata", pa, size: 73 });
  }
  if (plan.reserveMem?.length) {
    const tree = memblockTree(plan.reserveMem);
    hooks.memblock?.(tree);
    const bytes = sequentialTree(tree);
    const pa = block("memblock");
    ram.write(pa, bytes);
    subtrees.push({ name: "memblock", pa, size: bytes.length });
    for (const { start, size } of plan.reserveMem)
      preserved.push(...blocksOfRange(pfnOf(start), Number(size) / pageSize));
  }
  const testFolios: Block[] = [];
  if (plan.khoTest) {
    let sum = 0n;
    for (const order of plan.khoTest) {
      const length = pageSize * 2 ** order;
      const pa = block(`kho_test.folio[${testFolios.length}]`, order);
      testFolios.push({ pfn: pfnOf(pa), order });
      for (let at = 0; at < length; at += 256) {
        const word = (BigInt(at) * 0x9e3779b1n + pa) & 0xffffffffn;
        ram.u32(pa + BigInt(at), Number(word));
        sum += word;
      }
    }
    // Ones' complement sum of 32-bit words, not folded.
    while (sum >> 32n) sum = (sum & 0xffffffffn) + (sum >> 32n);
    const list = join(
      ...testFolios.map(({ pfn, order }) => u64((BigInt(pfn) << BigInt(shift)) | BigInt(order))),
    );
    const info = form.vmalloc ? vmalloc("kho_test.list", list) : list;
    const tree = node(
      "",
      [
        ["compatible", text("kho-test-v1")],
        ["magic", u32(0x4b484f21)],
      ],
      [
        node("data", [
          ["nr_folios", u32(testFolios.length)],
          ["folios_info", info],
          ["csum", u32(Number(sum))],
        ]),
      ],
    );
    hooks.khoTest?.(tree);
    const bytes = sequentialTree(tree);
    const order = Math.ceil(Math.log2(Math.max(1, bytes.length / pageSize)));
    const pa = block("kho_test", order);
    ram.write(pa, bytes);
    subtrees.push({ name: "kho_test", pa, size: bytes.length });
  }
  for (const { name, blob } of plan.unknown ?? []) {
    const pa = block(`unknown:${name}`);
    ram.write(pa, blob);
    subtrees.push({ name, pa, size: blob.length });
  }
  // Live update registers early from 6.19 on; its place among the others differs from boot to boot.
  if (luoBlob) subtrees.splice(1, 0, { name: "LUO", ...luoBlob });

  preserved.push(...(plan.stray ?? []));
  const at = (name: string): bigint => {
    const pa = addresses.get(name);
    if (pa === undefined)
      throw new Error(`no address ${name}; there are ${[...addresses.keys()].join(", ")}`);
    return pa;
  };
  const blocks = hooks.preserved?.(preserved.slice(), at) ?? preserved;
  const map =
    form.map === 512 || form.map === "page"
      ? writeChunks(ram, blocks, form.map, pageSize, allocate, plan.cleared)
      : writeRadix(ram, blocks, pageSize, allocate, form.map === "radix-early", plan.cleared);
  addresses.set("map", map.root);

  const tree = rootTree(form, map.root, subtrees);
  hooks.root?.(tree);
  ram.write(root, rootBlob(form, tree));

  if (plan.handoff !== "nothing") {
    const scratch = allocate(1 << 16);
    addresses.set("scratch", scratch);
    for (const [i, { pa, size }] of plan.scratch.entries()) {
      ram.u64(scratch + BigInt(16 * i), pa);
      ram.u64(scratch + BigInt(16 * i + 8), size);
    }
    const scratchSize = BigInt(16 * plan.scratch.length);
    if (plan.handoff === "setup_data") {
      // A seed for the random number generator comes first, in the same page; the record follows unaligned to it.
      const page = allocate(pageSize);
      const record = page + 0x40n;
      ram.u64(page, record);
      ram.u32(page + 8n, 9);
      ram.u32(page + 12n, 32);
      ram.write(record, setupData(root, BigInt(pageSize), scratch, scratchSize));
      const zeroPage = allocate(pageSize);
      ram.write(zeroPage + 0x202n, utf8.encode("HdrS"));
      ram.u64(zeroPage + 0x250n, page);
      for (const [name, pa] of [
        ["record", record],
        ["setup_data", page],
        ["boot_params", zeroPage],
      ] as const)
        addresses.set(name, pa);
    } else {
      const [a, s] = plan.handoff.cells;
      const pair = (pa: bigint, size: bigint): Uint8Array => join(cells(pa, a), cells(size, s));
      const machine = node(
        "",
        [
          ["#address-cells", cells(BigInt(a), 1)],
          ["#size-cells", cells(BigInt(s), 1)],
          ["compatible", text("linux,dummy-virt")],
        ],
        [
          node("memory@40000000", [["device_type", text("memory")]]),
          node("chosen", [
            ["bootargs", text("kho=on")],
            ["linux,kho-fdt", pair(root, BigInt(pageSize))],
            ["linux,kho-scratch", pair(scratch, scratchSize)],
          ]),
        ],
      );
      const pa = allocate(pageSize);
      ram.write(pa, packedTree(machine));
      addresses.set("device-tree", pa);
    }
  }

  return {
    ram,
    plan,
    at,
    names: () => [...addresses.keys()],
    map,
    preserved: blocks,
    folios,
    testFolios,
    core: (machine = plan.handoff === "setup_data" ? 62 : plan.handoff === "nothing" ? 0 : 183) =>
      ram.core(machine),
  };
}

/** The x86 hand-off record: a setup_data header of 16 bytes and 32 bytes of payload. */
export function setupData(fdt: bigint, fdtSize: bigint, scratch: bigint, scratchSize: bigint): Uint8Array {
  return join(u64(0n), u32(10), u32(32), u64(fdt), u64(fdtSize), u64(scratch), u64(scratchSize));
}

export function metadataBlob(release: string, count: number): Uint8Array {
  const bytes = new Uint8Array(73);
  bytes.set(u32(1));
  bytes.set(utf8.encode(release), 4);
  bytes.set(u32(count), 69);
  return bytes;
}

export function rootTree(
  form: Form,
  map: bigint,
  subtrees: { name: string; pa: bigint; size: number }[],
): Node {
  const address = form.kho === "kho-v1" ? "fdt" : "preserved-data";
  const sized = form.kho === "kho-v3" || form.kho === "kho-v4";
  const nodes = subtrees.map(({ name, pa, size }) => {
    const properties: Node["properties"] = [[address, u64(pa)]];
    // A property that is added goes in front of the others.
    if (sized) properties.unshift(["blob-size", u64(BigInt(size))]);
    return node(name, properties);
  });
  // So does a node, unless the tree is written in one go.
  if (form.tree === "edited") nodes.reverse();
  return node(
    "",
    [
      ["compatible", text(form.kho)],
      ["preserved-memory-map", u64(map)],
    ],
    nodes,
  );
}

export function rootBlob(form: Form, tree: Node): Uint8Array {
  if (form.tree === "sequential" || tree.children.length === 0) return sequentialTree(tree);
  return packedTree(tree, [
    "preserved-memory-map",
    "compatible",
    form.kho === "kho-v1" ? "fdt" : "preserved-data",
  ]);
}

export function luoTree(number: bigint, sessions: bigint, flbs?: bigint): Node {
  const tree = node(
    "",
    [
      ["compatible", text("luo-v1")],
      ["liveupdate-number", u64(number)],
    ],
    [
      node("luo-session", [
        ["compatible", text("luo-session-v2")],
        ["luo-session-header", u64(sessions)],
      ]),
    ],
  );
  if (flbs !== undefined)
    tree.children.push(
      node("luo-flb", [
        ["compatible", text("luo-flb-v1")],
        ["luo-flb-header", u64(flbs)],
      ]),
    );
  return tree;
}

export const memblockTree = (regions: { name: string; start: bigint; size: bigint }[]): Node =>
  node(
    "",
    [["compatible", text("memblock-v1")]],
    regions.map(({ name, start, size }) =>
      node(name, [
        ["compatible", text("reserve-mem-v1")],
        ["start", u64(start)],
        ["size", u64(size)],
      ]),
    ),
  );
