/** The machine that a core is the memory of, at the first instruction of its next kernel. */
import type { Handover } from "../../src/handover/index.js";
import { newHardware } from "../../src/machine/firmware.js";
import type { Departure } from "../../src/machine/index.js";
import { newRam } from "../../src/machine/ram.js";
import { type PhysAddr, pfnOf, physAddr } from "../../src/memory/index.js";
import { type Core, frameSize } from "../mutate/core.js";

/** Largest machine: a core with pages beyond it is none of a machine. */
const mostMemory = 2n ** 40n;
/** Where the RAM of an arm64 machine begins. */
const armBase = 2n ** 30n;

/** The machine, with rubbish where the core holds nothing; undefined for a core of no machine. */
export function departureOf(
  core: Core,
  { pageSize }: Pick<Handover, "pageSize">,
  release: string,
): (Departure & { readonly bootData: PhysAddr }) | undefined {
  const last = Math.max(...core.frames.keys()) + 1;
  const end = BigInt(last) * BigInt(frameSize);
  const base = pageSize === 4096 ? 0n : armBase;
  let size = 2n ** 28n;
  while (base + size < end + 0x21000n && size <= mostMemory) size *= 2n;
  if (size > mostMemory) return undefined;
  const hardware = newHardware(size, 1, pageSize);
  const memory = newRam({ ranges: hardware.banks, pageSize });
  for (const bank of hardware.banks)
    memory.poison(pfnOf(bank.pa, pageSize), Number(bank.size / BigInt(pageSize)));
  for (const [number, bytes] of core.frames) {
    const pa = physAddr(BigInt(number) * BigInt(frameSize));
    if (memory.has(pa, bytes.length)) memory.write(pa, bytes);
  }
  return { hardware, memory, release, bootData: physAddr(core.handoff) };
}
