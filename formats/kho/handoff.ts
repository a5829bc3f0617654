import { type Abi, decode, sizeOf } from "../../src/layout/index.js";
import { type Memory, type PhysAddr, physAddr } from "../../src/memory/index.js";
import { khoIgnored } from "../consequence.js";
import type { Context } from "../context.js";
import { cells, type Fdt, findNode, property } from "../fdt/index.js";
import { isAtLeast } from "../kernels.js";
import { BOOT_PARAMS_MAGIC, bootParams, khoData, SETUP_KEXEC_KHO, setupData } from "./layout.js";

/** What the previous kernel tells the next one: where the root tree and the scratch array are. */
export interface HandoffRecord {
  /** Physical address of the setup_data node; 0 where a device tree carried it. */
  readonly recordPa: PhysAddr;
  readonly fdtPa: PhysAddr;
  /** Bytes to map, always a page; not the tree's totalsize. */
  readonly fdtSize: bigint;
  readonly scratchPa: PhysAddr;
  /** Bytes: 16 for each area. */
  readonly scratchSize: bigint;
}

/** Properties of /chosen that hand off the root tree and the scratch array. drivers/of/kexec.c */
export const KHO_FDT_PROP = "linux,kho-fdt";
export const KHO_SCRATCH_PROP = "linux,kho-scratch";

/** setup_data exists on x86-64 only, which is little-endian with 4K pages. */
export const x86Abi: Abi = { byteOrder: "little", pageSize: 4096 };

/** A node of the setup_data list. `len` bytes follow its 16-byte header. */
export interface SetupDataNode {
  readonly pa: PhysAddr;
  readonly next: PhysAddr;
  readonly type: number;
  readonly len: number;
}

/** More nodes than any boot loader makes. */
const maxNodes = 1024;

/**
 * Follows a setup_data list from the node at `head`, for at most `most` nodes.
 * `ended` tells why it stopped: at its end, because a node came twice, or because a node is not in the capture.
 */
export function followSetupData(
  memory: Memory,
  head: PhysAddr,
  most = maxNodes,
): { nodes: SetupDataNode[]; ended: "at-end" | "cycle" | "absent" } {
  const nodes: SetupDataNode[] = [];
  const seen = new Set<bigint>();
  const header = sizeOf(setupData, x86Abi);
  for (let pa = head; pa !== 0n; ) {
    if (seen.has(pa) || nodes.length === most) return { nodes, ended: "cycle" };
    seen.add(pa);
    if (!memory.has(pa, header)) return { nodes, ended: "absent" };
    const { next, type, len } = decode(setupData, memory.read(pa, header), 0, x86Abi);
    nodes.push({ pa, next, type, len });
    pa = next;
  }
  return { nodes, ended: "at-end" };
}

/** The record in a setup_data node, if it is a KHO node and its payload is there. The kernel never looks at `len`. */
export function handoffOfNode(memory: Memory, node: SetupDataNode): HandoffRecord | undefined {
  const at = physAddr(node.pa + BigInt(sizeOf(setupData, x86Abi)));
  const size = sizeOf(khoData, x86Abi);
  if (node.type !== SETUP_KEXEC_KHO || !memory.has(at, size)) return undefined;
  const record = decode(khoData, memory.read(at, size), 0, x86Abi);
  return {
    recordPa: node.pa,
    fdtPa: record.fdt_addr,
    fdtSize: record.fdt_size,
    scratchPa: record.scratch_addr,
    scratchSize: record.scratch_size,
  };
}

/**
 * Reports what makes a reader give up on a record that it was given. All sizes are lengths of mappings: the kernel
 * compares none with what it expects, but none can be 0.
 */
export function checkHandoff(ctx: Context, record: HandoffRecord): void {
  const { recordPa: pa } = record;
  const header = sizeOf(setupData, x86Abi);
  const place = { path: "handoff", pa, length: header + sizeOf(khoData, x86Abi) };
  if (
    pa !== 0n &&
    ctx.memory.has(pa, header) &&
    decode(setupData, ctx.memory.read(pa, header), 0, x86Abi).len === 0
  )
    ctx.report(
      "error",
      "handoff-malformed",
      "the hand-off record says that it is empty and cannot be mapped",
      {
        ...place,
        expected: `${sizeOf(khoData, x86Abi)} bytes`,
        actual: "0 bytes",
        consequence: khoIgnored(),
      },
    );
  if (record.fdtSize === 0n)
    ctx.report(
      "error",
      "handoff-malformed",
      "the hand-off says that the root tree has no bytes: it cannot be mapped",
      {
        ...place,
        expected: "a page",
        actual: "0 bytes",
        consequence: khoIgnored(isAtLeast(ctx.kernel, "7.1") ? undefined : "EFAULT"),
      },
    );
}

/** Head of the setup_data list if `page` is an x86 zero page, 0 if it has none; undefined if it is not one. */
export function setupDataHead(page: Uint8Array): PhysAddr | undefined {
  if (page.length < sizeOf(bootParams, x86Abi)) return undefined;
  const params = decode(bootParams, page, 0, x86Abi);
  return params.header === BOOT_PARAMS_MAGIC ? params.setup_data : undefined;
}

/** Bytes that {@link setupDataHead} wants. */
export const bootParamsSize = sizeOf(bootParams, x86Abi);

/**
 * The record in a machine's own device tree, as arm64 has it: `linux,kho-fdt` and `linux,kho-scratch` of /chosen, each
 * one (address, size) pair in the root's cells. Like the kernel it wants both, of exactly that length.
 */
export function handoffOfChosen(fdt: Fdt): HandoffRecord | undefined {
  const chosen = findNode(fdt, "/chosen");
  const count = (name: string, fallback: number): number => {
    const found = property(fdt.root, name);
    const value = found && cells(found.value, 1);
    return value?.length === 1 ? Number(value[0]) : fallback;
  };
  const addressCells = count("#address-cells", 2);
  const sizeCells = count("#size-cells", 1);
  const pair = (name: string): { pa: PhysAddr; size: bigint } | undefined => {
    const found = chosen && property(chosen, name);
    if (!found || addressCells > 2 || sizeCells > 2 || found.value.length !== (addressCells + sizeCells) * 4)
      return undefined;
    const [pa] = cells(found.value.subarray(0, addressCells * 4), addressCells) ?? [];
    const [size] = cells(found.value.subarray(addressCells * 4), sizeCells) ?? [];
    return pa === undefined || size === undefined ? undefined : { pa: physAddr(pa), size };
  };
  const tree = pair(KHO_FDT_PROP);
  const scratch = pair(KHO_SCRATCH_PROP);
  if (!tree || !scratch) return undefined;
  return {
    recordPa: physAddr(0),
    fdtPa: tree.pa,
    fdtSize: tree.size,
    scratchPa: scratch.pa,
    scratchSize: scratch.size,
  };
}
