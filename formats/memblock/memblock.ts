import { endOfMemory, type PhysAddr, physAddr } from "../../src/memory/index.js";
import { itemIgnored } from "../consequence.js";
import type { Context } from "../context.js";
import { type Fdt, type FdtNode, nativeU64, property, stringList } from "../fdt/index.js";

/** Name of the subtree, and the version strings of its root and of a region. include/linux/kho/abi/memblock.h, since 6.16. */
export const MEMBLOCK_KHO_FDT = "memblock";
export const MEMBLOCK_KHO_NODE_COMPATIBLE = "memblock-v1";
export const RESERVE_MEM_KHO_NODE_COMPATIBLE = "reserve-mem-v1";
/** Regions that a kernel has room for. mm/memblock.c */
export const RESERVE_MEM_MAX_ENTRIES = 8;

/** A `reserve_mem=` region. */
export interface ReserveMem {
  readonly name: string;
  readonly start: PhysAddr;
  /** Bytes. */
  readonly size: bigint;
}

/** Reads the `memblock` subtree. A region that is described incompletely is reported and left out. */
export function decodeReserveMem(ctx: Context, fdt: Fdt, pa: PhysAddr): ReserveMem[] {
  const path = "reserve_mem";
  const fresh = itemIgnored("the region is not revived, a fresh one is allocated");
  checkCompatible(fdt.root, MEMBLOCK_KHO_NODE_COMPATIBLE, path);
  const regions: ReserveMem[] = [];
  for (const node of fdt.root.children) {
    const at = `${path}.${node.name}`;
    checkCompatible(node, RESERVE_MEM_KHO_NODE_COMPATIBLE, at);
    const [start, size] = ["start", "size"].map((name) => number(node, name, at));
    if (start === undefined || size === undefined) continue;
    if (start + size > endOfMemory)
      ctx.report("error", "reserve-mem-malformed", `region ${node.name} goes beyond 2^64`, {
        path: at,
        pa,
        consequence: fresh,
      });
    regions.push({ name: node.name, start: physAddr(start), size });
  }
  if (regions.length > RESERVE_MEM_MAX_ENTRIES)
    ctx.report(
      "warning",
      "reserve-mem-malformed",
      `${regions.length} regions, kernels have room for ${RESERVE_MEM_MAX_ENTRIES}`,
      {
        path,
        pa,
      },
    );
  return regions;

  function checkCompatible(node: FdtNode, wanted: string, at: string): void {
    const found = property(node, "compatible");
    const versions = (found && stringList(found.value)) ?? [];
    if (versions.includes(wanted)) return;
    ctx.report("error", "reserve-mem-malformed", `${at} is not of version ${wanted}`, {
      path: `${at}.compatible`,
      pa,
      expected: wanted,
      actual: versions.join(", ") || "absent",
      consequence: fresh,
    });
  }

  function number(node: FdtNode, name: string, at: string): bigint | undefined {
    const found = property(node, name);
    const value = found && nativeU64(found.value, ctx.abi);
    if (value === undefined)
      ctx.report("error", "reserve-mem-malformed", `${at} has no usable "${name}" property`, {
        path: `${at}.${name}`,
        pa,
        expected: "8 bytes",
        actual: found ? `${found.value.length} bytes` : "absent",
        consequence: fresh,
      });
    return value;
  }
}
