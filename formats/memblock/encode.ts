import type { PhysAddr } from "../../src/memory/index.js";
import { buildSequential, nativeU64Property, stringProperty } from "../fdt/index.js";
import { fillPages } from "../fill.js";
import type { Target } from "../target.js";
import {
  MEMBLOCK_KHO_NODE_COMPATIBLE,
  RESERVE_MEM_KHO_NODE_COMPATIBLE,
  type ReserveMem,
} from "./memblock.js";

/**
 * Writes the blob of the `memblock` subtree, a tree with a node for each region in the order given, into the page at
 * `pa`. Returns its bytes. @throws KhoError `value-range`
 */
export function encodeReserveMem(target: Target, pa: PhysAddr, regions: readonly ReserveMem[]): number {
  const { abi } = target;
  const blob = buildSequential({
    name: "",
    properties: [["compatible", stringProperty(MEMBLOCK_KHO_NODE_COMPATIBLE)]],
    children: regions.map(({ name, start, size }) => ({
      name,
      properties: [
        ["compatible", stringProperty(RESERVE_MEM_KHO_NODE_COMPATIBLE)],
        ["start", nativeU64Property(start, abi)],
        ["size", nativeU64Property(size, abi)],
      ],
      children: [],
    })),
  });
  fillPages(target, pa, 1, blob, "fdt-slack");
  return blob.length;
}
