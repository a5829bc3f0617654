import { decode, sizeOf } from "../../src/layout/index.js";
import type { MemoryRange, PhysAddr } from "../../src/memory/index.js";
import { hex } from "../../src/report/hex.js";
import { bootStops, khoIgnored } from "../consequence.js";
import { type Context, readMemory } from "../context.js";
import { khoScratch } from "./layout.js";

/** More areas than any machine has nodes; the array of a real machine has a handful. */
const maxAreas = 4096;

/**
 * Reads the scratch array: low memory, global, then one area per NUMA node with memory. `size` is in bytes, what is
 * left over after the last whole entry is ignored, as kernels do.
 */
export function decodeScratch(ctx: Context, pa: PhysAddr, size: bigint): MemoryRange[] {
  const { abi } = ctx;
  const path = "scratch";
  const entry = sizeOf(khoScratch, abi);
  const malformed = (message: string, actual: string): void =>
    ctx.report("error", "scratch-malformed", message, {
      path,
      pa,
      actual,
      consequence: bootStops("the first early allocation finds no memory"),
    });
  if (size === 0n) {
    ctx.report("error", "scratch-malformed", "the scratch array has no bytes and cannot be mapped", {
      path,
      pa,
      actual: "0 bytes",
      consequence: khoIgnored("EFAULT"),
    });
    return [];
  }
  const whole = size / BigInt(entry);
  if (whole === 0n || whole > BigInt(maxAreas)) {
    malformed(`a scratch array of ${size} bytes cannot be right`, `${size} bytes`);
    return [];
  }
  const count = Number(whole);
  const bytes = readMemory(
    ctx,
    pa,
    count * entry,
    path,
    bootStops("the first early allocation finds no memory"),
  );
  if (!bytes) return [];
  const areas: MemoryRange[] = [];
  for (let i = 0; i < count; i++) {
    const { addr, size: length } = decode(khoScratch, bytes, i * entry, abi);
    // Empty areas are possible: that is what an explicit size of 0 on the command line gives.
    if (addr + length <= 1n << 64n) areas.push({ pa: addr, size: length });
    else malformed(`scratch area ${i} at ${hex(addr)} has ${hex(length)} bytes`, hex(length));
  }
  if (areas.every((area) => area.size === 0n))
    malformed("no scratch area has any memory", `${areas.length} areas`);
  return areas;
}
