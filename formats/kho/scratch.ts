import { decode, sizeOf } from "../../src/layout/index.js";
import { endOfMemory, type MemoryRange, type PhysAddr } from "../../src/memory/index.js";
import { hex } from "../../src/report/hex.js";
import { bootStops, khoIgnored } from "../consequence.js";
import type { Context } from "../context.js";
import { khoScratch } from "./layout.js";

/** More areas than any machine has nodes; the array of a real machine has a handful. */
const maxAreas = 4096;

/**
 * Reads the scratch array: low memory, global, then one area per NUMA node with memory. `size` is in bytes, what is
 * left over after the last whole entry is ignored, as kernels do. `staged` says that the record may have been found in
 * the outgoing kernel, where the array still has to be moved to the address it names.
 */
export function decodeScratch(ctx: Context, pa: PhysAddr, size: bigint, staged = false): MemoryRange[] {
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
  // Nothing but the checks against scratch needs the array, and a capture of the old kernel has it elsewhere.
  if (!ctx.memory.has(pa, count * entry)) {
    ctx.report(
      "warning",
      "memory-absent",
      "the scratch array is not in the capture: nothing is checked against it",
      {
        path,
        pa,
        length: count * entry,
      },
    );
    return [];
  }
  const bytes = ctx.memory.read(pa, count * entry);
  if (staged && bytes.every((byte) => byte === 0)) {
    ctx.report(
      "info",
      "scratch-malformed",
      "the scratch array is not in its place yet: taken before the kexec",
      {
        path,
        pa,
        length: bytes.length,
      },
    );
    return [];
  }
  const areas: MemoryRange[] = [];
  for (let i = 0; i < count; i++) {
    const { addr, size: length } = decode(khoScratch, bytes, i * entry, abi);
    // Empty areas are possible: that is what an explicit size of 0 on the command line gives.
    if (addr + length <= endOfMemory) areas.push({ pa: addr, size: length });
    else malformed(`scratch area ${i} at ${hex(addr)} has ${hex(length)} bytes`, hex(length));
  }
  if (areas.every((area) => area.size === 0n))
    malformed("no scratch area has any memory", `${areas.length} areas`);
  return areas;
}
